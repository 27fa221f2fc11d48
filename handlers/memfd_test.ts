import { assertEquals } from "@std/assert";

import { HandoverError } from "../kho/errors.ts";
import { assertHandoverError } from "../kho/helpers_test.ts";
import { makeIncoming } from "../kho/samples_test.ts";
import { addSeals, createMemfd, openFile, sameOpenFile, SEALS, seek, writeAll } from "../sys/mod.ts";
import { incomingArgs, outgoingArgs, takerOf } from "./helpers_test.ts";
import { memfdHandler } from "./memfd.ts";

Deno.test("memfdHandler takes every memfd, sealed or not, of any size", () => {
  using plain = createMemfd("plain");
  using never = createMemfd("never sealed", { sealable: false });
  using noexec = createMemfd("noexec", { noexec: true });
  using named = createMemfd("a (deleted) /memfd:b", { size: 2 ** 40 });
  for (const memory of [plain, never, noexec, named]) assertEquals(takerOf(memory), "memfd-v1");
});

Deno.test("memfdHandler leaves unlinked files of a tmpfs and everything else to others", async () => {
  await using directory = tmpfsDirectory();
  const path = `${directory.path}/file`;
  using linked = openFile(path, { write: true, create: true });
  assertEquals(takerOf(linked), "shm-v1");
  Deno.removeSync(path);
  assertEquals(takerOf(linked), "shm-v1");
  // Named like a memfd, which a path cannot fake: its link begins with the mount point.
  using lookalike = openFile(`${directory.path}/memfd:x`, { write: true, create: true });
  Deno.removeSync(`${directory.path}/memfd:x`);
  assertEquals(takerOf(lookalike), "shm-v1");
});

Deno.test("memfdHandler carries a memfd as it is, and writes down nothing but its number", () => {
  using memory = createMemfd("test");
  writeAll(memory.fd, new Uint8Array(10));
  seek(memory.fd, 3, "set");
  addSeals(memory.fd, SEALS.GROW | SEALS.SHRINK);
  const args = outgoingArgs(memfdHandler, memory.fd);
  memfdHandler.preserve(args);
  assertEquals([args.serializedData, args.kho.blobs()], [BigInt(memory.fd), []]);
  const kho = makeIncoming({ fds: [[memory.dup(), "preserved"]] });
  const [held] = kho.record.fds;
  const data = BigInt(held?.fd ?? -1);
  const incoming = incomingArgs(memfdHandler, kho, data);
  const fd = memfdHandler.retrieve(incoming) as number;
  assertEquals([sameOpenFile(fd, memory.fd), seek(fd, 0, "cur")], [true, 3]);
  memfdHandler.finish({ ...incoming, fd, retrieveStatus: 1 });
  assertHandoverError(() => kho.borrowFd(fd), "ENOENT");
  memfdHandler.unpreserve(args);
  assertEquals(args.kho.fds(), []);
  kho.commit();
});

Deno.test("memfdHandler refuses a record that is no descriptor, or none that was handed over", () => {
  const kho = makeIncoming({});
  for (
    const [data, code] of [[1n << 31n, "CORRUPT"], [(1n << 64n) - 1n, "CORRUPT"], [5n, "ENOENT"]] as const
  ) {
    const args = incomingArgs(memfdHandler, kho, data);
    assertHandoverError(() => memfdHandler.retrieve(args), code);
    memfdHandler.finish({ ...args, retrieveStatus: new HandoverError(code, "it was not retrieved") });
  }
  kho.commit();
});

Deno.test("memfdHandler knows a memfd by its inode, through whatever it was opened", () => {
  using memory = createMemfd("test");
  using copy = memory.dup();
  using reopened = openFile(`/proc/self/fd/${memory.fd}`);
  using other = createMemfd("test");
  const idOf = (fd: number): string | undefined => memfdHandler.getId?.({ fd });
  assertEquals([idOf(copy.fd), idOf(reopened.fd)], [idOf(memory.fd), idOf(memory.fd)]);
  assertEquals(idOf(other.fd) === idOf(memory.fd), false);
});

/** A directory on a tmpfs, which `/dev/shm` is on every Linux that has POSIX shared memory. */
function tmpfsDirectory(): AsyncDisposable & { path: string } {
  const path = Deno.makeTempDirSync({ dir: "/dev/shm", prefix: "heirloom-memfd-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
