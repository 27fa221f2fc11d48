import { assertEquals, assertRejects, assertThrows } from "@std/assert";

import { LuoError } from "../../luo/errors.ts";
import { shmName } from "../../sys/helpers_test.ts";
import { fstat, listFds, openFile, SysError, truncate } from "../../sys/mod.ts";
import { allocate, shmOpen } from "../../sys/shm.ts";
import { coldSide, commit, nextSide, type Side } from "../helpers_test.ts";
import type { SegmentHolder, Settling } from "../segment.ts";
import { takeShm } from "./shm.ts";

/** What an application has of its life here: its names, and its segments. */
function holderOf({ resources }: Side): SegmentHolder & { segments: Set<Settling> } {
  const segments = new Set<Settling>();
  return {
    resources,
    segments,
    addSegment: (segment) => void segments.add(segment),
    removeSegment: (segment) => void segments.delete(segment),
  };
}

/** Room that a file has, in bytes. */
function roomOf(path: string): number {
  return (Deno.statSync(path).blocks ?? 0) * 512;
}

async function refused(taking: Promise<unknown>, code: string, text = ""): Promise<void> {
  const error = await assertRejects(() => taking, Error, text);
  if (!(error instanceof LuoError || error instanceof SysError)) throw error;
  assertEquals(error.code, code, error.message);
}

Deno.test("takeShm() creates memory that others open by name, with room for all of it", async () => {
  using place = shmName();
  const holder = holderOf(coldSide());
  const memory = await takeShm(holder, "table", place.name, { size: 100_000, mode: 0o640 });
  const { size, mode } = Deno.statSync(place.path);
  assertEquals([size, mode! & 0o777, roomOf(place.path)], [100_000, 0o640, 102_400]);
  memory.bytes.set([1, 2, 3], 99_000);
  assertEquals([...Deno.readFileSync(place.path).subarray(99_000, 99_004)], [1, 2, 3, 0]);
  assertEquals([memory.name, memory.shmName, memory.size, memory.path], [
    "table",
    place.name,
    100_000,
    "same",
  ]);
  assertEquals([...holder.segments], [memory]);
  memory.drop();
  assertEquals([holder.segments.size, holder.resources.names()], [0, []]);
  assertEquals(Deno.statSync(place.path).size, 100_000, "the name is not Heirloom's to remove");
});

Deno.test("takeShm() opens what is there: its content stays, it is never cut, it grows at the commit", async () => {
  using place = shmName();
  Deno.writeTextFileSync(place.path, "0123456789");
  const holder = holderOf(coldSide());
  const larger = await takeShm(holder, "a", place.name, { size: 10_000, create: false });
  assertEquals([larger.bytes.length, larger.size, roomOf(place.path)], [10, 10, 12_288]);
  larger.settle();
  assertEquals([larger.bytes.length, larger.size], [10_000, 10_000]);
  const smaller = await takeShm(holder, "b", place.name, { size: 5 });
  smaller.settle();
  assertEquals([new TextDecoder().decode(smaller.bytes.slice()), smaller.size], ["01234", 10_000]);
  larger.drop();
  smaller.drop();
});

Deno.test("takeShm() in the next build gets the memory that was open, whatever its name leads to", async () => {
  using place = shmName();
  const old = coldSide();
  const first = await takeShm(holderOf(old), "table", place.name, { size: 4096 });
  first.bytes[0] = 7;
  const { ino } = fstat(first.fd);
  Deno.removeSync(place.path);
  Deno.writeTextFileSync(place.path, "somebody else's");
  const side = nextSide(old);
  const memory = await takeShm(holderOf(side), "table", place.name, { size: 8192 });
  assertEquals([memory.bytes.length, memory.bytes[0], fstat(memory.fd).ino], [4096, 7, ino]);
  commit(side);
  memory.settle();
  assertEquals([memory.bytes.length, memory.bytes[0], memory.path], [8192, 7, "replaced"]);
  assertEquals([memory.unlink(), Deno.readTextFileSync(place.path)], [false, "somebody else's"]);
  Deno.removeSync(place.path);
  assertEquals([memory.path, memory.unlink()], ["unlinked", false]);
  memory.drop();
});

Deno.test("SharedMemory.unlink() removes the name once, and the memory stays", async () => {
  using place = shmName();
  const memory = await takeShm(holderOf(coldSide()), "table", place.name, { size: 10 });
  assertEquals([memory.unlink(), memory.path, memory.unlink()], [true, "unlinked", false]);
  memory.bytes[0] = 1;
  assertEquals(memory.bytes[0], 1);
  memory.drop();
  assertThrows(() => memory.bytes, TypeError);
});

