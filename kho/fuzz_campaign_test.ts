/**
 * A run of many damaged inputs in a process of its own, so that a crash is one of the answers, a hang ends, and memory can be
 * measured. It has no tests itself; the name keeps it out of the published package.
 *
 * Happy path: {@linkcode runCampaign} starts the process and gives what was seen: how often each outcome, the slowest input, and
 * the most memory that one input and the whole run took beyond the level before.
 *
 * Unhappy paths: the first input that breaks a promise, takes longer than {@linkcode MAX_MS}, needs more than
 * {@linkcode MAX_MIB}, or ends or stops the process is the run's finding. It can be had again by its number.
 *
 * @module
 */
import { faultCase } from "./fuzz_faults_test.ts";
import { journalCase } from "./fuzz_journal_families_test.ts";
import { SEGMENTS } from "./fuzz_samples_test.ts";
import { segmentCase } from "./fuzz_segment_families_test.ts";
import { type Case, Violation } from "./fuzz_verdict_test.ts";
import { Random } from "./mutations_test.ts";
import { decodeEnvelope } from "./segment.ts";

/** Longest time for one input. */
export const MAX_MS = 2000;

/** Most memory beyond the level before. */
export const MAX_MIB = 64;

/** How long an input may take before the process counts as hung. Far above {@linkcode MAX_MS}: machines are busy. */
const HANG_MS = 60_000;

/**
 * What is measured is what an input takes, and not how lazy the engine is: the garbage of those before is collected at
 * times, and the place for young objects, which grows with the time a process runs, stays small.
 */
const ENGINE = "--v8-flags=--expose-gc,--max-semi-space-size=4";
const COLLECT_EVERY = 25;

/** What is damaged; `fault` is no format, but shows that a run notices. */
export type Group = "segment" | "journal" | "fault";

/** Which inputs to make. */
export interface CampaignOptions {
  readonly group: Group;
  /** From 0 to 2^32 - 1; with the number of an input it decides what the input is. */
  readonly seed: number;
  /** Number of the first input. */
  readonly from: number;
  /** How many inputs. */
  readonly mutations: number;
  /** After how many milliseconds with the same input the process is ended. @default {60_000} */
  readonly hangMs?: number;
}

/** An input that broke a promise. */
export interface Finding {
  readonly index: number;
  readonly reason: string;
}

/** What was seen. */
export interface CampaignReport {
  /** How many inputs were read to their end. */
  readonly inputs: number;
  readonly seconds: number;
  /** How often each outcome, by family. */
  readonly outcomes: { readonly [family: string]: { readonly [outcome: string]: number } };
  /** The longest time of one input, and its number. */
  readonly slowest: { readonly ms: number; readonly index: number };
  /** The most memory that one input took beyond what there was just before it, and its number. */
  readonly largest: { readonly mib: number; readonly index: number };
  /** The most memory that the whole run took beyond what valid segments had taken. */
  readonly growth_mib: number;
  readonly finding: Finding | null;
}

/** The input of a number. */
export function makeCase(group: Group, seed: number, index: number): Case {
  const random = new Random(seed, index);
  switch (group) {
    case "segment":
      return segmentCase(random);
    case "journal":
      return journalCase(random);
    case "fault":
      return faultCase(random, seed, index);
  }
}

/**
 * Reads many damaged inputs in a process of its own.
 *
 * @param signal ends the run early, with an error
 * @returns what was seen
 * @throws {Error} when the process could not be started, or was ended by `signal`
 */
export async function runCampaign(options: CampaignOptions, signal?: AbortSignal): Promise<CampaignReport> {
  const path = await Deno.makeTempFile({ prefix: "heirloom-fuzz-" });
  try {
    await using child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        ENGINE,
        import.meta.url,
        path,
        JSON.stringify(options),
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const output = child.output();
    let over = false;
    const ended = output.then(() => over = true);
    let at = -1;
    for (let silent = 0; !over && silent < (options.hangMs ?? HANG_MS); silent += 100) {
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 100))]);
      signal?.throwIfAborted();
      const now = await indexIn(path);
      if (now !== at) silent = 0;
      at = now;
    }
    const hung = !over;
    if (hung) child.kill("SIGKILL");
    const { code, signal: killer, stdout, stderr } = await output;
    if (code === 0) return JSON.parse(new TextDecoder().decode(stdout)) as CampaignReport;
    const index = await indexIn(path);
    if (index < 0) {
      throw new Error(`Cannot fuzz: the process did not begin: ${new TextDecoder().decode(stderr)}`);
    }
    const words = new TextDecoder().decode(stderr).trim().slice(-2000);
    const reason = hung
      ? "it hung the process"
      : `it ended the process: ${killer ?? `exit ${code}`} ${words}`;
    return {
      inputs: index - options.from,
      seconds: Number.NaN,
      outcomes: {},
      slowest: { ms: Number.NaN, index },
      largest: { mib: Number.NaN, index },
      growth_mib: Number.NaN,
      finding: { index, reason },
    };
  } finally {
    await Deno.remove(path);
  }
}

