import { assertEquals, assertThrows } from "@std/assert";

import { createMemfd, fstat, isOpenFd } from "../sys/mod.ts";
import { SharedSegment } from "./segment.ts";

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
