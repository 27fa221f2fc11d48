/**
 * How a service and the child that checks a build talk: `HEIRLOOM_PREFLIGHT=v1:<pid>:<nonce>` in the child's environment,
 * the segment on its standard input, and one line with the nonce and a JSON report on its standard output.
 *
 * The pid is that of the service: a process that the child starts inherits the variable, and must not take itself for
 * the child. The nonce tells the report from whatever else the application prints.
 *
 * @module
 */

/** The environment variable that marks the child in which a build is checked. It stays, so that an application can look. */
export const PREFLIGHT_VARIABLE = "HEIRLOOM_PREFLIGHT";

/** What the variable says. */
export interface PreflightMark {
  /** The process that checks. */
  parent: number;
  /** Random hexadecimal digits, repeated in the report. */
  nonce: string;
}

/** The value of the variable. */
export function formatMark({ parent, nonce }: PreflightMark): string {
  return `v1:${parent}:${nonce}`;
}

/**
 * Reads the value of the variable.
 *
 * @returns what it says, or null when it is not of this version
 */
export function parseMark(value: string): PreflightMark | null {
  const [, parent, nonce] = /^v1:([1-9][0-9]{0,9}):([0-9a-f]{8,64})$/.exec(value) ?? [];
  return parent === undefined || nonce === undefined ? null : { parent: Number(parent), nonce };
}

/** The line of the report, with a line break before it, for an application may have left its own line unfinished. */
export function formatReport(nonce: string, report: unknown): string {
  return `\nheirloom-preflight:${nonce}:${JSON.stringify(report)}\n`;
}

/**
 * Finds the report in what a child printed.
 *
 * @returns the document, or undefined when there is none that can be read
 */
export function parseReport(nonce: string, output: string): unknown {
  const mark = `heirloom-preflight:${nonce}:`;
  const line = output.split("\n").findLast((line) => line.startsWith(mark));
  if (line === undefined) return undefined;
  try {
    return JSON.parse(line.slice(mark.length));
  } catch {
    return undefined;
  }
}
