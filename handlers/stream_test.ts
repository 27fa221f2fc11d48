import { assertEquals } from "@std/assert";

import { assertHandoverError } from "../kho/helpers_test.ts";
import { makeIncoming } from "../kho/samples_test.ts";
import { makeSocketPair } from "../sys/helpers_test.ts";
import { createSocket, openListener, type OwnedFd, read, sameOpenFile, writeAll } from "../sys/mod.ts";
import { incomingArgs, outgoingArgs, takerOf } from "./helpers_test.ts";
import { encodeRecord } from "./record.ts";
import { keepBytes, type StreamBytes, streamHandler, takeBytes } from "./stream.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Carries a connection over as LUO does; gives what came back. */
function carried(socket: OwnedFd): { bytes: StreamBytes | null; blobs: number } {
  const held = socket.dup();
  const args = outgoingArgs(streamHandler, held.fd);
  streamHandler.preserve(args);
  streamHandler.freeze?.(args);
  const blobs = args.kho.blobs();
  const kho = makeIncoming({ fds: [[held, "preserved"]], blobs });
  const incoming = incomingArgs(streamHandler, kho, args.serializedData);
  const fd = streamHandler.retrieve(incoming) as number;
  assertEquals(sameOpenFile(fd, socket.fd), true);
  const bytes = takeBytes(fd);
  streamHandler.finish({ ...incoming, fd, retrieveStatus: 1 });
  assertHandoverError(() => kho.borrowFd(fd), "ENOENT");
  kho.commit();
  return { bytes, blobs: blobs.length };
}

Deno.test("streamHandler takes connected streams, and no other kind of socket", () => {
  const [one, two] = makeSocketPair(1);
  const [datagram, datagrams] = makeSocketPair(2);
  const [packet, packets] = makeSocketPair(5);
  using stack = new DisposableStack();
  for (const socket of [one, two, datagram, datagrams, packet, packets]) stack.use(socket);
  using udp = createSocket("inet", "datagram");
  using listener = openListener({ family: "inet", host: "127.0.0.1", port: 0 });
  assertEquals([one, datagram, packet, udp].map(takerOf), [
    "stream-v1",
    "datagram-v1",
    null,
    "datagram-v1",
  ]);
  assertEquals(streamHandler.canPreserve({ fd: listener.fd }), false);
});

Deno.test("streamHandler still takes a stream whose peer has left", () => {
  const [one, two] = makeSocketPair();
  using _one = one;
  two[Symbol.dispose]();
  assertEquals(takerOf(one), "stream-v1");
  assertEquals(carried(one), { bytes: null, blobs: 0 });
});

Deno.test("streamHandler carries what waits in the queue, and writes nothing down for it", () => {
  const [one, two] = makeSocketPair();
  using _one = one;
  using _two = two;
  writeAll(two.fd, bytesOf("waiting"));
  assertEquals(carried(one), { bytes: null, blobs: 0 });
  const buffer = new Uint8Array(20);
  assertEquals(text(buffer.subarray(0, read(one.fd, buffer))), "waiting");
});

Deno.test("keepBytes() lets bytes cross with a connection, takeBytes() gives them back once", () => {
  const [one, two] = makeSocketPair();
  using _one = one;
  using _two = two;
  keepBytes(one, { input: bytesOf("old"), output: bytesOf("old") });
  keepBytes(one.fd, { input: bytesOf("half a li"), output: bytesOf("not taken") });
  const { bytes } = carried(one);
  assertEquals([text(bytes?.input ?? bytesOf("?")), text(bytes?.output ?? bytesOf("?"))], [
    "half a li",
    "not taken",
  ]);
  assertEquals(takeBytes(one), null);
  keepBytes(one, null);
  assertEquals(carried(one), { bytes: null, blobs: 0 });
});

Deno.test("streamHandler replaces its blob when an update is tried again", () => {
  const [one, two] = makeSocketPair();
  using _one = one;
  using _two = two;
  const args = outgoingArgs(streamHandler, one.fd);
  streamHandler.preserve(args);
  for (const input of ["first", "second"]) {
    keepBytes(one, { input: bytesOf(input), output: new Uint8Array() });
    streamHandler.freeze?.(args);
  }
  assertEquals(args.kho.blobs().length, 1);
  keepBytes(one, null);
  streamHandler.freeze?.(args);
  const kho = makeIncoming({ fds: [[one.dup(), "preserved"]], blobs: args.kho.blobs() });
  assertEquals(streamHandler.check?.({ ...args, kho }), 1);
  kho.commit();
  streamHandler.unpreserve(args);
  assertEquals([args.kho.fds(), args.kho.blobs().every(({ byteLength }) => byteLength === 0)], [[], true]);
});

Deno.test("streamHandler believes no record that it cannot read, and no number that was not handed over", () => {
  const blobs = [encodeRecord(2, { fd: 3 }), new Uint8Array([0xff])];
  const kho = makeIncoming({ blobs });
  for (
    const [data, code] of [[3n, "ENOENT"], [(1n << 32n) + 1n, "UNKNOWN_VERSION"], [
      (1n << 32n) + 2n,
      "CORRUPT",
    ]] as const
  ) {
    assertHandoverError(() => streamHandler.retrieve(incomingArgs(streamHandler, kho, data)), code);
  }
  assertEquals(streamHandler.check?.({ ...incomingArgs(streamHandler, kho, (1n << 32n) + 1n) }), 2);
  kho.commit();
});
