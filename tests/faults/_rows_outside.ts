/**
 * What comes from outside while an update is under way: signals, the end of the guardian or of the command line, a second
 * update.
 *
 * @module
 */
import { assertRejects } from "@std/assert";
import { ControlCallError, delay } from "../../testing/mod.ts";
import { LOOPS, MOMENTS, PLACES, THROWS } from "./_misbehaviour.ts";
import type { Scene } from "./_scene.ts";
import type { Moment, Need, Row } from "./_types.ts";

/** What clients of a service that ends may see. */
const ENDING = { allowed: /refused|reset|closed|timeout|unsent|connect/ } as const;

/** The moment lies in the check child. */
function needsOf(at: Moment, ...more: Need[]): Need[] {
  return [...at === "checking" ? ["preflight"] as const : [], ...more];
}

function kill(signal: Deno.Signal): (scene: Scene) => Promise<void> {
  return async ({ service }) => {
    service.app.signal(signal);
    if (signal !== "SIGSEGV") return;
    // The runtime listens for the first one, in case that a stack is full; the second one finds nobody.
    await delay(100);
    service.app.signal(signal);
  };
}

const CRASHES: readonly Row[] = [
  ...PLACES.flatMap(([at, phase]) =>
    (["SIGKILL", "SIGSEGV", "SIGSTOP"] as const).map((signal): Row => ({
      group: "signal from outside",
      name: `${signal}, at ${at}`,
      phase,
      needs: ["guardian"],
      outside: { at, act: kill(signal), keepHeld: true },
      timeoutS: signal === "SIGSTOP" ? 3 : 30,
      expect: ["recovered"],
      guardian: /^acted$/,
    }))
  ),
  ...(["checking", "quiescing"] as const).map((at): Row => ({
    ...ENDING,
    group: "signal from outside",
    name: `SIGKILL, at ${at}`,
    phase: at === "checking" ? "loading" : at,
    needs: needsOf(at, "signals"),
    outside: { at, act: kill("SIGKILL"), keepHeld: true },
    // Nothing is frozen yet: a crash as at any other time.
    expect: ["refused"],
    reason: /ended in the middle/,
    ends: { signal: "SIGKILL" },
  })),
  ...MOMENTS.map(([at, phase]): Row => ({
    group: "signal from outside",
    name: `SIGSTOP and SIGCONT, at ${at}`,
    phase,
    needs: needsOf(at),
    outside: {
      at,
      act: async ({ service }) => {
        service.app.signal("SIGSTOP");
        await delay(300);
        service.app.signal("SIGCONT");
      },
    },
    expect: ["committed"],
    selected: at === "import",
  })),
];

const STOPS: readonly Row[] = [
  ...(["SIGTERM", "SIGINT"] as const).flatMap((signal) =>
    MOMENTS.map(([at, phase]): Row => ({
      ...ENDING,
      group: "asked to stop",
      name: `${signal}, at ${at}`,
      phase,
      needs: needsOf(at, "signals"),
      cli: [],
      outside: { at, act: kill(signal) },
      expect: at === "checking" || at === "quiescing" ? ["refused"] : ["committed"],
      ends: { signal },
      selected: signal === "SIGTERM" && at === "quiescing",
    }))
  ),
  {
    ...ENDING,
    group: "asked to stop",
    name: "SIGTERM, and the new build throws",
    phase: "probation",
    needs: ["signals"],
    cli: [],
    build: { at: "ready", code: THROWS },
    outside: { at: "ready", act: kill("SIGTERM") },
    expect: ["rolled-back"],
    ends: { signal: "SIGTERM" },
  },
  {
    ...ENDING,
    group: "asked to stop",
    name: "SIGTERM, and the new build hangs: nobody is brought back",
    phase: "probation",
    needs: ["signals", "guardian"],
    build: { at: "ready", code: LOOPS },
    timeoutS: 3,
    cli: [],
    outside: { at: "ready", act: kill("SIGTERM") },
    expect: ["lost", "refused", "none"],
    ends: {},
  },
];

const GUARDIANS: readonly Row[] = [
  ...MOMENTS.filter(([at]) => at !== "checking").map(([at, phase]): Row => ({
    group: "guardian fails",
    name: `SIGKILL, at ${at}`,
    phase,
    needs: ["guardian"],
    outside: { at, act: (scene) => Deno.kill(scene.guardian(), "SIGKILL") },
    expect: ["committed"],
    guardian: /^died$/,
    selected: at === "ready",
  })),
  {
    group: "guardian fails",
    name: "SIGKILL, and the new build throws",
    phase: "probation",
    needs: ["guardian"],
    build: { at: "ready", code: THROWS },
    outside: { at: "ready", act: (scene) => Deno.kill(scene.guardian(), "SIGKILL") },
    expect: ["rolled-back"],
    guardian: /^died$/,
  },
  ...(["quiescing", "ready"] as const).map((at): Row => ({
    group: "guardian fails",
    name: `SIGSTOP, at ${at}`,
    phase: at === "ready" ? "probation" : at,
    needs: ["guardian"],
    outside: { at, act: (scene) => Deno.kill(scene.guardian(), "SIGSTOP") },
    expect: ["committed"],
    guardian: /^died$/,
  })),
];

const ASKERS: readonly Row[] = [
  ...MOMENTS.map(([at, phase]): Row => ({
    group: "command line killed",
    name: `SIGKILL, at ${at}`,
    phase,
    needs: needsOf(at),
    cli: [],
    outside: { at, act: ({ cli }) => Deno.kill(cli?.pid ?? 0, "SIGKILL") },
    expect: ["committed"],
    selected: at === "open",
  })),
  // Nobody hears of a second one before live update is open.
  ...MOMENTS.filter(([at]) => at !== "import").map(([at, phase]): Row => ({
    group: "two updates at once",
    name: `the second one, at ${at}`,
    phase,
    needs: needsOf(at),
    outside: {
      at,
      act: async ({ service }) => {
        await assertRejects(
          () => service.app.upgrade({ build: service.other.entry }),
          ControlCallError,
          "EBUSY",
        );
      },
    },
    expect: ["committed"],
    selected: at === "quiescing",
  })),
];

/** What comes from outside. */
export const OUTSIDE_ROWS: readonly Row[] = [...CRASHES, ...STOPS, ...GUARDIANS, ...ASKERS];