/**
 * Writes the input of a finding to a file, and says how to have it again.
 *
 * @returns what there is to tell
 */
export async function describeFinding(
  { group, seed }: CampaignOptions,
  { index, reason }: Finding,
): Promise<string> {
  const { family, how, bytes } = makeCase(group, seed, index);
  const path = `${Deno.env.get("TMPDIR") ?? "/tmp"}/heirloom-fuzz-${group}-${seed}-${index}.bin`;
  await Deno.writeFile(path, bytes);
  const hex = bytes.length > 512 ? `${bytes.subarray(0, 512).toHex()} …` : bytes.toHex();
  return [
    `${group}, ${family}: ${reason}`,
    `input:  ${bytes.length} bytes in ${path}, made by: ${how}`,
    `again:  deno run -A scripts/fuzz.ts --only ${group} --seed ${seed} --from ${index} --mutations 1`,
    `hex:    ${hex}`,
  ].join("\n");
}

/** The number of the input that is being read, or -1 before the first. */
async function indexIn(path: string): Promise<number> {
  const bytes = await Deno.readFile(path);
  return bytes.length < 4 ? -1 : new DataView(bytes.buffer).getUint32(0);
}

/** The run itself, in this very process. */
async function campaign(options: CampaignOptions, path: string): Promise<CampaignReport> {
  using file = Deno.openSync(path, { write: true });
  const number = new Uint8Array(4);
  const outcomes: Record<string, Record<string, number>> = {};
  let slowest = { ms: 0, index: options.from };
  let largest = { mib: 0, index: options.from };
  let finding: Finding | null = null;
  for (let round = 0; round < 50; round++) {
    for (const segment of SEGMENTS) await decodeEnvelope(segment);
  }
  collect();
  const level = lowerPeak().now;
  let highest = level;
  let before = level;
  let inputs = 0;
  const began = performance.now();
  for (let index = options.from; index < options.from + options.mutations && finding === null; index++) {
    if (inputs % COLLECT_EVERY === 0) {
      collect();
      before = lowerPeak().now;
    }
    new DataView(number.buffer).setUint32(0, index);
    file.seekSync(0, Deno.SeekMode.Start);
    file.writeSync(number);
    const { family, outcome, ms, reason } = await readOne(options, index);
    const { peak, now } = lowerPeak();
    const mib = (peak - before) / 1024;
    highest = Math.max(highest, peak);
    before = now;
    inputs++;
    const counts = outcomes[family] ??= {};
    counts[outcome] = (counts[outcome] ?? 0) + 1;
    if (ms > slowest.ms) slowest = { ms, index };
    if (mib > largest.mib) largest = { mib, index };
    if (reason !== null) finding = { index, reason };
    else if (mib > MAX_MIB) finding = { index, reason: `it took ${mib.toFixed(1)} MiB of memory` };
    else if (highest - level > MAX_MIB * 1024) {
      finding = {
        index,
        reason: `with it, the run took ${((highest - level) / 1024).toFixed(1)} MiB of memory`,
      };
    }
  }
  return {
    inputs,
    seconds: (performance.now() - began) / 1000,
    outcomes,
    slowest,
    largest,
    growth_mib: (highest - level) / 1024,
    finding,
  };
}

/** Makes an input and reads it; once more if it took long, for that may have been somebody else's doing. */
async function readOne(
  { group, seed }: CampaignOptions,
  index: number,
): Promise<{ family: string; outcome: string; ms: number; reason: string | null }> {
  let ms = Infinity;
  let read = makeCase(group, seed, index);
  let outcome = "";
  for (let trial = 0; trial < 2 && ms > MAX_MS; trial++) {
    const began = performance.now();
    try {
      outcome = await read.run();
    } catch (error) {
      const reason = error instanceof Violation
        ? error.message
        : `it was not caught: ${(error as Error).stack}`;
      return { family: read.family, outcome: "violation", ms: performance.now() - began, reason };
    }
    ms = Math.min(ms, performance.now() - began);
    if (ms > MAX_MS) read = makeCase(group, seed, index);
  }
  const reason = ms > MAX_MS ? `it took ${ms.toFixed(0)} ms` : null;
  return { family: read.family, outcome, ms, reason };
}

function collect(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

/** The memory that this process has, and the most that it had since the last call; in KiB. */
function lowerPeak(): { peak: number; now: number } {
  const status = Deno.readTextFileSync("/proc/self/status");
  const [peak, now] = ["VmHWM", "VmRSS"].map((name) =>
    Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1])
  );
  // proc(5): 5 sets the peak to what there is now.
  Deno.writeTextFileSync("/proc/self/clear_refs", "5");
  return { peak: peak ?? Number.NaN, now: now ?? Number.NaN };
}

if (import.meta.main) {
  const [path = "", options = ""] = Deno.args;
  console.log(JSON.stringify(await campaign(JSON.parse(options) as CampaignOptions, path)));
}
