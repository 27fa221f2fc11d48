import { assert, assertEquals, assertThrows } from "@std/assert";
import { disconnectSocket, dropErrors, isUnixSocket, receiveDatagram, sendDatagram } from "./datagram.ts";
import { SysError } from "./errno.ts";
import { makeSocketPair, waitUntil, withSameFds } from "./helpers_test.ts";
import type { OwnedFd } from "./owned_fd.ts";
import { poll, POLLERR, POLLIN } from "./poll.ts";
import { sendFds } from "./scm.ts";
import type { SocketAddress } from "./sockaddr.ts";
import { bindSocket, connectSocket, createSocket, getpeername, getsockname } from "./socket.ts";
import { setIntOption, SOCKET_OPTIONS } from "./socket_options.ts";

const V4: SocketAddress = { family: "inet", host: "127.0.0.1", port: 0 };
const V6: SocketAddress = { family: "inet6", host: "::1", port: 0 };

function bound(address: SocketAddress): OwnedFd {
  const family = address.family === "inet" || address.family === "inet6" ? address.family : "unix";
  const socket = createSocket(family, "datagram");
  bindSocket(socket.fd, address);
  return socket;
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The text of the next datagram and its sender, waited for. */
async function next(fd: number, sized = false): Promise<[string, SocketAddress]> {
  let datagram = receiveDatagram(fd, sized);
  await waitUntil(() => (datagram ??= receiveDatagram(fd, sized)) !== null, "a datagram");
  return [new TextDecoder().decode(datagram?.bytes), datagram?.from ?? { family: "unnamed" }];
}

function codeOf(body: () => unknown): string {
  return assertThrows(body, SysError).code;
}

for (const [name, address] of [["IPv4", V4], ["IPv6", V6]] as const) {
  Deno.test(`receiveDatagram() and sendDatagram() over ${name}: borders, order, sender, empty ones`, async () => {
    using server = bound(address);
    using client = bound(address);
    assertEquals(isUnixSocket(server.fd), false);
    assertEquals(receiveDatagram(server.fd), null);
    const to = getsockname(server.fd);
    for (const text of ["one", "", "three", "x".repeat(60_000)]) {
      assertEquals(sendDatagram(client.fd, bytes(text), to), true);
    }
    const from = getsockname(client.fd);
    assertEquals(await next(server.fd), ["one", from]);
    assertEquals(await next(server.fd), ["", from]);
    assertEquals(await next(server.fd), ["three", from]);
    assertEquals(await next(server.fd), ["x".repeat(60_000), from]);
    assertEquals(receiveDatagram(server.fd), null);
    assertEquals(sendDatagram(server.fd, bytes("back"), from), true);
    assertEquals(await next(client.fd), ["back", to]);
  });
}

Deno.test("receiveDatagram() knows senders of unix sockets: a path, an abstract name, none", async () => {
  const directory = Deno.makeTempDirSync({ prefix: "heirloom-dgram-" });
  try {
    const path: SocketAddress = { family: "unix", path: `${directory}/server` };
    const name: SocketAddress = { family: "abstract", name: `heirloom-${crypto.randomUUID()}` };
    using server = bound(path);
    using named = bound(name);
    using unnamed = createSocket("unix", "datagram");
    assertEquals(isUnixSocket(server.fd), true);
    sendDatagram(named.fd, bytes("named"), path);
    sendDatagram(unnamed.fd, bytes("unnamed"), path);
    assertEquals(await next(server.fd, true), ["named", name]);
    assertEquals(await next(server.fd, true), ["unnamed", { family: "unnamed" }]);
    sendDatagram(server.fd, bytes("back"), name);
    assertEquals(await next(named.fd, true), ["back", path]);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("receiveDatagram() takes unix datagrams of any size, and says when one did not fit", async () => {
  const [one, two] = makeSocketPair(2);
  using _one = one;
  using _two = two;
  for (const end of [one, two]) setIntOption(end.fd, ...SOCKET_OPTIONS.SNDBUF, 1_000_000);
  const large = "y".repeat(150_000);
  const small = "z".repeat(10);
  sendDatagram(two.fd, bytes(large), null);
  sendDatagram(two.fd, bytes(small), null);
  assertEquals(codeOf(() => receiveDatagram(one.fd)), "EMSGSIZE");
  assertEquals((await next(one.fd))[0], small, "the one behind it is whole");
  sendDatagram(two.fd, bytes(large), null);
  assertEquals((await next(one.fd, true))[0], large);
});

Deno.test("sendDatagram() answers false when there is no room, and throws what does not fit at all", () => {
  const [one, two] = makeSocketPair(2);
  using _one = one;
  using _two = two;
  let sent = 0;
  while (sent < 100_000 && sendDatagram(one.fd, bytes("w"), null)) sent++;
  assert(sent > 0 && sent < 100_000, `${sent}`);
  receiveDatagram(two.fd);
  for (let taken = 1; taken < sent; taken++) assert(receiveDatagram(two.fd) !== null);
  assertEquals(receiveDatagram(two.fd), null);
  assertEquals(sendDatagram(one.fd, bytes("again"), null), true);
  using udp = bound(V4);
  assertEquals(codeOf(() => sendDatagram(udp.fd, new Uint8Array(70_000), getsockname(udp.fd))), "EMSGSIZE");
  assertEquals(codeOf(() => sendDatagram(udp.fd, bytes("?"), null)), "EDESTADDRREQ");
});

Deno.test("sendDatagram() tells once that nobody heard the one before", async () => {
  using socket = bound(V4);
  const gone = bound(V4);
  connectSocket(socket.fd, getsockname(gone.fd));
  gone[Symbol.dispose]();
  sendDatagram(socket.fd, bytes("into the void"), null);
  await waitUntil(() => (poll([{ fd: socket.fd, events: POLLIN }], 0)[0] ?? 0) !== 0, "the answer");
  assertEquals(codeOf(() => sendDatagram(socket.fd, bytes("again"), null)), "ECONNREFUSED");
});

Deno.test("disconnectSocket() lets everyone in again", async () => {
  using socket = bound(V4);
  using friend = bound(V4);
  using stranger = bound(V4);
  const to = getsockname(socket.fd);
  connectSocket(socket.fd, getsockname(friend.fd));
  assertEquals(getpeername(socket.fd), getsockname(friend.fd));
  sendDatagram(stranger.fd, bytes("stranger"), to);
  sendDatagram(friend.fd, bytes("friend"), to);
  assertEquals(await next(socket.fd), ["friend", getsockname(friend.fd)]);
  disconnectSocket(socket.fd);
  disconnectSocket(socket.fd);
  assertEquals(getpeername(socket.fd), null);
  assertEquals(getsockname(socket.fd), to, "its own address stays");
  sendDatagram(stranger.fd, bytes("stranger"), to);
  assertEquals((await next(socket.fd))[0], "stranger");
});

Deno.test("dropErrors() empties the queue of errors", async () => {
  const IP_RECVERR = [0, 11] as const;
  using socket = bound(V4);
  setIntOption(socket.fd, ...IP_RECVERR, 1);
  const gone = bound(V4);
  const to = getsockname(gone.fd);
  gone[Symbol.dispose]();
  sendDatagram(socket.fd, bytes("into the void"), to);
  const bits = (): number => poll([{ fd: socket.fd, events: POLLIN }], 0)[0] ?? 0;
  await waitUntil(() => (bits() & POLLERR) !== 0, "the error");
  assertEquals(codeOf(() => receiveDatagram(socket.fd)), "ECONNREFUSED");
  assertEquals(bits() & POLLERR, POLLERR, "it is still in the queue");
  dropErrors(socket.fd);
  assertEquals(bits(), 0);
});

Deno.test("receiveDatagram() keeps no descriptor that a peer sends along", () => {
  const [one, two] = makeSocketPair(2);
  using _one = one;
  using _two = two;
  withSameFds(() => {
    sendFds(one.fd, bytes("with a gift"), [one.fd, two.fd]);
    assertEquals(new TextDecoder().decode(receiveDatagram(two.fd)?.bytes), "with a gift");
  });
});
