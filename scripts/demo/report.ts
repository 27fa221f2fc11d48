/**
 * The report of the demonstration for people: two tables and a verdict.
 *
 * @module
 */
import { columns, duration, strong } from "../../service/text.ts";
import type { DemoReport } from "./types.ts";

/**
 * Lays the report out.
 *
 * @param report the report
 * @returns its lines; colours only on a terminal
 */
export function reportLines(report: DemoReport): string[] {
  const updates = columns([
    ["update", "outcome", "pause", "longest wait of a client"],
    ...report.updates.map((update) => [
      `to ${update.version}`,
      update.outcome,
      duration(update.blackout_ms).padStart(8),
      duration(update.longest_wait_ms).padStart(8),
    ]),
  ]);
  const width = Math.max(...report.checks.map(({ name }) => name.length));
  const checks = report.checks.map(({ name, held, detail }) => {
    const mark = held ? strong("held", "green") : strong("LOST", "red");
    return `${name.padEnd(width)}  ${mark}  ${detail}`;
  });
  const seconds = (report.elapsed_ms / 1000).toFixed(1);
  const lost = report.checks.filter(({ held }) => !held).length;
  const verdict = report.ok
    ? strong(`All of it held, in ${seconds} s.`, "green")
    : strong(`${lost} of ${report.checks.length} did not hold, in ${seconds} s.`, "red");
  const failures = report.requests.failures.map((failure) => `failed  ${failure}`);
  return ["", ...indent(updates.split("\n")), "", ...indent(checks), ...indent(failures), "", verdict];
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}
