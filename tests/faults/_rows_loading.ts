/**
 * Builds that are refused before anything stands still: what the module graph shows, and what the check child shows.
 *
 * @module
 */
import {
  ALLOCATES,
  CRASHES,
  EXITS_0,
  EXITS_7,
  KILLS_ITSELF,
  LOOPS,
  NEVER_RESOLVES,
  PLACES,
  REJECTS,
  STOPS_ITSELF,
  THROWS,
} from "./_misbehaviour.ts";
import { SMALL_HEAP } from "./_settings.ts";
import type { Row, ServiceSettings } from "./_types.ts";

const REFUSED = { phase: "loading", expect: ["refused"] } as const;

/** Seconds until the check counts as one that hangs. */
const HANGING = { timeoutS: 4 } as const;

const GRAPH: readonly Row[] = [
  {
    ...REFUSED,
    group: "does not load",
    name: "syntax error",
    build: { text: "const = ;\n" },
    reason: /main\.ts/,
    cli: [],
    selected: true,
  },
  {
    ...REFUSED,
    group: "does not load",
    name: "missing import",
    build: { text: 'import "./not_there.ts";\n' },
    reason: /not_there\.ts/,
  },
  {
    ...REFUSED,
    group: "does not load",
    name: "missing dependency",
    prepare: ({ build }) => Deno.removeSync(build.entry.replace("main.ts", "dependency.ts")),
    reason: /dependency\.ts/,
  },
  {
    ...REFUSED,
    group: "does not load",
    name: "broken deno.json",
    prepare: ({ build }) =>
      Deno.writeTextFileSync(build.entry.replace("main.ts", "deno.json"), '{ "imports": '),
  },
  {
    group: "does not load",
    name: "path that is not there",
    phase: "requested",
    request: () => ({ build: "/nowhere/at/all" }),
    expect: ["refused"],
    reason: /it does not exist/,
  },
  {
    group: "does not load",
    name: "runtime that is none",
    phase: "requested",
    request: ({ build }) => ({ build: build.entry, deno: build.entry }),
    expect: ["refused"],
    reason: /it is not executable/,
  },
];

interface CheckFault {
  readonly name: string;
  readonly code: string;
  readonly reason?: RegExp;
  readonly hangs?: boolean;
  readonly service?: ServiceSettings;
}

const EVERYWHERE: readonly CheckFault[] = [
  { name: "throws", code: THROWS, reason: /no luck today/ },
  { name: "exits with 0", code: EXITS_0 },
  { name: "exits with 7", code: EXITS_7, reason: /7/ },
  { name: "unhandled rejection", code: REJECTS, reason: /nobody cares/ },
];

const MORE: readonly CheckFault[] = [
  { name: "await that never resolves", code: NEVER_RESOLVES },
  { name: "endless loop", code: LOOPS, hangs: true },
  { name: "SIGKILL", code: KILLS_ITSELF, reason: /SIGKILL|signal 9/i },
  { name: "SIGSEGV", code: CRASHES, reason: /SIGSEGV|signal 11/i },
  { name: "SIGSTOP", code: STOPS_ITSELF, hangs: true },
  {
    name: "garbage on both streams",
    code:
      'console.log("{]\\0".repeat(9999));\nconsole.error("\\x1b[31mdreck\\0".repeat(9999));\nDeno.exit(0);',
  },
  { name: "allocates until a limit", code: ALLOCATES, service: SMALL_HEAP },
];

function checkRow({ name, code, reason, hangs, service }: CheckFault, at: "import" | "open" | "ready"): Row {
  return {
    ...REFUSED,
    group: "fails in the check",
    name: `${name}, at ${at}`,
    needs: ["preflight"],
    build: { at, code, runs: "both" },
    ...(reason === undefined ? {} : { reason }),
    ...(hangs === true ? HANGING : {}),
    ...(service === undefined ? {} : { service }),
    selected: name === "throws" && at === "open",
  };
}

const CHECKED: readonly Row[] = [
  ...EVERYWHERE.flatMap((each) => PLACES.map(([place]) => checkRow(each, place))),
  {
    group: "fails in the check",
    name: "garbage on both streams, but it goes on",
    phase: "loading",
    needs: ["preflight"],
    build: { at: "open", code: 'console.log("{]\\0".repeat(9999));', runs: "both" },
    expect: ["committed"],
  },
  {
    ...REFUSED,
    group: "fails in the check",
    name: "check child killed from outside",
    needs: ["preflight"],
    outside: {
      at: "checking",
      act: async (scene) => Deno.kill(await scene.reached(scene.build.label, "checking"), "SIGKILL"),
    },
  },
  {
    ...REFUSED,
    ...HANGING,
    group: "fails in the check",
    name: "check child stopped from outside",
    needs: ["preflight"],
    outside: {
      at: "checking",
      act: async (scene) => Deno.kill(await scene.reached(scene.build.label, "checking"), "SIGSTOP"),
    },
  },
  {
    ...REFUSED,
    group: "fails in the check",
    name: "state in a version that is not read",
    needs: ["preflight"],
    build: { state: { version: 9, reads: [8, 9] } },
    reason: /state "format".*version 1/,
  },
  ...MORE.flatMap((each) => {
    // What hangs takes its time, and it does not matter where.
    const places = each.hangs === true || each.service !== undefined ? PLACES.slice(0, 1) : PLACES;
    return places.map(([place]) => checkRow(each, place));
  }),
];

/** Builds that never begin. */
export const LOADING_ROWS: readonly Row[] = [...GRAPH, ...CHECKED];
