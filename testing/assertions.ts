/**
 * Assertions about a service under test. Each throws an Error that lists *all* that is wrong, in words, one thing on a line.
 *
 * @module
 */

import { describeLoad, type LoadReport } from "./load_report.ts";
import type { ProcessInfo } from "./process.ts";
import type { Snapshot } from "./snapshot.ts";

/** What may differ between two snapshots. */
export interface NothingLostOptions {
  /** How many updates were committed in between; without it, any number. */
  updates?: number;
  /**
   * Whether the service was brought back by a guardian: then process and parent differ.
   *
   * @default {false}
   */
  recovered?: boolean;
  /** Says of a descriptor in words whether it may come and go, for example the connections of clients. */
  ignore?: (descriptor: string) => boolean;
}

/** What the runtime opens for itself when it first needs it; see `describeDescriptors`. */
const RUNTIME = /^runtime /;

/**
 * Asserts that a service holds after an update what it held before, and nothing more: the same process, descriptors,
 * children and attributes, no zombie, no descriptor that became inheritable.
 *
 * @param before The service before the update.
 * @param after The service after it.
 * @param options What may differ.
 * @throws {Error} If anything differs. The message lists every difference; of environment variables it gives the names only.
 */
export function assertNothingLost(before: Snapshot, after: Snapshot, options: NothingLostOptions = {}): void {
  const { recovered = false, ignore = () => false, updates } = options;
  const passing = (descriptor: string): boolean => RUNTIME.test(descriptor) || ignore(descriptor);
  const differences = [
    ...(recovered ? [] : compareProcess(before, after)),
    ...compareGeneration(before.generation, after.generation, updates),
    ...compareLists("descriptor", before.descriptors, after.descriptors, passing),
    ...gained(before.inheritable, after.inheritable)
      .filter((each) => !passing(each) && before.descriptors.includes(each))
      .map((each) => `inheritable now: descriptor ${each}`),
    ...compareLists("child", describeChildren(before, recovered), describeChildren(after, recovered)),
    ...compareAttributes(before.attributes, after.attributes, recovered ? ["parent"] : []),
  ];
  if (differences.length > 0) fail("The service does not hold what it held", differences);
}

/**
 * Asserts that no request of a load failed, and that there were any.
 *
 * @param report What the load generator saw.
 * @throws {Error} If a request or a connection failed, or none was answered. The message has the failures.
 */
export function assertNoFailures(report: LoadReport): void {
  if (report.failed === 0 && report.answered > 0) return;
  throw new Error(`The load was not answered without a failure: ${describeLoad(report)}`);
}

function fail(what: string, differences: string[]): never {
  throw new Error(`${what}:\n${differences.map((each) => `  ${each}`).join("\n")}`);
}

function compareProcess(before: Snapshot, after: Snapshot): string[] {
  if (before.pid !== after.pid) return [`another process: PID ${after.pid}, before ${before.pid}`];
  if (before.startTicks === after.startTicks) return [];
  return [
    `another process with the same PID ${after.pid}: started at ${after.startTicks}, before ${before.startTicks}`,
  ];
}

function compareGeneration(before: number, after: number, updates: number | undefined): string[] {
  if (updates === undefined ? after >= before : after === before + updates) return [];
  const wanted = updates === undefined ? `at least ${before}` : String(before + updates);
  return [`generation ${after}, not ${wanted}`];
}

function compareLists(
  what: string,
  before: readonly string[],
  after: readonly string[],
  passing: (entry: string) => boolean = () => false,
): string[] {
  return [
    ...gained(after, before).filter((each) => !passing(each)).map((each) => `lost: ${what} ${each}`),
    ...gained(before, after).filter((each) => !passing(each)).map((each) => `gained: ${what} ${each}`),
  ];
}

/** What the second list has more often than the first. */
function gained(before: readonly string[], after: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const entry of before) left.set(entry, (left.get(entry) ?? 0) + 1);
  return after.filter((entry) => {
    const count = left.get(entry) ?? 0;
    left.set(entry, count - 1);
    return count <= 0;
  });
}

function describeChildren(snapshot: Snapshot, recovered: boolean): string[] {
  return snapshot.children.map((child) => describeChild(child) + (recovered ? "" : ` of ${child.parent}`));
}

function describeChild(child: ProcessInfo): string {
  return `${child.pid} (${child.command})${child.state === "Z" ? ", a zombie," : ""}`;
}

function compareAttributes(
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
  passing: readonly string[],
): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].filter((name) => before[name] !== after[name] && !passing.includes(name)).map((name) => {
    // Variables hold secrets, and the output of tests is kept and shown around.
    if (!name.startsWith("variable ")) return `changed: ${name} is ${after[name]}, before ${before[name]}`;
    return `${
      before[name] === undefined ? "gained" : after[name] === undefined ? "lost" : "changed"
    }: ${name}`;
  });
}
