/**
 * The figures of all rounds, folded: the document of `--json`, and what the tables are made from.
 *
 * @module
 */
import type { UpdateRecord } from "../../testing/mod.ts";
import type { ManyFiles } from "./subjects.ts";
import type { MemoryTrial, Trial } from "./trial.ts";

/** A figure over several rounds. */
export interface Spread {
  /** The middle one. */
  readonly median: number;
  /** The smallest. */
  readonly min: number;
  /** The largest. */
  readonly max: number;
}

/** What clients of one subject saw. */
export interface SubjectSummary {
  /** Its name. */
  readonly name: string;
  /** The longest wait of any client, in milliseconds. */
  readonly longest_wait_ms: Spread;
  /** The wait that one in a hundred exceeded, of requests within a second of the update, in milliseconds. */
  readonly p99_ms: Spread;
  /** The longest wait as a multiple of the floor's: medians. */
  readonly ratio_to_floor: number;
  /** Requests within a second of the updates, in all rounds. */
  readonly requests: number;
  /** Failures in all rounds. */
  readonly failed: number;
  /** Keep-alive connections that the server closed, in all rounds. */
  readonly keep_alive_closed: number;
}

/** One phase of Heirloom's update. */
export interface PhaseSummary {
  /** Its name. */
  readonly name: string;
  /** The median, in milliseconds. */
  readonly ms: number;
  /** Its share of the pause; null for a phase before it. */
  readonly share: number | null;
}

/** Something that was aimed at. */
export interface Aim {
  /** What. */
  readonly name: string;
  /** Was it reached? */
  readonly met: boolean;
  /** The figure. */
  readonly value: number;
  /** The most that it may be. */
  readonly limit: number;
}

/** Everything. */
export interface Summary {
  /** Where it ran. */
  readonly machine: { readonly deno: string; readonly kernel: string; readonly cpus: number };
  /** How many updates each subject had. */
  readonly rounds: number;
  /** The subjects in the order of the rounds. */
  readonly subjects: readonly SubjectSummary[];
  /** Heirloom's own measure of its pause, in milliseconds. */
  readonly blackout_ms: Spread;
  /** Heirloom's phases in order. */
  readonly phases: readonly PhaseSummary[];
  /** Memory during an update: medians in bytes, and the ratio of the peak to what was before. */
  readonly memory: {
    readonly steady: number;
    readonly peak: number;
    readonly family_peak: number;
    readonly ratio: number;
  };
  /** An update with many files. */
  readonly files: { readonly files: number; readonly segment_bytes: number; readonly blackout_ms: number };
  /** The most by which the generator of the load was late, in milliseconds. */
  readonly generator_lag_ms: number;
  /** What was aimed at. */
  readonly aims: readonly Aim[];
}

/** The phases before the pause. */
const BEFORE = ["requested", "loading", "guarding", "quiescing", "preserving"];

const LIMITS = { ratio: 2.5, memory: 1.3, segment: 256 * 1024 } as const;

/**
 * Folds the rounds.
 *
 * @param trials the updates of each subject, in the order of the rounds; `heirloom` and `floor` among them
 * @param memory Heirloom's memory
 * @param files the update with many files
 */
export function summarize(
  trials: ReadonlyMap<string, readonly Trial[]>,
  memory: readonly MemoryTrial[],
  files: ManyFiles,
): Summary {
  const floor = spread((trials.get("floor") ?? []).map(longest)).median;
  const subjects = [...trials].map(([name, runs]) => summarizeSubject(name, runs, floor));
  const records = (trials.get("heirloom") ?? []).flatMap(({ record }) => record === null ? [] : [record]);
  const blackout = spread(records.map(({ blackout_ms }) => blackout_ms ?? Number.NaN));
  const ratio = median(memory.map(({ steady, peak }) => peak / steady));
  const ours = subjects.find(({ name }) => name === "heirloom");
  return {
    machine: { deno: Deno.version.deno, kernel: Deno.osRelease(), cpus: navigator.hardwareConcurrency },
    rounds: records.length,
    subjects,
    blackout_ms: blackout,
    phases: phasesOf(records, blackout.median),
    memory: {
      steady: median(memory.map(({ steady }) => steady)),
      peak: median(memory.map(({ peak }) => peak)),
      family_peak: median(memory.map(({ familyPeak }) => familyPeak)),
      ratio,
    },
    files: { files: files.files, segment_bytes: files.segmentBytes, blackout_ms: files.blackoutMs },
    generator_lag_ms: Math.max(...[...trials.values()].flat().map(({ lagMs }) => lagMs)),
    aims: [
      aim("longest wait over the floor's", ours?.ratio_to_floor ?? Number.NaN, LIMITS.ratio),
      aim("failed requests of heirloom", ours?.failed ?? Number.NaN, 0),
      aim("closed keep-alive connections of heirloom", ours?.keep_alive_closed ?? Number.NaN, 0),
      aim("peak memory over the steady one", ratio, LIMITS.memory),
      aim(`segment of ${files.files} files, in bytes`, files.segmentBytes, LIMITS.segment),
    ],
  };
}

function summarizeSubject(name: string, runs: readonly Trial[], floor: number): SubjectSummary {
  const waits = spread(runs.map(longest));
  return {
    name,
    longest_wait_ms: waits,
    p99_ms: spread(runs.map(({ window }) => window.p99Ms)),
    ratio_to_floor: waits.median / floor,
    requests: sum(runs.map(({ window }) => window.sent)),
    failed: sum(runs.map(({ failed }) => failed)),
    keep_alive_closed: sum(runs.map(({ keepAliveClosed }) => keepAliveClosed)),
  };
}

function phasesOf(records: readonly UpdateRecord[], blackout: number): PhaseSummary[] {
  const names = records[0]?.phases.map(({ name }) => name) ?? [];
  return names.map((name) => {
    const ms = median(records.map(({ phases }) => phases.find((phase) => phase.name === name)?.ms ?? 0));
    return { name, ms, share: BEFORE.includes(name) ? null : ms / blackout };
  });
}

function longest({ window }: Trial): number {
  return window.longestWaitMs;
}

function aim(name: string, value: number, limit: number): Aim {
  return { name, met: value <= limit, value, limit };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** The middle value; of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low = Number.NaN, high = low] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return (low + high) / 2;
}

/**
 * The value that a part of all values does not exceed.
 *
 * @param values some values
 * @param part from 0 to 1
 */
export function percentile(values: readonly number[], part: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? Number.NaN;
}
