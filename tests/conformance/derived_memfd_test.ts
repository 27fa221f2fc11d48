/**
 * Derived scenarios of memfds, number 16 in section 8.5 of the reference. Each stage is an image of a process that updates
 * itself.
 *
 * Two answers differ from the kernel's, because here the very same memory crosses, and not a copy of its pages:
 * 1. The kernel freezes the size of a preserved memfd (EPERM). A process cannot do that to a file that others hold too, so
 *    the size may change, and the one at the update is what arrives.
 * 2. The kernel loses seals that are added after the preservation. Here they stay.
 *
 * @module
 */
import { assertEquals } from "@std/assert";

import { fileHandler, shmHandler } from "../../handlers/mod.ts";
import { assertLuoError } from "../../luo/helpers_test.ts";
import { Device, type OwnedFd, registerHandler, SysError, unregisterHandler } from "../../mod.ts";
import {
  addSeals,
  createMemfd,
  fstat,
  getSeals,
  Mapping,
  pwrite,
  readWhole,
  SEALS,
  seek,
  truncate,
} from "../../sys/mod.ts";
import { memfdOf, PAGE_BYTES, textOf } from "./_kernel_kit.ts";
import { allocate, hugeMemfd, punchHole } from "./_kernel_memory.ts";
import { acrossUpdates } from "./_kernel_stages.ts";

const across = acrossUpdates(import.meta.url);

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Preserves memfds under the tokens 1, 2, … of the session "web". */
function preserveAll(device: Device, files: readonly OwnedFd[]): void {
  const session = device.createSession("web");
  for (const [at, file] of files.entries()) session.preserveFd(file, BigInt(at + 1));
}

/** Retrieves what {@linkcode preserveAll} preserved; the session is not finished. */
function retrieveAll(device: Device, count: number): OwnedFd[] {
  const session = device.retrieveSession("web");
  return Array.from({ length: count }, (_, at) => session.retrieveFd(BigInt(at + 1)));
}

await across("derived 16: what is written to a preserved memfd, or through a mapping of it, arrives", [
  () => {
    using device = Device.open();
    const [written, mapped] = [memfdOf("before the write"), createMemfd("mapped", { size: PAGE_BYTES })];
    const early = Mapping.map(mapped.fd, PAGE_BYTES, { writable: true });
    preserveAll(device, [written, mapped]);
    pwrite(written.fd, bytesOf("behind"), 0);
    early.bytes.set(bytesOf("early mapping"), 0);
    using late = Mapping.map(mapped.fd, PAGE_BYTES, { writable: true });
    late.bytes.set(bytesOf("late mapping"), 100);
    assertEquals(new TextDecoder().decode(early.bytes.subarray(100, 112)), "late mapping");
  },
  () => {
    using device = Device.open();
    const [written, mapped] = retrieveAll(device, 2);
    assertEquals(textOf(written!), "behind the write");
    const text = textOf(mapped!);
    assertEquals([text.slice(0, 13), text.slice(100, 112)], ["early mapping", "late mapping"]);
    assertEquals(text.length, PAGE_BYTES);
  },
]);

await across("derived 16: the size of a preserved memfd may change (the kernel: EPERM), and arrives", [
  () => {
    using device = Device.open();
    const files = [0, 1, 2, 3].map((at) => memfdOf(`text ${at}`.padEnd(2 * PAGE_BYTES, "."), `size-${at}`));
    preserveAll(device, files);
    const [grown, shrunk, punched, appended] = files.map(({ fd }) => fd);
    truncate(grown!, 3 * PAGE_BYTES);
    truncate(shrunk!, 6);
    punchHole(punched!, 0, PAGE_BYTES);
    pwrite(appended!, bytesOf("end"), 2 * PAGE_BYTES);
  },
  () => {
    using device = Device.open();
    const [grown, shrunk, punched, appended] = retrieveAll(device, 4).map((file) => file.fd);
    assertEquals(fstat(grown!).size, 3 * PAGE_BYTES);
    assertEquals(textOf(shrunk!), "text 1");
    const zeros = "\0".repeat(PAGE_BYTES);
    assertEquals(textOf(punched!), zeros + ".".repeat(PAGE_BYTES));
    assertEquals(textOf(appended!).slice(-4), ".end");
    assertEquals(textOf(grown!).slice(2 * PAGE_BYTES - 1), `.${zeros}`);
  },
]);

