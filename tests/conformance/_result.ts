/**
 * What comes out of steps, scenarios and runs.
 *
 * @module
 */
import type { SkipKind } from "./_skips.ts";

/** What came out of a step. */
export interface StepResult {
  /** Its place in the scenario, from 0. */
  step: number;
  /** Its operation. */
  op: string;
  /** The answer is the kernel's; it was skipped by kind; it deviated by rules; or it failed. */
  outcome: "equal" | "skipped" | "deviation" | "failed";
  /** By which kind it was skipped. */
  kind?: SkipKind;
  /** By which rules it deviated. */
  rules?: string[];
  /** What failed. */
  detail?: string;
}

/** What came out of a scenario. */
export interface ScenarioResult {
  /** Its name. */
  name: string;
  /** The file that it is from. */
  file: string;
  /** `skipped` only where no step could be run. */
  outcome: "passed" | "failed" | "skipped";
  /** How many steps it has. */
  steps: number;
  /** The steps that were skipped. */
  skipped: { step: number; op: string; kind: SkipKind }[];
  /** The steps that deviated. */
  deviations: { step: number; op: string; rules: string[] }[];
  /** What failed, or null. */
  failure: string | null;
  /** How long it took. */
  ms: number;
}

/** What came out of a run: the document of `--json`. */
export interface RunResult {
  /** How many scenarios passed. */
  passed: number;
  /** How many failed. */
  failed: number;
  /** How many had no step that could be run. */
  skipped: number;
  /** All of them, in the order of the files. */
  scenarios: ScenarioResult[];
}
