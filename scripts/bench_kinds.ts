/**
 * Measures what the kind of a descriptor costs: the pause of an update that carries six hundred descriptors of every kind there
 * is a handler for, against six hundred memfds, of which nothing has to be said but their numbers.
 *
 *     deno task bench:kinds [--rounds N] [--json]
 *
 * Happy path: a table (with `--json` one document), exit 0.
 *
 * Unhappy paths: a pause that grows by more than it may, or an update that does not commit: exit 1. SIGINT and SIGTERM:
 * everything is ended, and the exit status is 128 and the signal's number.
 *
 * @module
 */
import { type BenchOptions, runBench } from "./bench/command.ts";
import { KINDS } from "./bench/kinds.ts";
import { median } from "./bench/summary.ts";
import { columns, strong } from "../service/text.ts";
import { startApp, type TempDir, tempDir, type TestApp, type UpdateRecord } from "../testing/mod.ts";

const DEFAULT_ROUNDS = 15;

/** Updates of each application that find cold caches and are not counted. */
const WARM_UP = 2;

/** How many descriptors there are in all. */
const DESCRIPTORS = 600;

/** The pause with all kinds, as a multiple of that with memfds. */
const LIMIT = 1.3;

/** What was measured; medians in milliseconds. */
interface Figures {
  readonly kinds: readonly string[];
  readonly each: number;
  readonly memfds_ms: number;
  readonly kinds_ms: number;
  readonly ratio: number;
  readonly met: boolean;
  /** The same for each phase of the pause. */
  readonly phases: readonly {
    readonly name: string;
    readonly memfds_ms: number;
    readonly kinds_ms: number;
  }[];
}

/**
 * Runs the benchmark.
 *
 * @param args the flags
 * @returns the exit status
 */
export async function main(args: readonly string[]): Promise<number> {
  return await runBench("bench_kinds", args, DEFAULT_ROUNDS, async (options, started) => {
    const figures = await measure(options.rounds, started);
    return {
      document: { rounds: options.rounds, limit: LIMIT, figures },
      text: table(options, figures),
      met: figures.met,
    };
  });
}

async function measure(rounds: number, started: AsyncDisposableStack): Promise<Figures> {
  const kinds = Object.keys(KINDS);
  const each = DESCRIPTORS / kinds.length;
  const folder = started.use(tempDir("heirloom-bench-"));
  const apps = {
    memfds: started.use(await startKinds(["memfd"], DESCRIPTORS, folder)),
    kinds: started.use(await startKinds(kinds, each, folder)),
  };
  const records: Record<keyof typeof apps, UpdateRecord[]> = { memfds: [], kinds: [] };
  for (let round = 1 - WARM_UP; round <= rounds; round++) {
    // Neither is always the first.
    for (const name of round % 2 === 0 ? ["memfds", "kinds"] as const : ["kinds", "memfds"] as const) {
      const record = await apps[name].upgrade();
      if (record.outcome !== "committed" || record.blackout_ms === null || record.dropped.length > 0) {
        throw new Error(`Cannot measure the update: it ended as ${record.outcome}: ${record.reason}`);
      }
      if (round > 0) records[name].push(record);
    }
  }
  const pause = ({ blackout_ms }: UpdateRecord): number => blackout_ms ?? Number.NaN;
  const memfds_ms = median(records.memfds.map(pause));
  const kinds_ms = median(records.kinds.map(pause));
  const ratio = median(records.kinds.map((record, index) => pause(record) / pause(records.memfds[index]!)));
  const phase = (found: readonly UpdateRecord[], wanted: string): number =>
    median(found.map(({ phases }) => phases.find(({ name }) => name === wanted)?.ms ?? 0));
  return {
    kinds,
    each,
    memfds_ms,
    kinds_ms,
    ratio,
    met: ratio <= LIMIT,
    phases: ["preserving", "freezing", "jumping", "booting", "retrieving", "probation"].map((name) => ({
      name,
      memfds_ms: phase(records.memfds, name),
      kinds_ms: phase(records.kinds, name),
    })),
  };
}

async function startKinds(kinds: readonly string[], each: number, folder: TempDir): Promise<TestApp> {
  const entry = decodeURIComponent(new URL("bench/kinds_app.ts", import.meta.url).pathname);
  return await startApp({
    entry,
    args: [kinds.join(","), String(each), folder.path],
    denoArgs: ["--no-config", "--no-lock"],
  });
}

function table({ rounds }: BenchOptions, figures: Figures): string {
  const { kinds, each, memfds_ms, kinds_ms, ratio, met, phases } = figures;
  const cells = [
    [
      "pause",
      memfds_ms.toFixed(1),
      kinds_ms.toFixed(1),
      ratio.toFixed(2),
      `${met ? "met" : "missed"}: at most ${LIMIT}`,
    ],
    ...phases.map((
      { name, memfds_ms, kinds_ms },
    ) => [`  ${name}`, memfds_ms.toFixed(1), kinds_ms.toFixed(1), "", ""]),
  ];
  return [
    strong(`The pause with ${DESCRIPTORS} descriptors: medians of ${rounds} updates each, in turn`),
    `Deno ${Deno.version.deno}, Linux ${Deno.osRelease()}, ${navigator.hardwareConcurrency} CPUs; milliseconds`,
    `${each} of each kind: ${kinds.join(", ")}`,
    "",
    columns([["", "memfds", "every kind", "ratio", ""], ...cells]),
  ].join("\n");
}

if (import.meta.main) Deno.exit(await main(Deno.args));
