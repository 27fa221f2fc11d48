import { assert, assertEquals } from "@std/assert";
import { assertLuoError } from "../luo/helpers_test.ts";
import { dupFd, fstat, listFds, seek } from "../sys/mod.ts";
import type { Arena } from "./arena.ts";
import {
  arenaWorld,
  createArena,
  handOver,
  nextWorld,
  preserveText,
  retrieveText,
  takeArena,
  textOf,
} from "./arena_helpers_test.ts";
import { ArenaSliceHandler } from "./arena_slice_handler.ts";

Deno.test("a slice is a file of arena-slice-v1, by any duplicate; the arena itself is none", () => {
  using world = arenaWorld();
  using arena = createArena({ size: 4096 }, world.luo);
  const slice = arena.allocate(100);
  using copy = dupFd(slice.fd);
  using session = world.device.createSession("s");
  session.preserveFd(copy, 1n);
  copy[Symbol.dispose]();
  assertEquals(session.files().map(({ compatible }) => compatible), ["arena-slice-v1"]);
  assertLuoError(() => session.preserveFd(arena.fd, 2n), "ENOENT", "no handler accepts");
  using foreign = dupFd(slice.fd);
  using other = arenaWorld();
  using elsewhere = other.device.createSession("s");
  assertLuoError(() => elsewhere.preserveFd(foreign, 1n), "ENOENT", "no handler accepts");
});

Deno.test("two slices may be preserved, one of them twice may not, in whatever session", () => {
  using world = arenaWorld();
  using arena = createArena({ size: 4096 }, world.luo);
  const [one, two] = [arena.allocate(10), arena.allocate(10)];
  const { dev, ino } = fstat(arena.fd);
  const id = world.luo.registry.get("arena-slice-v1")?.getId?.({ fd: two.fd });
  assertEquals(id, `arena:${dev}:${ino}:64`);
  using session = world.device.createSession("s");
  using other = world.device.createSession("t");
  session.preserveFd(one.fd, 1n);
  other.preserveFd(two.fd, 1n);
  for (const each of [session, other]) {
    assertLuoError(() => each.preserveFd(one.fd, 2n), "EBUSY", "held already");
    assertLuoError(() => each.preserveFd(two.fd, 2n), "EBUSY", "held already");
  }
  session.unpreserveFd(1n);
  other.preserveFd(one.fd, 2n);
});

Deno.test("a slice that an outgoing session holds cannot be freed", () => {
  using world = arenaWorld();
  using arena = createArena({ size: 4096 }, world.luo);
  const slice = arena.allocate(10);
  {
    using session = world.device.createSession("s");
    session.preserveFd(slice.fd, 1n);
    const text = "Cannot free the slice at 0: LUO holds it until it is unpreserved";
    assertLuoError(() => slice[Symbol.dispose](), "EBUSY", text);
    assertLuoError(() => arena[Symbol.dispose](), "EBUSY", "LUO holds slices of it");
    assertEquals([slice.freed, slice.holder, arena.free], [false, "outgoing", 4032]);
  }
  assertEquals(slice.holder, null);
  slice[Symbol.dispose]();
  assertEquals(arena.free, 4096);
});

Deno.test("slices come back with content and place, and with a description of their own", () => {
  using before = arenaWorld();
  const old = createArena({ size: 4096 }, before.luo);
  const session = before.device.createSession("s");
  const slices = ["one", "two", "three"].map((text, at) => preserveText(old, session, BigInt(at), text));
  slices[0]?.bytes.set([0x4f]);
  using world = nextWorld(before);
  const arena = takeArena(world.luo) as Arena;
  const back = world.device.retrieveSession("s");
  const found = ["One", "two", "three"].map((text, at) => retrieveText(arena, back, BigInt(at), text));
  assertEquals(found.map(({ offset }) => offset), [0, 64, 128]);
  for (const { fd, offset } of found) assertEquals(seek(fd, 0, "cur"), offset);
  using again = back.retrieveFd(1n);
  assert(arena.slice(again) === found[1]);
  back.finish();
  assert(arena.slice(again) === found[1]);
  assertEquals(found.map(textOf), ["One", "two", "three"]);
});

Deno.test("a slice is held until its session is finished, and then the application's", () => {
  using before = arenaWorld();
  const session = before.device.createSession("s");
  preserveText(createArena({ size: 4096 }, before.luo), session, 1n, "kept");
  using world = nextWorld(before);
  const arena = takeArena(world.luo) as Arena;
  const back = world.device.retrieveSession("s");
  const slice = retrieveText(arena, back, 1n, "kept");
  using next = world.device.createSession("s");
  assertLuoError(() => next.preserveFd(slice.fd, 1n), "EBUSY", "held already");
  const text = "Cannot free the slice at 0: LUO holds it until its session is finished";
  assertLuoError(() => slice[Symbol.dispose](), "EBUSY", text);
  back.finish();
  next.preserveFd(slice.fd, 1n);
  next.unpreserveFd(1n);
  slice[Symbol.dispose]();
  assertEquals(arena.free, 4096);
  arena[Symbol.dispose]();
});

Deno.test("a record that names no slice of the previous build fails for good, and the others do not", () => {
  using before = arenaWorld();
  const old = createArena({ size: 4096 }, before.luo);
  const session = before.device.createSession("s");
  preserveText(old, session, 1n, "one");
  preserveText(old, session, 2n, "two");
  // What is said of the second slice is wrong by one unit.
  const handler = before.luo.registry.get("arena-slice-v1") as ArenaSliceHandler;
  handler.freeze = (args): void => {
    ArenaSliceHandler.prototype.freeze.call(handler, args);
    if (args.token === 2n) args.serializedData += 1n << 32n;
  };
  using world = nextWorld(before);
  const arena = takeArena(world.luo) as Arena;
  const back = world.device.retrieveSession("s");
  for (let time = 0; time < 2; time++) {
    assertLuoError(() => back.retrieveFd(2n), "EIO", "the previous build left no 3 bytes there");
  }
  retrieveText(arena, back, 1n, "one");
  back.finish();
  assertEquals(arena.free, 4032);
  arena[Symbol.dispose]();
});

Deno.test("descriptors: two for a slice that a session holds, one for one that is taken back", () => {
  using before = arenaWorld();
  const old = createArena({ size: 4096 }, before.luo);
  const session = before.device.createSession("s");
  const start = listFds().length;
  for (let token = 0n; token < 20n; token++) preserveText(old, session, token, "x");
  assertEquals(listFds().length - start, 40);
  const kho = handOver(before.luo);
  assertEquals(kho.record.fds.length, 1);
  using world = arenaWorld(kho);
  const arena = takeArena(world.luo) as Arena;
  const back = world.device.retrieveSession("s");
  const taken = listFds().length;
  for (let token = 0n; token < 20n; token++) retrieveText(arena, back, token, "x");
  assertEquals(listFds().length - taken, 20);
  back.finish();
  assertEquals(listFds().length - taken, 20);
  kho.commit();
  arena[Symbol.dispose]();
  // The slices, the arena, and what the handover held: segment and arena.
  assertEquals(taken - listFds().length, 3);
});