Deno.test("SharedMemory.bytes shows what is left when somebody else has made it smaller", async () => {
  using place = shmName();
  const memory = await takeShm(holderOf(coldSide()), "table", place.name, { size: 8192 });
  const view = memory.bytes;
  view[0] = 9;
  truncate(openFile(place.path, { write: true }).fd, 4096);
  assertEquals([memory.bytes.length, memory.bytes[0], view.length], [4096, 9, 0]);
  truncate(memory.fd, 0);
  assertEquals(memory.bytes.length, 0);
  truncate(memory.fd, 20_000);
  assertEquals(memory.bytes.length, 8192, "never more than was asked for");
  memory.drop();
});

Deno.test("takeShm() takes memory that was cut in between, and grows it at the commit", async () => {
  using place = shmName();
  const old = coldSide();
  const first = await takeShm(holderOf(old), "table", place.name, { size: 8192 });
  truncate(first.fd, 1);
  const side = nextSide(old);
  const memory = await takeShm(holderOf(side), "table", place.name, { size: 8192 });
  assertEquals([memory.bytes.length, roomOf(place.path)], [1, 8192]);
  commit(side);
  memory.settle();
  assertEquals(memory.bytes.length, 8192);
  memory.drop();
});

Deno.test("takeShm() says what is wrong, and leaves nothing behind", async () => {
  using place = shmName();
  const holder = holderOf(coldSide());
  const before = listFds().length;
  const take = (shm: string, options = {}): Promise<unknown> =>
    takeShm(holder, "table", shm, { size: 4096, ...options });
  for (const bad of ["", "/", "x", "/a/b", "//a", "/.", "/..", "/a\0", `/${"x".repeat(255)}`, "/\ud800"]) {
    await refused(take(bad), "EINVAL", "such a name is a slash and 1 to 254 bytes");
  }
  for (const size of [0, -1, 1.5, NaN, 2 ** 53]) {
    await assertRejects(() => take(place.name, { size }), RangeError, `size ${size} is no positive integer`);
  }
  await refused(take(place.name, { create: false }), "ENOENT", `there is no ${place.path}`);
  // Asking a tmpfs without a limit for that would end the machine.
  await refused(
    take(place.name, { size: 2 ** 52 }),
    "ENOMEM",
    `${2 ** 52} bytes are asked for, this machine has`,
  );
  assertThrows(() => Deno.statSync(place.path), Deno.errors.NotFound);
  Deno.mkdirSync(place.path);
  await refused(take(place.name), "EINVAL", `${place.path} is a directory`);
  Deno.removeSync(place.path);
  Deno.symlinkSync("/etc/passwd", place.path);
  await refused(take(place.name), "ELOOP");
  Deno.removeSync(place.path);
  assertEquals(new Deno.Command("mkfifo", { args: [place.path] }).outputSync().success, true);
  await refused(take(place.name), "EINVAL", `${place.path} is a FIFO`);
  Deno.removeSync(place.path);
  assertEquals([holder.resources.names(), holder.segments.size, listFds().length - before], [[], 0, 0]);
  const memory = await takeShm(holder, "table", place.name, { size: 4096 });
  await refused(take(place.name), "EEXIST", "it is in use");
  memory.drop();
});

Deno.test("takeShm() that fails in the next build can be tried again", async () => {
  using place = shmName();
  const old = coldSide();
  const first = await takeShm(holderOf(old), "table", place.name, { size: 4096 });
  const side = nextSide(old);
  const holder = holderOf(side);
  await refused(takeShm(holder, "table", place.name, { size: 2 ** 52 }), "ENOMEM");
  const refusing: SegmentHolder = {
    ...holder,
    addSegment() {
      throw new LuoError("EIO", "told to fail");
    },
  };
  await refused(takeShm(refusing, "table", place.name, { size: 4096 }), "EIO");
  const memory = await takeShm(holder, "table", place.name, { size: 4096 });
  assertEquals(fstat(memory.fd).ino, fstat(first.fd).ino);
  commit(side);
  memory.drop();
});

Deno.test("takeShm() that fails after it has created memory removes the name", async () => {
  using place = shmName();
  const refusing: SegmentHolder = {
    ...holderOf(coldSide()),
    addSegment() {
      throw new LuoError("EIO", "told to fail");
    },
  };
  await refused(takeShm(refusing, "table", place.name, { size: 4096 }), "EIO");
  assertThrows(() => Deno.statSync(place.path), Deno.errors.NotFound);
  // What was there before is not removed.
  allocate(shmOpen(place.name, { create: true }).fd, 0, 4096);
  await refused(takeShm(refusing, "table", place.name, { size: 4096 }), "EIO");
  assertEquals(Deno.statSync(place.path).size, 4096);
});
