import { assertEquals, assertThrows } from "@std/assert";

import {
  addSeals,
  createMemfd,
  fstat,
  getSeals,
  isOpenFd,
  openFile,
  SEALS,
  SysError,
  truncate,
} from "../sys/mod.ts";
import { assertLuoError, coldSide } from "./helpers_test.ts";
import { checkMemory, manage, type SegmentHolder, SharedSegment } from "./segment.ts";

/** A segment of a memfd of some size, for an application that wants another, and how often it was dropped. */
function segmentOf(
  size: number,
  wanted: number,
): { segment: SharedSegment; fd: number; drops: () => number } {
  let drops = 0;
  const owned = createMemfd("heirloom:test", { size });
  return {
    segment: new SharedSegment("test", owned, wanted, () => void drops++),
    fd: owned.fd,
    drops: () => drops,
  };
}

Deno.test("SharedSegment.bytes is the memory itself", () => {
  const { segment, fd } = segmentOf(16, 16);
  segment.bytes.set([1, 2, 3]);
  assertEquals([...Deno.readFileSync(`/proc/self/fd/${fd}`).subarray(0, 4)], [1, 2, 3, 0]);
  Deno.writeFileSync(`/proc/self/fd/${fd}`, new Uint8Array(16).fill(9));
  assertEquals([...segment.bytes], new Array(16).fill(9));
  assertEquals([segment.name, segment.fd, segment.size], ["test", fd, 16]);
  segment.drop();
});

Deno.test("SharedSegment.settle() grows what was asked for larger, and keeps what is in it", () => {
  const { segment, fd } = segmentOf(4096, 10_000);
  segment.bytes.fill(7);
  const before = segment.bytes;
  assertEquals([before.length, segment.size], [4096, 4096]);
  segment.settle();
  assertEquals([segment.bytes.length, segment.size, fstat(fd).size], [10_000, 10_000, 10_000]);
  assertEquals(segment.bytes.findIndex((byte) => byte !== 7), 4096);
  assertEquals(segment.bytes.lastIndexOf(7), 4095);
  assertEquals(before.length, 0, "an old view is detached, not dangling");
  segment.bytes[9999] = 1;
  assertEquals(Deno.readFileSync(`/proc/self/fd/${fd}`)[9999], 1);
  segment.drop();
});

Deno.test("SharedSegment.settle() keeps the size of what was asked for smaller, and shows the beginning", () => {
  const { segment } = segmentOf(10_000, 100);
  segment.settle();
  assertEquals([segment.bytes.length, segment.size], [100, 10_000]);
  segment.drop();
});

Deno.test("SharedSegment.settle() that has nothing to do leaves the view as it is", () => {
  const { segment } = segmentOf(100, 100);
  const view = segment.bytes;
  segment.settle();
  view[0] = 5;
  assertEquals(segment.bytes[0], 5);
  segment.drop();
});

Deno.test("SharedSegment.drop() lets go once: the name, the view, the descriptor", () => {
  const { segment, fd, drops } = segmentOf(16, 16);
  const view = segment.bytes;
  segment.drop();
  segment.drop();
  assertEquals([drops(), view.length, isOpenFd(fd)], [1, 0, false]);
  assertThrows(() => segment.bytes, TypeError);
  assertThrows(() => segment.fd, TypeError);
});

Deno.test("SharedSegment.settle() keeps others from making the memory smaller, but not from making it larger", () => {
  const { segment, fd } = segmentOf(8192, 8192);
  segment.settle();
  segment.settle();
  assertEquals(getSeals(fd), SEALS.SHRINK);
  using other = openFile(`/proc/self/fd/${fd}`, { write: true });
  assertEquals(assertThrows(() => truncate(other.fd, 4096), SysError).code, "EPERM");
  truncate(other.fd, 10_000);
  assertEquals([segment.size, segment.bytes.length], [10_000, 8192]);
  segment.drop();
});

Deno.test("SharedSegment.settle() does without the seal where the application has sealed against seals", () => {
  const { segment, fd } = segmentOf(10, 20);
  addSeals(fd, SEALS.SEAL);
  segment.settle();
  assertEquals([getSeals(fd), segment.bytes.length], [SEALS.SEAL, 20]);
  segment.drop();
});

Deno.test("checkMemory() refuses memory that cannot be written, or not be grown", () => {
  const check = (seals: number, wanted: number): void => {
    using memory = createMemfd("heirloom:test", { size: 4096 });
    addSeals(memory.fd, seals);
    checkMemory("test", memory.fd, wanted, null);
  };
  const start = 'Cannot take segment "test": its memory is sealed against';
  assertLuoError(() => check(SEALS.WRITE, 1), "EPERM", `${start} writing`);
  assertLuoError(() => check(SEALS.FUTURE_WRITE, 4096), "EPERM", `${start} writing`);
  assertLuoError(() => check(SEALS.GROW, 4097), "EPERM", `${start} growing, and 4097 bytes are asked for`);
  check(SEALS.GROW | SEALS.SHRINK | SEALS.SEAL, 4096);
});

Deno.test("checkMemory() refuses memory on other pages than are asked for", () => {
  using memory = createMemfd("heirloom:test", { size: 4096 });
  assertLuoError(
    () => checkMemory("test", memory.fd, 4096, 2 ** 21),
    "EEXIST",
    'Cannot take segment "test" on pages of 2048 kB: it was handed over on ordinary pages',
  );
});

Deno.test("manage() that fails leaves the name free and closes the memory", () => {
  const { resources } = coldSide();
  const holder: SegmentHolder = {
    resources,
    addSegment() {
      throw new Error("told to fail");
    },
    removeSegment() {
      throw new Error("it was never added");
    },
  };
  const fd = createMemfd("heirloom:test", { size: 10 });
  const number = fd.fd;
  resources.add("test", "segment", number);
  const make = (drop: () => void): SharedSegment => new SharedSegment("test", fd, 10, drop);
  assertThrows(() => manage(holder, { name: "test", fd }, false, make), Error, "told to fail");
  assertEquals([isOpenFd(number), resources.names()], [false, []]);
});
