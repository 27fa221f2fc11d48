import { assertEquals } from "@std/assert";

import { assertHandoverError } from "../kho/helpers_test.ts";
import { addSeals, createMemfd, getSeals, openFile, SEALS, seek, truncate, writeAll } from "../sys/mod.ts";
import { assertCarried, carry, takerOf } from "./helpers_test.ts";
import { memfdHandler } from "./memfd.ts";
import { encodeRecord } from "./record.ts";

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
  assertEquals(takerOf(linked), "file-v1");
  Deno.removeSync(path);
  assertEquals(takerOf(linked), "file-v1");
  // Named like a memfd, which a path cannot fake: its link begins with the mount point.
  using lookalike = openFile(`${directory.path}/memfd:x`, { write: true, create: true });
  Deno.removeSync(`${directory.path}/memfd:x`);
  assertEquals(takerOf(lookalike), "file-v1");
});

Deno.test("memfdHandler carries position, seals and size, as of the freeze", () => {
  using memory = createMemfd("test");
  writeAll(memory.fd, new Uint8Array(10));
  seek(memory.fd, 3, "set");
  addSeals(memory.fd, SEALS.GROW | SEALS.SHRINK);
  const record = assertCarried(memfdHandler, memory);
  const { pos, seals, size } = record;
  assertEquals({ pos, seals, size }, { pos: 3, seals: getSeals(memory.fd), size: 10 });
  assertEquals(seek(memory.fd, 0, "cur"), 3);
});

Deno.test("memfdHandler minds neither later seals nor another size", () => {
  using memory = createMemfd("test", { size: 4 });
  using arrived = carry(memfdHandler, memory);
  truncate(memory.fd, 100);
  addSeals(memory.fd, SEALS.SHRINK);
  memfdHandler.retrieve(arrived.args);
  memfdHandler.finish(arrived.args);
});

Deno.test("memfdHandler refuses a memfd that lost seals: it is another one", () => {
  using memory = createMemfd("test");
  const sealed = (_: Uint8Array, held: { fd: number }): Uint8Array =>
    encodeRecord(1, { fd: held.fd, pos: 0, seals: SEALS.WRITE, size: 0 });
  using arrived = carry(memfdHandler, memory, sealed);
  assertHandoverError(() => memfdHandler.retrieve(arrived.args), "WRONG_DESCRIPTOR", "does not lose seals");
  memfdHandler.finish(arrived.args);
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
