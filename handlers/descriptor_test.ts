import { assert, assertEquals, assertThrows } from "@std/assert";

import { assertHandoverError } from "../kho/helpers_test.ts";
import { createMemfd, isOpenFd } from "../sys/mod.ts";
import { descriptorHandler } from "./descriptor.ts";
import { carry, outgoingArgs, recordOf } from "./helpers_test.ts";
import { encodeRecord } from "./record.ts";

let described = 0;

const handler = descriptorHandler({
  compatible: "plain-v1",
  version: 2,
  accepts: () => true,
  describe: () => ({ described }),
  verify: (_fd, record) => {
    if (record.int("described") === 13) throw new RangeError("not what it was");
  },
});

Deno.test("descriptorHandler() preserves the descriptor and a record, and unpreserve undoes both", () => {
  using memory = createMemfd("test");
  const args = outgoingArgs(handler, memory.fd);
  handler.preserve(args);
  assertEquals(recordOf(args), [2, { described, fd: memory.fd }]);
  assertEquals(args.kho.fds().map(({ fd }) => fd), [memory.fd]);
  handler.unpreserve(args);
  assertEquals(args.kho.fds(), []);
  assertEquals(args.kho.blobs(), [new Uint8Array()]);
});

Deno.test("descriptorHandler() describes anew at the freeze, under the same handle", () => {
  using memory = createMemfd("test");
  const args = outgoingArgs(handler, memory.fd);
  handler.preserve(args);
  const { serializedData } = args;
  described++;
  handler.freeze?.(args);
  assertEquals(args.serializedData, serializedData);
  assertEquals(recordOf(args), [2, { described, fd: memory.fd }]);
});

Deno.test("descriptorHandler() leaves nothing preserved when it cannot describe", () => {
  using memory = createMemfd("test");
  const broken = descriptorHandler({
    compatible: "broken-v1",
    version: 1,
    accepts: () => true,
    describe: () => {
      throw new RangeError("no words");
    },
    verify: () => {},
  });
  const args = outgoingArgs(broken, memory.fd);
  assertThrows(() => broken.preserve(args), RangeError, "no words");
  assertEquals([args.kho.fds(), args.kho.blobs()], [[], []]);
});

Deno.test("descriptorHandler() lends the descriptor at retrieve and releases it at finish", () => {
  using memory = createMemfd("test");
  const arrived = carry(handler, memory);
  const fd = handler.retrieve(arrived.args) as number;
  handler.finish({ ...arrived.args, fd, retrieveStatus: 1 });
  assert(isOpenFd(fd));
  arrived.kho.commit();
  assertEquals(isOpenFd(fd), false);
});

Deno.test("descriptorHandler() releases a descriptor that was never retrieved", () => {
  using memory = createMemfd("test");
  const arrived = carry(handler, memory);
  const fd = arrived.record.fd as number;
  handler.finish(arrived.args);
  arrived.kho.commit();
  assertEquals(isOpenFd(fd), false);
});

Deno.test("descriptorHandler() does not give back what it cannot verify, and still releases it", () => {
  using memory = createMemfd("test");
  const unlucky = (_: Uint8Array, held: { fd: number }): Uint8Array =>
    encodeRecord(2, { described: 13, fd: held.fd });
  const arrived = carry(handler, memory, unlucky);
  const error = assertThrows(() => handler.retrieve(arrived.args), RangeError, "not what it was");
  handler.finish({ ...arrived.args, retrieveStatus: error });
  arrived.kho.commit();
  assertEquals(isOpenFd(arrived.record.fd as number), false);
});

Deno.test("descriptorHandler() reads an older version and refuses a newer one", () => {
  using memory = createMemfd("test");
  const version = (number: number) => (_: Uint8Array, held: { fd: number }): Uint8Array =>
    encodeRecord(number, { described: 1, fd: held.fd });
  using older = carry(handler, memory, version(1));
  assert(isOpenFd(handler.retrieve(older.args) as number));
  handler.finish(older.args);
  using newer = carry(handler, memory, version(3));
  assertHandoverError(() => handler.retrieve(newer.args), "UNKNOWN_VERSION", "plain-v1: it has version 3");
  handler.finish(newer.args);
  using damaged = carry(handler, memory, () => new Uint8Array([0xff]));
  assertHandoverError(() => handler.retrieve(damaged.args), "CORRUPT", "plain-v1");
  handler.finish(damaged.args);
});

Deno.test("descriptorHandler() believes no number that the segment does not list", () => {
  using memory = createMemfd("test");
  using arrived = carry(handler, memory, () => encodeRecord(2, { described: 1, fd: 0 }));
  assertHandoverError(() => handler.retrieve(arrived.args), "ENOENT", "Cannot borrow fd 0");
});

Deno.test("descriptorHandler() has an id only where the kind has one", () => {
  assertEquals(handler.getId, undefined);
});
