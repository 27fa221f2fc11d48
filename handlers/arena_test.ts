import { assert, assertEquals } from "@std/assert";
import { assertLuoError } from "../luo/helpers_test.ts";
import { Device } from "../luo/device.ts";
import { Orchestrator } from "../luo/orchestrator.ts";
import { runScriptForJson } from "../sys/helpers_test.ts";
import type { Arena } from "./arena.ts";
import {
  arenaWorld,
  createArena,
  handOver,
  nextWorld,
  preserveText,
  registerArena,
  takeArena,
} from "./arena_helpers_test.ts";
import { registerBuiltins } from "./mod.ts";

Deno.test("takeArena() is null at a cold start, also when there is an arena", () => {
  using world = arenaWorld();
  assertEquals(takeArena(world.luo), null);
  using arena = createArena({ size: 1 }, world.luo);
  assertEquals([arena.size, takeArena(world.luo)], [64, null]);
});

Deno.test("takeArena() is null when no slice crossed, whatever else did", () => {
  using before = arenaWorld();
  const arena = createArena({ size: 64 }, before.luo);
  arena.allocate(1);
  before.device.createSession("empty");
  using world = nextWorld(before);
  assertEquals(takeArena(world.luo), null);
  arena[Symbol.dispose]();
});

Deno.test("a process has one arena at a time", () => {
  using world = arenaWorld();
  const arena = createArena({ size: 64 }, world.luo);
  assertLuoError(() => createArena({ size: 64 }, world.luo), "EEXIST", "the process has one");
  arena[Symbol.dispose]();
  using again = createArena({ size: 128 }, world.luo);
  assertEquals(again.size, 128);
});

Deno.test("an arena that was handed over is taken, not made anew", () => {
  using before = arenaWorld();
  preserveText(createArena({ size: 4096 }, before.luo), before.device.createSession("s"), 1n, "x");
  using world = nextWorld(before);
  for (let time = 0; time < 2; time++) {
    assertLuoError(() => createArena({ size: 64 }, world.luo), "EEXIST", "one was handed over");
  }
  using arena = takeArena(world.luo) as Arena;
  assertEquals(arena.size, 4096);
  assertLuoError(() => createArena({ size: 64 }, world.luo), "EEXIST", "one was handed over");
  world.device.retrieveSession("s").finish();
  assert(takeArena(world.luo) === arena);
});

Deno.test("registerArena() is needed before the device is opened, and harmless after that", () => {
  using before = arenaWorld();
  preserveText(createArena({ size: 64 }, before.luo), before.device.createSession("s"), 1n, "x");
  const kho = handOver(before.luo);
  const late = new Orchestrator(kho);
  registerBuiltins(late.registry);
  assertLuoError(() => Device.open(late), "EIO", 'no handler is called "arena-slice-v1"');
  registerArena(late);
  assertLuoError(() => takeArena(late), "EIO");
  const luo = new Orchestrator(kho);
  registerArena(luo);
  registerArena(luo);
  using device = Device.open(luo);
  const arena = takeArena(luo) as Arena;
  device.retrieveSession("s").finish();
  arena[Symbol.dispose]();
});

Deno.test("takeArena() before the device is opened reads the handover itself", () => {
  using before = arenaWorld();
  preserveText(createArena({ size: 64 }, before.luo), before.device.createSession("s"), 1n, "x");
  const luo = new Orchestrator(handOver(before.luo));
  const arena = takeArena(luo) as Arena;
  assertEquals(arena.size, 64);
  using device = Device.open(luo);
  device.retrieveSession("s").finish();
  arena[Symbol.dispose]();
});

Deno.test("with HEIRLOOM=off an arena is plain memory, and without a handover it is one that may cross", async () => {
  const script = `
    import { createArena, registerArena, takeArena } from "${import.meta.resolve("./arena.ts")}";
    import { Device } from "${import.meta.resolve("../luo/device.ts")}";
    const codeOf = (body: () => unknown): string => {
      try {
        body();
        return "ok";
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    say(codeOf(registerArena));
    say(takeArena());
    using arena = createArena({ size: 100 });
    using slice = arena.allocate(10);
    slice.bytes.fill(3);
    say([slice.bytes.length, arena.free]);
    say(codeOf(() => createArena({ size: 100 })));
    say(codeOf(() => {
      using session = Device.open().createSession("s");
      session.preserveFd(slice.fd, 1n);
    }));
  `;
  const common = [null, [10, 64], "EEXIST"];
  const off = await runScriptForJson(script, { HEIRLOOM: "off" });
  assertEquals(off, ["EOPNOTSUPP", ...common, "EOPNOTSUPP"]);
  assertEquals(await runScriptForJson(script), ["ok", ...common, "ok"]);
});
