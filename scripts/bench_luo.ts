/**
 * Measures the handover itself: sessions of memfds are preserved, frozen, written down, carried over a real re-exec, read,
 * taken back and finished, with nothing of `live/` around.
 *
 *     deno task bench:luo [--rounds N] [--json]
 *
 * Happy path: a table of microseconds per file for 10, 1 000 and 10 000 files, in one session and in many (with `--json`
 * one document), exit 0.
 *
 * Unhappy paths: what lies between the freeze and the end of retrieval costs more, at 10 000 files, than three times the raw
 * system calls and more than 25 µs per file; or it grows faster than the files: exit 1.
 *
 * What the start of the runtime takes is the same for any number of files: it is what the run with the fewest files took
 * between the old image and the new one, and is taken off. What `execve` itself does with thousands of descriptors stays in.
 *
 * @module
 */
import { type BenchOptions, runBench } from "./bench/command.ts";
import type { StepTimes } from "./bench/luo_app.ts";
import { median } from "./bench/summary.ts";
import { columns, strong } from "../service/text.ts";

const DEFAULT_ROUNDS = 5;

const COUNTS = [10, 1_000, 10_000] as const;

/** How many files there are in a session where there are many sessions. */
const FILES_PER_SESSION = 10;

/** Limits at the highest count. */
const LIMITS = { perFileUs: 25, timesBaseline: 3, growth: 2 } as const;

/** The steps of a handover, and between which stamps of which image they lie. */
const STEPS = [
  "preserve",
  "freeze",
  "serialise",
  "jump",
  "takeover",
  "deserialise",
  "retrieve",
  "finish",
] as const;

type Step = typeof STEPS[number];

/** What one handover took, in nanoseconds. */
interface Trial {
  readonly steps: Readonly<Record<Step, number>>;
  readonly baseline: number;
  readonly bytes: number;
}

/** Figures of one number of files; medians. */
interface Figures {
  readonly files: number;
  readonly sessions: number;
  readonly segment_bytes: number;
  /** Microseconds per file. */
  readonly steps: Readonly<Record<Step, number>>;
  /** From the freeze to the end of retrieval, microseconds per file. */
  readonly per_file_us: number;
  /** The raw system calls, microseconds per file. */
  readonly baseline_us: number;
}

/**
 * Runs the benchmark.
 *
 * @param args the flags
 * @returns the exit status
 */
export async function main(args: readonly string[]): Promise<number> {
  return await runBench("bench_luo", args, DEFAULT_ROUNDS, async (options) => {
    const figures: Figures[] = [];
    for (const many of [false, true]) figures.push(...await measure(options.rounds, many));
    const verdicts = [judge(figures.slice(0, COUNTS.length)), judge(figures.slice(COUNTS.length))];
    return {
      document: { rounds: options.rounds, figures, limits: LIMITS, verdicts },
      text: table(options, figures, verdicts),
      met: verdicts.every(({ met }) => met),
    };
  });
}

async function measure(rounds: number, many: boolean): Promise<Figures[]> {
  const sessionsOf = (files: number): number => many ? Math.ceil(files / FILES_PER_SESSION) : 1;
  const trials = new Map<number, Trial[]>(COUNTS.map((files) => [files, []]));
  for (let round = 0; round < rounds; round++) {
    for (const files of COUNTS) trials.get(files)?.push(await handOver(files, sessionsOf(files)));
  }
  const startup = median((trials.get(COUNTS[0]) ?? []).map(({ steps }) => steps.jump));
  return COUNTS.map((files) => {
    const found = trials.get(files) ?? [];
    const perFile = (pick: (trial: Trial) => number): number => median(found.map(pick)) / files / 1000;
    const steps = Object.fromEntries(
      STEPS.map((step) => [step, perFile((trial) => trial.steps[step] - (step === "jump" ? startup : 0))]),
    ) as Record<Step, number>;
    return {
      files,
      sessions: sessionsOf(files),
      segment_bytes: found[0]?.bytes ?? 0,
      steps,
      per_file_us: STEPS.slice(1, -1).reduce((sum, step) => sum + steps[step], 0),
      baseline_us: perFile(({ baseline }) => baseline),
    };
  });
}

async function handOver(files: number, sessions: number): Promise<Trial> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      decodeURIComponent(new URL("bench/luo_app.ts", import.meta.url).pathname),
      String(files),
      String(sessions),
    ],
    stdout: "piped",
    stderr: "piped",
  }).output();
  const lines = new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
  if (code !== 0 || lines.length !== 2) {
    throw new Error(`Cannot measure ${files} files: exit ${code}: ${new TextDecoder().decode(stderr)}`);
  }
  const [before, after] = lines.map((line) => JSON.parse(line) as StepTimes);
  const at = (times: StepTimes | undefined, step: string): bigint => BigInt(times?.[step] ?? 0);
  const between = (from: bigint, to: bigint): number => Number(to - from);
  return {
    bytes: Number(before?.["bytes"]),
    baseline: Number(before?.["baseline_ns"]),
    steps: {
      preserve: Number(before?.["preserve_ns"]),
      freeze: between(at(before, "begin"), at(before, "freeze")),
      serialise: between(at(before, "freeze"), at(before, "serialise")),
      jump: between(at(before, "serialise"), at(after, "start")),
      takeover: between(at(after, "start"), at(after, "takeover")),
      deserialise: between(at(after, "takeover"), at(after, "deserialise")),
      retrieve: between(at(after, "deserialise"), at(after, "retrieve")),
      finish: between(at(after, "retrieve"), at(after, "finish")),
    },
  };
}

/** Is the highest count within the limits, and does the cost grow with the files and no faster? */
function judge(figures: readonly Figures[]): { limit_us: number; growth: number; met: boolean } {
  const [, middle, most] = figures;
  const limit = Math.max(LIMITS.perFileUs, LIMITS.timesBaseline * (most?.baseline_us ?? 0));
  const growth = (most?.per_file_us ?? NaN) / (middle?.per_file_us ?? NaN);
  return { limit_us: limit, growth, met: (most?.per_file_us ?? NaN) <= limit && growth <= LIMITS.growth };
}

function table(
  { rounds }: BenchOptions,
  figures: readonly Figures[],
  verdicts: readonly ReturnType<typeof judge>[],
): string {
  const us = (value: number): string => value.toFixed(2).padStart(8);
  const rows = figures.map(({ files, sessions, steps, per_file_us, baseline_us, segment_bytes }) => [
    `${files} files in ${sessions}`,
    ...STEPS.map((step) => us(steps[step])),
    us(per_file_us),
    us(baseline_us),
    `${(segment_bytes / 1024).toFixed(0)} KiB`,
  ]);
  const notes = verdicts.map(({ limit_us, growth, met }, index) =>
    `${index === 0 ? "one session" : "many sessions"}: limit ${limit_us.toFixed(1)} µs per file, ` +
    `growth from 1 000 to 10 000 files ${growth.toFixed(2)} (limit ${LIMITS.growth}): ${
      met ? "met" : "missed"
    }`
  );
  return [
    strong(`A handover of memfds, microseconds per file: medians of ${rounds}`),
    `Deno ${Deno.version.deno}, Linux ${Deno.osRelease()}, ${navigator.hardwareConcurrency} CPUs`,
    "",
    columns([["files in sessions", ...STEPS, "freeze to retrieve", "system calls", "segment"], ...rows]),
    "",
    ...notes,
  ].join("\n");
}

if (import.meta.main) Deno.exit(await main(Deno.args));
