/**
 * Measures what a client sees around an update: the minimal application under `heirloom run` against two baselines, a
 * server that only starts itself anew (the floor) and one that is written as people write it. All three run at the same
 * time and are updated in turn, under the same load, so that a noisy machine is noisy for all of them.
 *
 *     deno task bench:blackout [--rounds N] [--json]
 *
 * Happy path: tables (with `--json` one document), each aim with met or missed, exit 0.
 *
 * Unhappy paths: a subject that cannot be started or updated: exit 1 with the reason. A missed aim is no failure of the
 * benchmark. SIGINT and SIGTERM: everything is ended, and the exit status is 128 and the signal's number.
 *
 * @module
 */
import { type BenchOptions, runBench } from "./bench/command.ts";
import { reportLines } from "./bench/report.ts";
import { measureFiles, startBaseline, startHeirloom, type Subject } from "./bench/subjects.ts";
import { summarize, type Summary } from "./bench/summary.ts";
import { type MemoryTrial, observe, observeMemory, type Trial } from "./bench/trial.ts";

const DEFAULT_ROUNDS = 10;

/** Updates whose memory is watched, at most. */
const MEMORY_ROUNDS = 5;

/** Files of the large segment. */
const FILES = 1000;

/**
 * Runs the benchmark.
 *
 * @param args the flags
 * @returns the exit status
 */
export async function main(args: readonly string[]): Promise<number> {
  return await runBench("bench_blackout", args, DEFAULT_ROUNDS, async (options, started) => {
    const summary = await measure(options, started);
    return { document: summary, text: reportLines(summary).join("\n"), met: true };
  });
}

async function measure({ rounds }: BenchOptions, started: AsyncDisposableStack): Promise<Summary> {
  const heirloom = started.use(await startHeirloom());
  const subjects: Subject[] = [
    heirloom,
    started.use(await startBaseline("floor")),
    started.use(await startBaseline("naive")),
  ];
  const trials = new Map<string, Trial[]>(subjects.map(({ name }) => [name, []]));
  // The first update of each finds cold caches and is not counted.
  for (let round = 0; round <= rounds; round++) {
    tell(round === 0 ? "warming up" : `round ${round} of ${rounds}`);
    for (const subject of subjects) {
      const trial = await observe(subject);
      if (round > 0) trials.get(subject.name)?.push(trial);
    }
  }
  const memory: MemoryTrial[] = [];
  for (let round = 1; round <= Math.min(rounds, MEMORY_ROUNDS); round++) {
    tell(`memory ${round}`);
    memory.push(await observeMemory(heirloom));
  }
  tell(`${FILES} files`);
  const files = await measureFiles(FILES);
  tell("");
  return summarize(trials, memory, files);
}

/** A line that the next one overwrites, for whoever waits at a terminal. */
function tell(text: string): void {
  if (!Deno.stderr.isTerminal()) return;
  Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${text}`));
}

if (import.meta.main) Deno.exit(await main(Deno.args));
