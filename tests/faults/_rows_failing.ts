/**
 * Builds that pass the check and fail for real: what JavaScript can see ends in the image, the rest is the guardian's.
 *
 * @module
 */
import { buildFiles } from "./_application.ts";
import {
  ABORTS,
  ALLOCATES,
  CRASHES,
  EXITS_0,
  EXITS_7,
  KILLS_ITSELF,
  LOOPS,
  losesLog,
  NEVER_RESOLVES,
  OPENS,
  PLACES,
  REJECTS,
  STOPS_ITSELF,
  THROWS,
  THROWS_LATE,
  WAITS_FOR_EVER,
} from "./_misbehaviour.ts";
import { FEW_DESCRIPTORS, SMALL_HEAP } from "./_settings.ts";
import type { Place, Row } from "./_types.ts";

type Fault = readonly [name: string, code: string, reason: RegExp, timeoutS?: number];

const SEEN: readonly Fault[] = [
  ["throws", THROWS, /threw.*no luck today/],
  ["exits with 0", EXITS_0, /ended before ready\(\) \(exit status 0\)/],
  ["exits with 7", EXITS_7, /ended before ready\(\) \(exit status 7\)/],
  ["unhandled rejection", REJECTS, /rejection unhandled.*nobody cares/],
  ["throws in a timer", THROWS_LATE, /threw.*no luck today/],
  ["await that never resolves", NEVER_RESOLVES, /deadline|ended before ready/, 3],
  ["busy, and never ready", WAITS_FOR_EVER, /deadline/, 3],
];

const SELECTED = ["throws, at import", "exits with 0, at ready", "unhandled rejection, at open"];

/** What JavaScript can see. */
const IN_IMAGE: readonly Row[] = [
  ...SEEN.flatMap(([name, code, reason, timeoutS]) =>
    PLACES.map(([at, phase]): Row => ({
      group: "fails in the image",
      name: `${name}, at ${at}`,
      phase,
      build: { at, code },
      expect: ["rolled-back"],
      reason,
      guardian: /^watched$/,
      ...(timeoutS === undefined ? {} : { timeoutS }),
      ...(at === "ready" ? { cli: [] } : {}),
      selected: SELECTED.includes(`${name}, at ${at}`),
    }))
  ),
  {
    group: "fails in the image",
    name: "abandons",
    phase: "probation",
    build: { at: "ready", code: 'live.abandon("the database is away");' },
    expect: ["rolled-back"],
    reason: /the database is away/,
  },
  {
    group: "fails in the image",
    name: "runs off its end, without an application",
    phase: "booting",
    build: { text: 'if (Deno.env.has("HEIRLOOM_PREFLIGHT")) await import("./good" + ".ts");\n' },
    prepare: ({ build }) =>
      Deno.writeTextFileSync(
        build.entry.replace("main.ts", "good.ts"),
        buildFiles(build.label)["main.ts"] ?? "",
      ),
    expect: ["rolled-back"],
    reason: /ended before ready/,
  },
  {
    group: "fails in the image",
    name: "runs off its end, without ready()",
    phase: "probation",
    build: { ready: "if (!REAL) await live.ready();" },
    expect: ["rolled-back"],
    reason: /ended before ready/,
  },
  {
    group: "fails in the image",
    name: "uses up all descriptors",
    phase: "booting",
    service: FEW_DESCRIPTORS,
    build: { at: "import", code: OPENS },
    expect: ["rolled-back", "recovered"],
  },
  {
    group: "fails in the image",
    name: "uses up all descriptors",
    phase: "probation",
    service: FEW_DESCRIPTORS,
    build: { at: "ready", code: OPENS },
    expect: ["rolled-back", "recovered"],
  },
];

const UNSEEN: readonly Fault[] = [
  ["SIGKILL", KILLS_ITSELF, /died|killed by SIGKILL/],
  ["SIGSEGV", CRASHES, /died|killed by SIGSEGV/],
  ["abort", ABORTS, /died|killed by SIGABRT/],
  ["endless loop", LOOPS, /deadline/, 3],
  ["SIGSTOP", STOPS_ITSELF, /deadline/, 3],
];

function crashing(group: string, [name, code, reason, timeoutS]: Fault, at: Place, phase: string): Row {
  return {
    group,
    name: `${name}, at ${at}`,
    phase,
    needs: ["guardian"],
    build: { at, code },
    expect: ["recovered"],
    reason,
    guardian: /^acted$/,
    ...(timeoutS === undefined ? {} : { timeoutS }),
    ...(at === "open" ? { cli: [] } : {}),
    selected: ["SIGKILL, at open", "endless loop, at ready"].includes(`${name}, at ${at}`),
  };
}

/** What JavaScript cannot see. */
const RECOVERED: readonly Row[] = [
  ...UNSEEN.flatMap((fault) => PLACES.map(([at, phase]) => crashing("crashes or hangs", fault, at, phase))),
  {
    group: "crashes or hangs",
    name: "closes preserved descriptors, and fails",
    phase: "probation",
    needs: ["guardian"],
    build: { at: "ready", code: losesLog("close") },
    expect: ["recovered"],
  },
  {
    group: "crashes or hangs",
    name: "replaces preserved descriptors, and fails",
    phase: "probation",
    needs: ["guardian"],
    build: { at: "ready", code: losesLog("replace") },
    expect: ["recovered"],
  },
  {
    group: "crashes or hangs",
    name: "SIGKILL without a guardian",
    phase: "probation",
    needs: ["signals"],
    unguarded: true,
    build: { at: "ready", code: KILLS_ITSELF },
    expect: ["lost"],
    reason: /ended in the middle/,
    ends: { signal: "SIGKILL" },
    allowed: /refused|reset|closed/,
  },
  ...PLACES.map(([at, phase]): Row => ({
    ...crashing("crashes or hangs", ["allocates until a limit", ALLOCATES, /died|killed/], at, phase),
    service: SMALL_HEAP,
  })),
];

/** Builds that begin and do not come up. */
export const FAILING_ROWS: readonly Row[] = [...IN_IMAGE, ...RECOVERED];
