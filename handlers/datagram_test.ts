import { assertEquals } from "@std/assert";

import { assertHandoverError } from "../kho/helpers_test.ts";
import { makeSocketPair } from "../sys/helpers_test.ts";
import {
  bindSocket,
  connectSocket,
  createSocket,
  formatAddress,
  getsockname,
  openListener,
  OwnedFd,
  read,
  type SocketAddress,
  socketCookie,
  writeAll,
} from "../sys/mod.ts";
import { receiveDatagram, sendDatagram } from "../sys/network.ts";
import { tempDir } from "../testing/wait.ts";
import { datagramHandler } from "./datagram.ts";
import { assertCarried, carry } from "./helpers_test.ts";
import { encodeRecord } from "./record.ts";

const V4: SocketAddress = { family: "inet", host: "127.0.0.1", port: 0 };

function bound(address: SocketAddress): OwnedFd {
  const family = address.family === "inet" || address.family === "inet6" ? address.family : "unix";
  const socket = createSocket(family, "datagram");
  bindSocket(socket.fd, address);
  return socket;
}

function takes(socket: OwnedFd): boolean {
  return datagramHandler.canPreserve({ fd: socket.fd });
}

/** A socket of a kind that `sys` does not make, or null where this system has none. */
function otherSocket(domain: number, type: number, protocol: number): OwnedFd | null {
  const libc = Deno.dlopen("libc.so.6", { socket: { parameters: ["i32", "i32", "i32"], result: "i32" } });
  try {
    const fd = libc.symbols.socket(domain, type, protocol);
    return fd < 0 ? null : OwnedFd.adopt(fd);
  } finally {
    libc.close();
  }
}

Deno.test("datagramHandler takes UDP and unix datagram sockets, bound or not, connected or not", async () => {
  await using directory = tempDir("heirloom-dgram-");
  const [one, two] = makeSocketPair(2);
  using stack = new DisposableStack();
  const sockets = [
    one,
    two,
    createSocket("inet", "datagram"),
    createSocket("inet6", "datagram"),
    createSocket("unix", "datagram"),
    bound(V4),
    bound({ family: "inet6", host: "::1", port: 0 }),
    bound({ family: "unix", path: `${directory.path}/s` }),
    bound({ family: "abstract", name: `heirloom-${crypto.randomUUID()}` }),
  ];
  for (const socket of sockets) stack.use(socket);
  assertEquals(sockets.map(takes), sockets.map(() => true));
});

Deno.test("datagramHandler leaves other sockets to others, those with datagrams of another kind as well", () => {
  const [stream, streams] = makeSocketPair(1);
  const [packet, packets] = makeSocketPair(5);
  using stack = new DisposableStack();
  const sockets = [stream, streams, packet, packets, openListener(V4), createSocket("inet", "stream")];
  const ping = otherSocket(2, 2, 1);
  const netlink = otherSocket(16, 2, 0);
  for (const [name, socket] of [["ping", ping], ["netlink", netlink]] as const) {
    if (socket === null) console.log(`ignored: there are no ${name} sockets here`);
    else sockets.push(socket);
  }
  for (const socket of sockets) stack.use(socket);
  assertEquals(sockets.map(takes), sockets.map(() => false));
});

Deno.test("datagramHandler carries addresses, and what waits with its senders", () => {
  using server = bound(V4);
  using first = bound(V4);
  using second = bound(V4);
  const to = getsockname(server.fd);
  sendDatagram(first.fd, new TextEncoder().encode("from the first"), to);
  sendDatagram(second.fd, new Uint8Array(), to);
  const { cookie, local, peer, domain } = assertCarried(datagramHandler, server);
  assertEquals([local, peer, domain], [formatAddress(to), null, 2]);
  assertEquals(BigInt(cookie as number), socketCookie(server.fd));
  const one = receiveDatagram(server.fd);
  assertEquals([new TextDecoder().decode(one?.bytes), one?.from], [
    "from the first",
    getsockname(first.fd),
  ]);
  const two = receiveDatagram(server.fd);
  assertEquals([two?.bytes.byteLength, two?.from], [0, getsockname(second.fd)]);
});

Deno.test("datagramHandler carries a connected socket with its peer", () => {
  using server = bound(V4);
  using client = bound(V4);
  connectSocket(client.fd, getsockname(server.fd));
  const { local, peer } = assertCarried(datagramHandler, client);
  assertEquals([local, peer], [
    formatAddress(getsockname(client.fd)),
    formatAddress(getsockname(server.fd)),
  ]);
});

Deno.test("datagramHandler carries the end of a pair, whose other end has no name", () => {
  const [one, two] = makeSocketPair(2);
  using _one = one;
  using _two = two;
  writeAll(two.fd, new TextEncoder().encode("waiting"));
  const { local, peer } = assertCarried(datagramHandler, one);
  assertEquals([local, peer], ["unix:", "unix:"]);
  const bytes = new Uint8Array(20);
  assertEquals(new TextDecoder().decode(bytes.subarray(0, read(one.fd, bytes))), "waiting");
});

Deno.test("datagramHandler refuses another socket, and one of another kind", () => {
  using server = bound(V4);
  const swapped = (_: Uint8Array, held: { fd: number }): Uint8Array =>
    encodeRecord(1, { fd: held.fd, cookie: socketCookie(held.fd) + 1n, domain: 2, local: "", peer: null });
  using other = carry(datagramHandler, server, swapped);
  assertHandoverError(
    () => datagramHandler.retrieve(other.args),
    "WRONG_DESCRIPTOR",
    "is not the datagram socket it was",
  );
  datagramHandler.finish(other.args);

  using stream = createSocket("inet", "stream");
  assertHandoverError(() => carry(datagramHandler, stream), "WRONG_DESCRIPTOR", "is not the datagram socket");
});
