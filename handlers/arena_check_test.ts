import { assertEquals } from "@std/assert";
import { encodeLuo } from "../kho/abi/luo.ts";
import type { IncomingKho } from "../kho/incoming.ts";
import { makeIncoming } from "../kho/samples_test.ts";
import { Device } from "../luo/device.ts";
import { DryRun } from "../luo/dry_run.ts";
import { assertLuoError } from "../luo/helpers_test.ts";
import { LUO_SUBTREE, Orchestrator } from "../luo/orchestrator.ts";
import type { Arena } from "./arena.ts";
import {
  arenaWorld,
  createArena,
  preserveText,
  registerArena,
  takeArena,
  textOf,
} from "./arena_helpers_test.ts";
import { encodeArena, packRange } from "./arena_record.ts";

/** A handover as a check has it: bytes, and no descriptor. */
function previewOf(luo: Orchestrator): IncomingKho {
  return makeIncoming({
    blobs: luo.outgoing.blobs(),
    subtrees: { [LUO_SUBTREE]: encodeLuo(luo.describe()) },
  });
}

/** A handover with these slices in an arena of 640 bytes, written by somebody else. */
function forged(slices: bigint[], arena = encodeArena({ fd: 9, size: 640, held: [] })): IncomingKho {
  const files = slices.map((data, at) => ({ compatible: "arena-slice-v1", data, token: BigInt(at) }));
  return makeIncoming({
    blobs: [arena],
    subtrees: {
      [LUO_SUBTREE]: encodeLuo({
        flbs: [{ compatible: "arena-v1", count: BigInt(slices.length), data: 1n }],
        number: 1n,
        sessions: [{ name: "s", files }],
      }),
    },
  });
}

/** A check of that handover, with its device open. */
function check(kho: IncomingKho): { luo: Orchestrator; device: Device; dry: DryRun } {
  const luo: Orchestrator = new Orchestrator(kho, (record, session) => dry.reader(record, session));
  const dry = new DryRun(luo.registry, kho);
  registerArena(luo);
  return { luo, device: Device.open(luo), dry };
}

function verdicts(dry: DryRun): unknown {
  return dry.findings.map(({ token, verdict }) => [token, verdict]);
}

Deno.test("in a check the arena is memory of its own, with the slices where they are", () => {
  using world = arenaWorld();
  using old = createArena({ size: 640 }, world.luo);
  using session = world.device.createSession("s");
  preserveText(old, session, 1n, "first");
  preserveText(old, session, 2n, "second");
  old.allocate(1);
  const { luo, device, dry } = check(previewOf(world.luo));
  const arena = takeArena(luo) as Arena;
  assertEquals([arena.size, arena.free, arena.id === old.id], [640, 512, false]);
  using back = device.retrieveSession("s");
  for (const [token, offset, size] of [[2n, 64, 6], [1n, 0, 5]] as const) {
    using fd = back.retrieveFd(token);
    const slice = arena.slice(fd);
    assertEquals([slice.offset, slice.size, textOf(slice)], [offset, size, "\0".repeat(size)]);
    slice.bytes.fill(1);
  }
  assertEquals(arena.allocate(100).offset, 128);
  assertEquals(textOf(old.at(0)!), "first");
  assertEquals([verdicts(dry), dry.flbProblem(luo.flbs)], [[[1n, "ok"], [2n, "ok"]], null]);
  assertEquals(dry.findings.every(({ taken }) => taken), true);
});

Deno.test("a check of an application that takes only files leaves the arena alone", () => {
  const { device, dry, luo } = check(forged([packRange({ offset: 64, size: 5 })]));
  using back = device.retrieveSession("s");
  back.retrieveFd(0n)[Symbol.dispose]();
  assertEquals([verdicts(dry), dry.flbProblem(luo.flbs)], [[[0n, "ok"]], null]);
});

Deno.test("a check finds every slice that is none, and goes on", () => {
  const slices = [0n, packRange({ offset: 0, size: 65 }), packRange({ offset: 64, size: 1 })];
  const { device, dry } = check(forged(slices));
  using back = device.retrieveSession("s");
  for (let token = 0n; token < 3n; token++) back.retrieveFd(token)[Symbol.dispose]();
  assertEquals(verdicts(dry), [[0n, "unsupported"], [1n, "ok"], [2n, "unsupported"]]);
  const [first, , third] = dry.findings;
  assertEquals(first?.reason, "Cannot read the slice at 0 of the handover: it has no bytes");
  assertEquals(third?.reason, "Cannot read the slice at 64: it overlaps another one");
});

Deno.test("a check refuses an arena that cannot be read, or in which the slices do not lie", () => {
  const inside = packRange({ offset: 576, size: 64 });
  const outside = packRange({ offset: 576, size: 65 });
  const problemOf = (kho: IncomingKho): string | null => {
    const { dry, luo } = check(kho);
    return dry.flbProblem(luo.flbs);
  };
  assertEquals(problemOf(forged([inside])), null);
  const action = 'Cannot take back FLB "arena-v1": ';
  const state = "Cannot read the arena: a slice ends beyond its 640 bytes";
  assertEquals(problemOf(forged([inside, outside].slice(1))), action + state);
  const newer = new Uint8Array([0x82, 2, 0xa0]);
  const version = "Cannot read a record of arena-v1: it has version 2, this build reads 1 to 1";
  assertEquals(problemOf(forged([inside], newer)), action + version);
  assertLuoError(() => takeArena(check(forged([inside], newer)).luo), "EIO", version);
});