await across("derived 16: an empty memfd, one of a hole, and one of blocks that were written late arrive", [
  () => {
    using device = Device.open();
    const empty = createMemfd("empty");
    const hole = createMemfd("hole", { size: 64 * PAGE_BYTES });
    pwrite(hole.fd, bytesOf("island"), 32 * PAGE_BYTES);
    const blocks = createMemfd("blocks");
    allocate(blocks.fd, 0, 4 * PAGE_BYTES);
    preserveAll(device, [empty, hole, blocks]);
    pwrite(blocks.fd, bytesOf("late"), 2 * PAGE_BYTES);
  },
  () => {
    using device = Device.open();
    const [empty, hole, blocks] = retrieveAll(device, 3).map((file) => file.fd);
    assertEquals(fstat(empty!).size, 0);
    const island = new Uint8Array(64 * PAGE_BYTES);
    island.set(bytesOf("island"), 32 * PAGE_BYTES);
    assertEquals(readWhole(hole!, fstat(hole!).size), island);
    const late = new Uint8Array(4 * PAGE_BYTES);
    late.set(bytesOf("late"), 2 * PAGE_BYTES);
    assertEquals(readWhole(blocks!, fstat(blocks!).size), late);
  },
]);

await across("derived 16: the position is that of the freeze, wherever it was at the preservation", [
  () => {
    using device = Device.open();
    const [moved, left] = [memfdOf("0123456789"), memfdOf("0123456789")];
    seek(left.fd, 5, "set");
    preserveAll(device, [moved, left]);
    seek(moved.fd, 3, "set");
  },
  () => {
    using device = Device.open();
    assertEquals(retrieveAll(device, 2).map(({ fd }) => seek(fd, 0, "cur")), [3, 5]);
  },
]);

await across("derived 16: seals arrive, those of after the preservation too (the kernel loses them)", [
  () => {
    using device = Device.open();
    const [sealed, open, late] = [memfdOf("sealed"), memfdOf("open"), memfdOf("late")];
    addSeals(sealed.fd, SEALS.GROW | SEALS.SHRINK | SEALS.WRITE | SEALS.SEAL);
    preserveAll(device, [sealed, open, late]);
    addSeals(late.fd, SEALS.FUTURE_WRITE | SEALS.GROW);
  },
  () => {
    using device = Device.open();
    const [sealed, open, late] = retrieveAll(device, 3).map((file) => file.fd);
    const seals = [sealed!, open!, late!].map(getSeals);
    assertEquals(seals, [
      SEALS.GROW | SEALS.SHRINK | SEALS.WRITE | SEALS.SEAL,
      0,
      SEALS.FUTURE_WRITE | SEALS.GROW,
    ]);
    addSeals(open!, SEALS.WRITE);
  },
]);

Deno.test("derived 16: a memfd on huge pages is ENOENT where memfds alone have a handler, as in the kernel", () => {
  let huge: OwnedFd;
  try {
    huge = hugeMemfd("huge");
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    console.log(`ignored: this kernel has no huge pages (${error.message})`);
    return;
  }
  using _huge = huge;
  using device = Device.open();
  using session = device.createSession("web");
  for (const handler of [shmHandler, fileHandler]) unregisterHandler(handler);
  try {
    assertLuoError(() => session.preserveFd(huge, 1n), "ENOENT");
    assertEquals(session.files(), []);
  } finally {
    for (const handler of [shmHandler, fileHandler]) registerHandler(handler);
  }
  // The kernel has no handler for huge pages; here there is one, and it is not that of memfds either.
  session.preserveFd(huge, 1n);
  assertEquals(session.files().map(({ compatible }) => compatible), [shmHandler.compatible]);
});
