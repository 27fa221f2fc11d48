/**
 * Inputs of which the fourth does what a reader must never do, to show that a run notices. It has no tests itself; the name
 * keeps it out of the published package.
 *
 * @module
 */
import { HandoverError } from "./errors.ts";
import { type Case, codeOf } from "./fuzz_verdict_test.ts";
import type { Random } from "./mutations_test.ts";

/** What can go wrong; the seed of the run chooses. */
export const FAULTS = ["throw", "accident", "memory", "time", "crash", "exit", "hang"] as const;

/** Number of the input that does it. */
export const FAULTY_INDEX = 3;

/** An input that is harmless, or one that does what the seed says. */
export function faultCase(_random: Random, seed: number, index: number): Case {
  const what = index === FAULTY_INDEX ? FAULTS[seed] ?? "none" : "none";
  return { family: "fault", how: what, bytes: new Uint8Array([seed, index]), run: () => RUN[what]() };
}

const RUN: Record<(typeof FAULTS)[number] | "none", () => string> = {
  none: () => "equal",
  throw: () => {
    throw new TypeError("a reader that trusts its input");
  },
  accident: () => {
    const cause = new RangeError("Maximum call stack size exceeded");
    return codeOf(new HandoverError("CORRUPT", "Cannot read the handover: it is damaged", { cause }), [
      "CORRUPT",
    ]);
  },
  memory: () => String(new Uint8Array(80 * 1024 * 1024).fill(1).length),
  time: () => spin(2100),
  crash: () => {
    Deno.kill(Deno.pid, "SIGKILL");
    return spin(60_000);
  },
  exit: () => Deno.exit(7),
  hang: () => spin(Infinity),
};

function spin(ms: number): string {
  for (const began = performance.now(); performance.now() - began < ms;);
  return "late";
}
