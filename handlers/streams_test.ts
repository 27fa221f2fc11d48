import { assertEquals, assertThrows } from "@std/assert";

import { assertHandoverError } from "../kho/helpers_test.ts";
import { makeIncoming } from "../kho/samples_test.ts";
import { makeSocketPair } from "../sys/helpers_test.ts";
import { createMemfd, isOpenFd, OwnedFd, sameOpenFile, SysError, writeAll } from "../sys/mod.ts";
import { incomingArgs, outgoingArgs, takerOf } from "./helpers_test.ts";
import { listStreams, streamsHandler, takeStreams } from "./streams.ts";

Deno.test("streamsHandler takes lists of connections, and no other memfd", () => {
  using list = listStreams([]);
  using other = createMemfd("heirloom-streamsx");
  assertEquals([list, other].map(takerOf), ["streams-v1", "memfd-v1"]);
  assertThrows(() => writeAll(list.fd, new Uint8Array(4)), SysError, "EPERM");
});

Deno.test("streamsHandler carries every connection of its list, and lets go of all of them", () => {
  const pairs = [makeSocketPair(), makeSocketPair(), makeSocketPair()];
  using stack = new DisposableStack();
  const sockets = pairs.map(([one, two]) => (stack.use(two), stack.use(one)));
  const copies = sockets.map((socket) => socket.dup());
  const list = listStreams(copies.map(({ fd }) => fd));
  const args = outgoingArgs(streamsHandler, list.fd);
  streamsHandler.preserve(args);
  assertEquals(args.kho.fds().length, 4);
  const fds = [list, ...copies].map((owned) => [OwnedFd.adopt(owned.release()), "preserved"] as const);
  const kho = makeIncoming({ fds: fds.map(([owned, role]) => [owned, role]) });
  const incoming = incomingArgs(streamsHandler, kho, args.serializedData);
  const fd = streamsHandler.retrieve(incoming) as number;
  using borrowed = OwnedFd.adopt(fd).dup();
  const back = takeStreams(borrowed).map((owned) => stack.use(owned));
  assertEquals(back.map(({ fd }, index) => sameOpenFile(fd, sockets[index]?.fd ?? -1)), [true, true, true]);
  streamsHandler.finish({ ...incoming, fd, retrieveStatus: 1 });
  kho.commit();
  assertEquals(kho.record.fds.map(({ fd }) => isOpenFd(fd)), [false, false, false, false]);
  assertEquals(back.every(({ fd }) => isOpenFd(fd)), true);
});

Deno.test("streamsHandler that cannot preserve one of them preserves none", () => {
  using memory = createMemfd("closed");
  const number = memory.dup();
  const { fd } = number;
  using list = listStreams([memory.fd, fd]);
  number[Symbol.dispose]();
  const args = outgoingArgs(streamsHandler, list.fd);
  assertThrows(() => streamsHandler.preserve(args), SysError, "EBADF");
  assertEquals(args.kho.fds(), []);
});

Deno.test("streamsHandler undoes exactly what it did", () => {
  const [one, two] = makeSocketPair();
  using _one = one;
  using _two = two;
  using list = listStreams([one.fd, two.fd]);
  const args = outgoingArgs(streamsHandler, list.fd);
  streamsHandler.preserve(args);
  streamsHandler.unpreserve(args);
  assertEquals(args.kho.fds(), []);
});

Deno.test("streamsHandler refuses a record or a list that is none", () => {
  const odd = createMemfd("odd", { size: 7 });
  const kho = makeIncoming({ fds: [[odd, "preserved"]] });
  const [record] = kho.record.fds;
  const cases = [[1n << 40n, "CORRUPT"], [BigInt(record?.fd ?? 0), "CORRUPT"], [2n, "ENOENT"]] as const;
  for (const [data, code] of cases) {
    assertHandoverError(() => streamsHandler.retrieve(incomingArgs(streamsHandler, kho, data)), code);
  }
  kho.commit();
});
