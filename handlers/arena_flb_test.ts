import { assert, assertEquals, assertThrows } from "@std/assert";
import { decodeLuo } from "../kho/abi/luo.ts";
import { assertLuoError } from "../luo/helpers_test.ts";
import type { Orchestrator } from "../luo/orchestrator.ts";
import { isOpenFd, listFds } from "../sys/mod.ts";
import type { Arena } from "./arena.ts";
import {
  arenaWorld,
  createArena,
  handOver,
  nextWorld,
  preserveText,
  retrieveText,
  takeArena,
} from "./arena_helpers_test.ts";
import { decodeArena } from "./arena_record.ts";

/** How many descriptors and blobs a handover has. */
function sizes({ outgoing }: Orchestrator): [fds: number, blobs: number] {
  return [outgoing.fds().length, outgoing.blobs().filter((blob) => blob.length > 0).length];
}

Deno.test("arena-v1 is preserved once, with the first slice of any session, until the last is gone", () => {
  using world = arenaWorld();
  using arena = createArena({ size: 4096 }, world.luo);
  assertEquals(sizes(world.luo), [0, 0]);
  const one = world.device.createSession("one");
  const two = world.device.createSession("two");
  preserveText(arena, one, 1n, "a");
  assertEquals(sizes(world.luo), [1, 1]);
  assertEquals(world.luo.outgoing.fds()[0]?.fd, arena.fd);
  preserveText(arena, one, 2n, "b");
  preserveText(arena, two, 1n, "c");
  assertEquals(sizes(world.luo), [1, 1]);
  const [record] = world.luo.flbs.records();
  assertEquals([record?.compatible, record?.count], ["arena-v1", 3n]);
  one[Symbol.dispose]();
  assertEquals(sizes(world.luo), [1, 1]);
  two[Symbol.dispose]();
  assertEquals([sizes(world.luo), world.luo.flbs.records()], [[0, 0], []]);
});

Deno.test("what crosses says where the slices lie that are held at the jump, and no others", () => {
  using world = arenaWorld();
  const arena = createArena({ size: 4096 }, world.luo);
  const session = world.device.createSession("s");
  const [first, , third] = ["1", "2", "3", "4"].map((text, at) =>
    preserveText(arena, session, BigInt(at), text)
  );
  arena.allocate(64);
  session.unpreserveFd(1n);
  const kho = handOver(world.luo);
  const { flbs, sessions } = decodeLuo(kho.subtree("luo") ?? new Uint8Array());
  const record = decodeArena(kho.blob(flbs[0]?.data ?? 0n), "arena-v1");
  assertEquals(record, { fd: arena.fd, size: 4096, held: [{ start: 0, end: 1 }, { start: 2, end: 4 }] });
  assertEquals(sessions[0]?.files.map(({ data }) => data), [1n, (2n << 32n) + 1n, (3n << 32n) + 1n]);
  assertEquals([first?.offset, third?.offset], [0, 128]);
  kho.commit();
});

Deno.test("after a jump that did not happen everything is as before, and the next one is right again", () => {
  using world = arenaWorld();
  using arena = createArena({ size: 4096 }, world.luo);
  using session = world.device.createSession("s");
  preserveText(arena, session, 1n, "one");
  const held = (): unknown => {
    const { data } = world.luo.freeze().flbs[0] ?? { data: 0n };
    world.luo.unfreeze();
    return decodeArena(world.luo.outgoing.blobs()[Number(data) - 1] ?? new Uint8Array(), "x").held;
  };
  assertEquals(held(), [{ start: 0, end: 1 }]);
  const two = preserveText(arena, session, 2n, "two");
  assertEquals(held(), [{ start: 0, end: 2 }]);
  session.unpreserveFd(2n);
  two[Symbol.dispose]();
  assertEquals(held(), [{ start: 0, end: 1 }]);
});

Deno.test("what was left for slices is not free before the last session is finished", () => {
  using before = arenaWorld();
  const old = createArena({ size: 640 }, before.luo);
  const [one, two] = ["one", "two"].map((name) => before.device.createSession(name));
  for (let token = 0n; token < 4n; token++) preserveText(old, one!, token, "1");
  for (let token = 0n; token < 4n; token++) preserveText(old, two!, token, "2");
  old.allocate(1);
  using world = nextWorld(before);
  const arena = takeArena(world.luo) as Arena;
  assertEquals(arena.free, 128);
  assertEquals(arena.allocate(128).offset, 512);
  assertLuoError(() => arena.allocate(1), "ENOSPC");
  const [first, second] = ["one", "two"].map((name) => world.device.retrieveSession(name));
  const kept = retrieveText(arena, first!, 2n, "1");
  first?.finish();
  assertEquals(arena.free, 0);
  retrieveText(arena, second!, 0n, "2");
  second?.[Symbol.dispose]();
  assertEquals(arena.free, 3 * 64 + 3 * 64);
  assertEquals(arena.slices().map(({ offset }) => offset), [128, 256, 512]);
  kept[Symbol.dispose]();
  assertEquals(arena.allocate(4 * 64).offset, 0);
  arena[Symbol.dispose]();
});

Deno.test("the arena is taken back on demand, once, and finished with the last file", () => {
  using before = arenaWorld();
  const old = createArena({ size: 4096 }, before.luo);
  const session = before.device.createSession("s");
  preserveText(old, session, 1n, "x");
  const start = listFds();
  using world = nextWorld(before);
  const held = old.fd;
  const kho = world.kho!;
  assertEquals(kho.borrowFd(held), held);
  const back = world.device.retrieveSession("s");
  using fd = back.retrieveFd(1n);
  const arena = takeArena(world.luo) as Arena;
  assert(takeArena(world.luo) === arena);
  assertEquals([arena.fd === held, arena.id], [false, old.id]);
  assertLuoError(() => arena[Symbol.dispose](), "EBUSY");
  back.finish();
  assertThrows(() => kho.borrowFd(held), Error, "does not hold it");
  assertEquals(isOpenFd(held), true);
  kho.commit();
  assertEquals(isOpenFd(held), false);
  assertEquals(new TextDecoder().decode(arena.slice(fd).bytes), "x");
  assert(takeArena(world.luo) === arena);
  arena[Symbol.dispose]();
  assertEquals(takeArena(world.luo), null);
  back[Symbol.dispose]();
  world[Symbol.dispose]();
  fd[Symbol.dispose]();
  assertEquals(listFds(), start.filter((each) => each !== held));
});

Deno.test("the third build gets what the second one preserved again", () => {
  using first = arenaWorld();
  const one = first.device.createSession("s");
  const made = createArena({ size: 4096 }, first.luo);
  for (let token = 0n; token < 3n; token++) preserveText(made, one, token, `slice ${token}`);
  using second = nextWorld(first);
  const arena = takeArena(second.luo) as Arena;
  const back = second.device.retrieveSession("s");
  const slices = [0n, 1n].map((token) => retrieveText(arena, back, token, `slice ${token}`));
  back.finish();
  const again = second.device.createSession("s");
  again.preserveFd(slices[1]!.fd, 1n);
  preserveText(arena, again, 7n, "new");
  using third = nextWorld(second);
  const last = takeArena(third.luo) as Arena;
  const end = third.device.retrieveSession("s");
  assertEquals(retrieveText(last, end, 1n, "slice 1").offset, 64);
  assertEquals(retrieveText(last, end, 7n, "new").offset, 128);
  end.finish();
  assertEquals([last.id, last.free], [made.id, 4096 - 128]);
});
