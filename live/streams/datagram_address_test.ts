import { assert, assertEquals, assertThrows } from "@std/assert";

import { makeSocketPair } from "../../sys/helpers_test.ts";
import {
  bindSocket,
  connectSocket,
  createSocket,
  getIntOption,
  getsockname,
  setIntOption,
  SOCKET_OPTIONS,
  type SocketAddress,
  SysError,
} from "../../sys/mod.ts";
import { tempDir } from "../../testing/wait.ts";
import {
  bindDatagram,
  type DatagramAddress,
  datagramAddressOf,
  isBoundTo,
  socketAddressFrom,
} from "./datagram_address.ts";

const LOOPBACK: SocketAddress = { family: "inet", host: "127.0.0.1", port: 0 };
const ANY: SocketAddress = { family: "inet", host: "0.0.0.0", port: 0 };
const ANY6: SocketAddress = { family: "inet6", host: "::", port: 0 };

Deno.test("socketAddressFrom() and datagramAddressOf() undo each other", () => {
  const pairs: [DatagramAddress, SocketAddress][] = [
    [{ hostname: "127.0.0.1", port: 53 }, { family: "inet", host: "127.0.0.1", port: 53 }],
    [{ hostname: "::1", port: 53 }, { family: "inet6", host: "::1", port: 53 }],
    [{ hostname: "fe80::1%2", port: 53 }, { family: "inet6", host: "fe80::1", port: 53, scope: 2 }],
    [{ path: "/run/x" }, { family: "unix", path: "/run/x" }],
    [{ path: "@x" }, { family: "abstract", name: "x" }],
  ];
  for (const [ours, kernels] of pairs) {
    assertEquals(socketAddressFrom(ours), kernels);
    assertEquals(datagramAddressOf(kernels), ours);
  }
  assertThrows(
    () => bindDatagram(socketAddressFrom({ hostname: "example.com", port: 1 }), () => {}),
    RangeError,
  );
});

Deno.test("datagramAddressOf() takes no sender for somebody else", () => {
  assertEquals(datagramAddressOf({ family: "unnamed" }), null);
  assertEquals(datagramAddressOf({ family: "abstract", name: "" }), null);
  assertEquals(datagramAddressOf({ family: "unix", path: "@x" }), { path: "./@x" });
});

Deno.test("isBoundTo() knows a socket by its address, however that is spelled", () => {
  using four = bindDatagram(LOOPBACK, () => {});
  using six = bindDatagram({ family: "inet6", host: "::1", port: 0 }, () => {});
  const port = (getsockname(four.fd) as { port: number }).port;
  assert(isBoundTo(four.fd, LOOPBACK));
  assert(isBoundTo(four.fd, { ...LOOPBACK, port } as SocketAddress));
  assert(!isBoundTo(four.fd, { ...LOOPBACK, port: port + 1 } as SocketAddress));
  assert(!isBoundTo(four.fd, ANY));
  assert(isBoundTo(six.fd, { family: "inet6", host: "0:0:0:0:0:0:0:1", port: 0 }));
  assert(!isBoundTo(six.fd, LOOPBACK));
});

Deno.test("isBoundTo() knows a socket that was bound to any address and is connected", () => {
  using peer = bindDatagram(LOOPBACK, () => {});
  for (const any of [ANY, ANY6]) {
    using socket = bindDatagram(any, () => {});
    const mapped = getsockname(peer.fd) as { port: number };
    connectSocket(
      socket.fd,
      any === ANY ? getsockname(peer.fd) : { family: "inet6", host: "::ffff:127.0.0.1", port: mapped.port },
    );
    assert(isBoundTo(socket.fd, any));
    assert(!isBoundTo(socket.fd, { family: "inet", host: "127.0.0.2", port: 0 }));
  }
});

Deno.test("bindDatagram() sets options first, and leaves nothing behind when it fails", async () => {
  await using directory = tempDir("heirloom-dgram-");
  using socket = bindDatagram(LOOPBACK, (fd) => setIntOption(fd, ...SOCKET_OPTIONS.BROADCAST, 1));
  assertEquals(getIntOption(socket.fd, ...SOCKET_OPTIONS.BROADCAST), 1);
  const taken = getsockname(socket.fd);
  assertEquals(assertThrows(() => bindDatagram(taken, () => {}), SysError).code, "EADDRINUSE");
  assertEquals(
    assertThrows(() => bindDatagram({ family: "unix", path: `${directory.path}/none/x` }, () => {}), SysError)
      .code,
    "ENOENT",
  );
});

Deno.test("bindDatagram() replaces a path that nobody receives on, and no other", async () => {
  await using directory = tempDir("heirloom-dgram-");
  const path: SocketAddress = { family: "unix", path: `${directory.path}/s` };
  const refused = (): string => assertThrows(() => bindDatagram(path, () => {}), SysError).code;
  bindDatagram(path, () => {})[Symbol.dispose]();
  const owner = bindDatagram(path, () => {});
  assertEquals(refused(), "EADDRINUSE");

  // One that only hears its peer lets nobody else connect.
  using peer = bindDatagram({ family: "unix", path: `${directory.path}/peer` }, () => {});
  connectSocket(owner.fd, getsockname(peer.fd));
  assertEquals(refused(), "EADDRINUSE");
  owner[Symbol.dispose]();
  bindDatagram(path, () => {})[Symbol.dispose]();

  Deno.removeSync(`${directory.path}/s`);
  using stream = createSocket("unix", "stream");
  bindSocket(stream.fd, path);
  assertEquals(refused(), "EADDRINUSE");

  Deno.removeSync(`${directory.path}/s`);
  Deno.writeTextFileSync(`${directory.path}/s`, "a file");
  assertEquals(refused(), "EADDRINUSE");
  assertEquals(Deno.readTextFileSync(`${directory.path}/s`), "a file");
});

Deno.test("isBoundTo() tells a pair of sockets without names from one that has one", () => {
  const [one, two] = makeSocketPair(2);
  using _one = one;
  using _two = two;
  assert(!isBoundTo(one.fd, { family: "unix", path: "/x" }));
});
