import { assert, assertEquals, assertThrows } from "@std/assert";
import { HandoverError } from "../kho/errors.ts";
import { assertLuoError } from "../luo/helpers_test.ts";
import {
  addSeals,
  createMemfd,
  dupFd,
  getCloexec,
  getSeals,
  listFds,
  openFile,
  pwrite,
  SEALS,
  seek,
  SysError,
  truncate,
} from "../sys/mod.ts";
import { ArenaMemory } from "./arena_memfd.ts";
import { Arena } from "./arena_memory.ts";
import { MAX_ARENA_BYTES, MAX_SLICE_BYTES } from "./arena_record.ts";
import type { Slice } from "./arena_slice.ts";
import { ARENA_MEMFD } from "./memfd.ts";

Deno.test("Arena gives out slices of zeros, first fit, each at a multiple of 64", () => {
  using arena = Arena.create(1000);
  assertEquals([arena.size, arena.free], [1024, 1024]);
  const [one, two, three] = [1, 64, 65].map((size) => arena.allocate(size)) as [Slice, Slice, Slice];
  assertEquals([one, two, three].map(({ offset, size }) => [offset, size]), [[0, 1], [64, 64], [128, 65]]);
  assertEquals(arena.free, 1024 - 64 - 64 - 128);
  two.bytes.fill(7);
  assertEquals(arena.bytes.subarray(63, 129).join(), [0, ...Array(64).fill(7), 0].join());
  two[Symbol.dispose]();
  assertEquals(two.freed, true);
  const again = arena.allocate(10);
  assertEquals([again.offset, again.bytes.join()], [64, Array(10).fill(0).join()]);
  assertEquals(arena.slices().map(({ offset }) => offset), [0, 64, 128]);
});

Deno.test("Arena refuses sizes that are none, and what does not fit in one piece", () => {
  for (const size of [0, -64, 1.5, MAX_ARENA_BYTES + 1, NaN]) {
    assertLuoError(() => Arena.create(size), "EINVAL", `Cannot create an arena of ${size} bytes`);
  }
  using arena = Arena.create(256);
  for (const size of [0, -1, 0.5, MAX_SLICE_BYTES + 1, Infinity]) {
    assertLuoError(() => arena.allocate(size), "EINVAL", `Cannot allocate ${size} bytes`);
  }
  assertLuoError(() => arena.allocate(257), "ENOSPC", "256 of 256 are free, not in one piece");
  const [first, , third] = [64, 64, 64, 64].map((size) => arena.allocate(size));
  assertLuoError(() => arena.allocate(1), "ENOSPC", "0 of 256 are free");
  first?.[Symbol.dispose]();
  third?.[Symbol.dispose]();
  assertLuoError(() => arena.allocate(128), "ENOSPC", "128 of 256 are free");
  assertEquals(arena.allocate(64).offset, 0);
});

Deno.test("Arena cannot grow or shrink, and its descriptors are closed by an exec", () => {
  using arena = Arena.create(4096);
  const slice = arena.allocate(100);
  assertEquals(getSeals(arena.fd), SEALS.SHRINK | SEALS.GROW | SEALS.SEAL);
  for (const fd of [arena.fd, slice.fd]) {
    assertEquals(getCloexec(fd), true);
    for (const size of [0, 8192]) {
      assertEquals(assertThrows(() => truncate(fd, size), SysError).code, "EPERM");
    }
  }
});

Deno.test("Arena knows a slice by any duplicate, also when its position was moved", () => {
  using arena = Arena.create(4096);
  const slices = [1, 2, 3].map(() => arena.allocate(100)) as [Slice, Slice, Slice];
  for (const slice of slices) {
    using copy = dupFd(slice.fd);
    assertEquals(seek(copy.fd, 0, "cur"), slice.offset);
    assert(arena.slice(copy) === slice);
    assert(arena.slice(copy.fd) === slice);
  }
  const [first, second] = slices;
  for (const position of [0, second.offset, 77]) {
    seek(first.fd, position, "set");
    assert(arena.slice(first.fd) === first, `at ${position}`);
  }
});

Deno.test("Arena takes nothing else for a slice", () => {
  using arena = Arena.create(4096);
  using other = Arena.create(4096);
  const foreign = other.allocate(10);
  arena.allocate(10);
  using again = openFile(`/proc/self/fd/${arena.fd}`, { read: true, write: true });
  using closed = dupFd(arena.fd);
  closed[Symbol.dispose]();
  for (const fd of [arena.fd, again.fd, foreign.fd, 0]) {
    assertLuoError(() => arena.slice(fd), "ENOENT", `Cannot find the slice of fd ${fd}`);
  }
  for (const fd of [closed, -1]) assertLuoError(() => arena.slice(fd), "EBADF");
});

Deno.test("A slice that was freed is no longer one", () => {
  using arena = Arena.create(4096);
  const slice = arena.allocate(10);
  using copy = dupFd(slice.fd);
  slice[Symbol.dispose]();
  slice[Symbol.dispose]();
  assertLuoError(() => slice.bytes, "EBADF", "Cannot use the slice at 0: it is freed");
  assertLuoError(() => slice.fd, "EBADF");
  assertLuoError(() => arena.slice(copy), "ENOENT");
  assertEquals([arena.free, arena.slices().length], [4096, 0]);
});

Deno.test("Arena goes with everything that belongs to it", () => {
  const before = listFds();
  const arena = Arena.create(4096);
  const slice = arena.allocate(10);
  const { bytes } = slice;
  arena[Symbol.dispose]();
  arena[Symbol.dispose]();
  assertEquals([arena.disposed, slice.freed, bytes.length], [true, true, 0]);
  slice[Symbol.dispose]();
  assertLuoError(() => arena.allocate(1), "EBADF", "it is disposed of");
  assertLuoError(() => arena.slice(0), "ENOENT");
  assertEquals(listFds(), before);
});

Deno.test("ArenaMemory takes over only what it is", () => {
  const before = listFds();
  const refused = (fd: number, text: string): void => {
    const error = assertThrows(() => ArenaMemory.adopt(fd, 4096), HandoverError, text);
    assertEquals(error.code, "WRONG_DESCRIPTOR");
  };
  {
    using other = createMemfd("other", { size: 4096 });
    refused(other.fd, 'it is no memfd "heirloom-arena"');
    using small = createMemfd(ARENA_MEMFD, { size: 64 });
    refused(small.fd, "it has 64 bytes instead of 4096");
    using open = createMemfd(ARENA_MEMFD, { size: 4096 });
    refused(open.fd, "its size is not sealed");
    addSeals(open.fd, SEALS.GROW);
    refused(open.fd, "its size is not sealed");
    addSeals(open.fd, SEALS.SHRINK);
    using memory = ArenaMemory.adopt(open.fd, 4096);
    pwrite(open.fd, new Uint8Array([9]), 5);
    assertEquals([memory.bytes[5], memory.fd === open.fd], [9, false]);
    addSeals(open.fd, SEALS.FUTURE_WRITE);
    assertEquals(assertThrows(() => ArenaMemory.adopt(open.fd, 4096), SysError).code, "EPERM");
  }
  assertEquals(listFds(), before);
});
