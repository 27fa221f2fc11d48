import { assertEquals } from "@std/assert";
import { assertLuoError } from "../luo/helpers_test.ts";
import { listFds } from "../sys/mod.ts";
import {
  arenaWorld,
  createArena,
  type Crossing,
  nextWorld,
  preserveText,
  takeArena,
} from "./arena_helpers_test.ts";

Deno.test("an arena that nobody took goes with the last session, whoever retrieved a slice", () => {
  for (const retrieve of [false, true]) {
    using before = arenaWorld();
    const session = before.device.createSession("s");
    preserveText(createArena({ size: 4096 }, before.luo), session, 1n, "x");
    using world = nextWorld(before);
    const start = listFds();
    {
      using back = world.device.retrieveSession("s");
      if (retrieve) back.retrieveFd(1n)[Symbol.dispose]();
    }
    assertEquals(listFds(), start);
    assertEquals(takeArena(world.luo), null);
    using arena = createArena({ size: 64 }, world.luo);
    assertEquals(arena.free, 64);
    world.kho?.commit();
  }
});

Deno.test("a slice that is preserved again keeps an arena that nobody took", () => {
  using before = arenaWorld();
  const old = createArena({ size: 4096 }, before.luo);
  preserveText(old, before.device.createSession("s"), 1n, "x");
  preserveText(old, before.device.createSession("t"), 1n, "y");
  using world = nextWorld(before);
  const back = world.device.retrieveSession("s");
  using fd = back.retrieveFd(1n);
  back.finish();
  const next = world.device.createSession("s");
  next.preserveFd(fd, 1n);
  world.device.retrieveSession("t").finish();
  const start = listFds().length;
  next[Symbol.dispose]();
  // The session, its duplicate, the slice and the arena.
  assertEquals(start - listFds().length, 4);
});

Deno.test("an arena that cannot be taken over stays so, and so do its slices; then there may be another one", () => {
  const harm: [code: string, change: (crossing: Crossing) => void][] = [
    ["ENOENT", ({ fds }) => void fds.pop()],
    ["EIO", ({ blobs }) => void (blobs[0] = new Uint8Array([0]))],
  ];
  for (const [code, change] of harm) {
    using before = arenaWorld();
    const session = before.device.createSession("s");
    preserveText(createArena({ size: 4096 }, before.luo), session, 1n, "x");
    using world = nextWorld(before, change);
    const back = world.device.retrieveSession("s");
    for (let time = 0; time < 2; time++) {
      assertLuoError(() => takeArena(world.luo), code, 'Cannot retrieve FLB "arena-v1"');
      assertLuoError(() => createArena({ size: 64 }, world.luo), code);
      assertLuoError(() => back.retrieveFd(1n), code, "Cannot retrieve token 1");
    }
    back.finish();
    assertEquals(takeArena(world.luo), null);
    using arena = createArena({ size: 64 }, world.luo);
    assertEquals(arena.free, 64);
  }
});
