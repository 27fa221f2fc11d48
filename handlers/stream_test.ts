import { assertEquals } from "@std/assert";

import { assertHandoverError } from "../kho/helpers_test.ts";
import { makeSocketPair } from "../sys/helpers_test.ts";
import {
  connectSocket,
  createSocket,
  formatAddress,
  getsockname,
  openListener,
  read,
  socketCookie,
  writeAll,
} from "../sys/mod.ts";
import { assertCarried, carry, takerOf } from "./helpers_test.ts";
import { encodeRecord } from "./record.ts";
import { streamHandler } from "./stream.ts";

Deno.test("streamHandler takes connected streams, and no other kind of socket", () => {
  const [one, two] = makeSocketPair(1);
  const [datagram, datagrams] = makeSocketPair(2);
  const [packet, packets] = makeSocketPair(5);
  using stack = new DisposableStack();
  for (const socket of [one, two, datagram, datagrams, packet, packets]) stack.use(socket);
  using udp = createSocket("inet", "datagram");
  using listener = openListener({ family: "inet", host: "127.0.0.1", port: 0 });
  assertEquals([one, datagram, packet, udp].map(takerOf), ["stream-v1", null, null, null]);
  assertEquals(streamHandler.canPreserve({ fd: listener.fd }), false);
});

Deno.test("streamHandler still takes a stream whose peer has left", () => {
  const [one, two] = makeSocketPair();
  using _one = one;
  two[Symbol.dispose]();
  assertEquals(takerOf(one), "stream-v1");
  assertEquals(assertCarried(streamHandler, one).local, "unix:");
});

Deno.test("streamHandler carries addresses and cookie, and what waits in the queue", () => {
  const [one, two] = makeSocketPair();
  using _one = one;
  using _two = two;
  writeAll(two.fd, new TextEncoder().encode("waiting"));
  const { cookie } = assertCarried(streamHandler, one);
  assertEquals(BigInt(cookie as number), socketCookie(one.fd));
  const bytes = new Uint8Array(20);
  assertEquals(new TextDecoder().decode(bytes.subarray(0, read(one.fd, bytes))), "waiting");
});

Deno.test("streamHandler refuses another connection", () => {
  const [one, two] = makeSocketPair();
  using _one = one;
  using _two = two;
  const swapped = (_: Uint8Array, held: { fd: number }): Uint8Array =>
    encodeRecord(1, { fd: held.fd, cookie: socketCookie(held.fd) + 1n, local: "", peer: null });
  using arrived = carry(streamHandler, one, swapped);
  assertHandoverError(
    () => streamHandler.retrieve(arrived.args),
    "WRONG_DESCRIPTOR",
    "is not the connection it was",
  );
  streamHandler.finish(arrived.args);
});

Deno.test("streamHandler carries a TCP connection under both its addresses", () => {
  using listener = openListener({ family: "inet", host: "127.0.0.1", port: 0 });
  using socket = createSocket("inet", "stream");
  connectSocket(socket.fd, getsockname(listener.fd));
  const { local, peer } = assertCarried(streamHandler, socket);
  assertEquals([local, peer], [
    formatAddress(getsockname(socket.fd)),
    formatAddress(getsockname(listener.fd)),
  ]);
});
