/**
 * Measures what the guardian adds to the pause of an update: the same application is updated with and without one, in
 * turn, so that a noisy machine is noisy for both.
 *
 *     deno task bench:guardian [--rounds N] [--json]
 *
 * Happy path: a table (with `--json` one document), exit 0.
 *
 * Unhappy paths: a pause that grows by more than it may, or an update that does not commit: exit 1. SIGINT and SIGTERM:
 * everything is ended, and the exit status is 128 and the signal's number.
 *
 * @module
 */
import { type BenchOptions, runBench } from "./bench/command.ts";
import { median } from "./bench/summary.ts";
import { startFiles } from "./bench/subjects.ts";
import type { TestApp } from "../testing/mod.ts";
import { columns, strong } from "../service/text.ts";

const DEFAULT_ROUNDS = 15;

/** Updates of each kind that find cold caches and are not counted. */
const WARM_UP = 2;

/** How many descriptors are preserved, and how much longer the pause may be then. */
const LIMITS: readonly (readonly [files: number, ratio: number])[] = [[10, 1.15], [1000, 1.25]];

/** What was measured with a number of descriptors; medians in milliseconds. */
interface Figures {
  readonly files: number;
  readonly without_ms: number;
  readonly with_ms: number;
  readonly ratio: number;
  readonly limit: number;
  readonly met: boolean;
  /** The same for each phase of the pause. */
  readonly phases: readonly {
    readonly name: string;
    readonly without_ms: number;
    readonly with_ms: number;
  }[];
}

/** The pause of one update. */
interface Pause {
  readonly ms: number;
  readonly phases: ReadonlyMap<string, number>;
}

/**
 * Runs the benchmark.
 *
 * @param args the flags
 * @returns the exit status
 */
export async function main(args: readonly string[]): Promise<number> {
  return await runBench("bench_guardian", args, DEFAULT_ROUNDS, async (options, started) => {
    const figures = await measureAll(options.rounds, started);
    return {
      document: { rounds: options.rounds, figures },
      text: table(options, figures),
      met: figures.every(({ met }) => met),
    };
  });
}

async function measureAll(rounds: number, started: AsyncDisposableStack): Promise<Figures[]> {
  const figures: Figures[] = [];
  for (const [files, limit] of LIMITS) {
    const app = started.use(await startFiles(files));
    const pauses: Record<"with" | "without", Pause[]> = { with: [], without: [] };
    for (let round = 1 - WARM_UP; round <= rounds; round++) {
      // Neither kind is always the first.
      for (const kind of round % 2 === 0 ? ["with", "without"] as const : ["without", "with"] as const) {
        const pause = await update(app, kind === "with");
        if (round > 0) pauses[kind].push(pause);
      }
    }
    figures.push(compare(files, limit, pauses.without, pauses.with));
    await app.stop();
  }
  return figures;
}

async function update(app: TestApp, guardian: boolean): Promise<Pause> {
  const record = await app.upgrade({ guardian });
  const { outcome, reason, blackout_ms: ms, phases } = record;
  if (outcome !== "committed" || ms === null || record.guardian !== (guardian ? "watched" : "off")) {
    throw new Error(
      `Cannot measure the update: it ended as ${outcome}, guardian ${record.guardian}: ${reason}`,
    );
  }
  const begin = phases.findIndex(({ name }) => name === "freezing");
  return { ms, phases: new Map(phases.slice(begin).map((phase) => [phase.name, phase.ms])) };
}

function compare(
  files: number,
  limit: number,
  without: readonly Pause[],
  guarded: readonly Pause[],
): Figures {
  const [without_ms, with_ms] = [without, guarded].map((pauses) => median(pauses.map(({ ms }) => ms)));
  const ratio = (with_ms ?? Number.NaN) / (without_ms ?? Number.NaN);
  const phase = (pauses: readonly Pause[], name: string): number =>
    median(pauses.map(({ phases }) => phases.get(name) ?? 0));
  return {
    files,
    without_ms: without_ms ?? Number.NaN,
    with_ms: with_ms ?? Number.NaN,
    ratio,
    limit,
    met: ratio <= limit,
    phases: [...guarded[0]?.phases.keys() ?? []].map((name) => ({
      name,
      without_ms: phase(without, name),
      with_ms: phase(guarded, name),
    })),
  };
}

function table({ rounds }: BenchOptions, figures: readonly Figures[]): string {
  const cells = figures.flatMap(({ files, without_ms, with_ms, ratio, limit, met, phases }) => [
    [
      `${files} descriptors`,
      ...[without_ms, with_ms].map(milliseconds),
      ratio.toFixed(3),
      limit.toFixed(2),
      met ? "met" : "missed",
    ],
    ...phases.map((
      { name, without_ms, with_ms },
    ) => [`  ${name}`, ...[without_ms, with_ms].map(milliseconds)]),
  ]);
  return [
    strong(`The pause with and without a guardian: medians of ${rounds} updates each, in turn`),
    `Deno ${Deno.version.deno}, Linux ${Deno.osRelease()}, ${navigator.hardwareConcurrency} CPUs; milliseconds`,
    "",
    columns([["", "without", "with", "ratio", "limit", ""], ...cells]),
  ].join("\n");
}

function milliseconds(ms: number): string {
  return ms.toFixed(2).padStart(7);
}

if (import.meta.main) Deno.exit(await main(Deno.args));
