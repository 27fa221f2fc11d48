/**
 * What a load generator saw: every request with the moment at which it was due and how long it waited, and the
 * {@linkcode LoadReport} made of them.
 *
 * Waits are counted from the moment at which a request was *due*, not from when it was sent: a request that had to wait
 * for the one before it on the same connection waited all the same, and a client that politely stops asking while the
 * server is away would otherwise see one slow request instead of a hundred ("coordinated omission").
 *
 * A report accounts for everything: `sent + idleCloses === answered + failed`.
 *
 * @module
 */

import type { FaultReason } from "./connection.ts";

/** The two ways in which a load generator asks. */
export type LoadKind = "keep-alive" | "new";

/**
 * Why a request failed: what befell the connection ({@linkcode FaultReason}), or `status`, an answer with another status;
 * `body`, an answer that the check did not like; `saturated`, not sent because too many were outstanding; `unsent`, due
 * but not sent when the load was over, because its connection was still busy.
 */
export type LoadFailureReason = FaultReason | "status" | "body" | "saturated" | "unsent";

/** One failure. */
export interface LoadFailure {
  /** Which kind of client saw it. */
  readonly kind: LoadKind;
  /** Why. */
  readonly reason: LoadFailureReason;
  /** When it failed, in milliseconds since the start of the load. */
  readonly atMs: number;
  /** How long the request had been due by then, in milliseconds; 0 where an idle connection ended. */
  readonly waitedMs: number;
  /** The details, in words. */
  readonly detail: string;
}

/** The figures of a set of requests. Times are in milliseconds, and NaN where nothing was measured. */
export interface LoadFigures {
  /** The requests which came due, answered or not. */
  readonly sent: number;
  /** Those which got the answer that they should. */
  readonly answered: number;
  /** The failures: requests that failed, and keep-alive connections that ended between two requests. */
  readonly failed: number;
  /** The keep-alive connections that ended between two requests: failures without a request. */
  readonly idleCloses: number;
  /** The longest that any request waited, from when it was due until its answer or its failure. */
  readonly longestWaitMs: number;
  /** The median wait for an answer. */
  readonly p50Ms: number;
  /** The wait for an answer that 99 of 100 requests did not exceed. */
  readonly p99Ms: number;
  /** The longest wait for an answer. */
  readonly maxMs: number;
}

/** The figures of the requests that were due around a mark. */
export interface LoadWindow extends LoadFigures {
  /** The longest time without an answer to any client which touches the window. */
  readonly longestGapMs: number;
}

/** What a load generator saw, in all. */
export interface LoadReport extends LoadWindow {
  /** The first 20 failures. */
  readonly failures: readonly LoadFailure[];
  /** The keep-alive connections that the other side ended, idle or not. */
  readonly keepAliveClosed: number;
  /** The connections that came about. Without a failure, keep-alive clients need one each. */
  readonly connects: number;
  /** The connections that were refused. */
  readonly refused: number;
  /** The keep-alive clients alone. */
  readonly keepAlive: LoadFigures;
  /** The requests with a connection of their own alone. */
  readonly fresh: LoadFigures;
  /** How long the load lasted, in milliseconds. */
  readonly durationMs: number;
  /**
   * The most by which the generator itself was late, in milliseconds. Waits include it; where it is large, the process
   * that made the load was busy, and the figures say more about it than about the server.
   */
  readonly generatorLagMs: number;
  /** The marks, with their time since the start of the load in milliseconds. */
  readonly marks: readonly { readonly label: string; readonly atMs: number }[];
  /**
   * The figures of the requests due around a mark.
   *
   * @param label The mark; of several with the same label the last one.
   * @param windowMs How far the window reaches before and after it, in milliseconds.
   * @returns The figures.
   * @throws {RangeError} If there is no such mark.
   */
  around(label: string, windowMs: number): LoadWindow;
  /**
   * The report in a few words.
   *
   * @returns One line, and one more for each kept failure.
   */
  toString(): string;
}

/** How many failures a report keeps in words; all are counted. */
export const MAX_FAILURES = 20;

const KEEP_ALIVE = 1;
const FAILED = 2;
const IDLE = 4;

/** A growing list of numbers, 8 bytes each: a load of an hour has some millions. */
class Column {
  #values = new Float64Array(4096);
  #length = 0;

  get values(): Float64Array {
    return this.#values.subarray(0, this.#length);
  }

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const larger = new Float64Array(this.#length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#length++] = value;
  }
}

/** What a load generator writes down as it runs. All times are milliseconds since its start. */
export class LoadLog {
  /** The connections that came about. */
  connects = 0;
  /** The connections that were refused. */
  refused = 0;
  /** The keep-alive connections that the other side ended. */
  keepAliveClosed = 0;
  /** The most by which the generator was late. */
  lagMs = 0;
  /** The requests that were answered as they should. */
  answered = 0;
  /** The failures. */
  failed = 0;
  /** The first failures, in words. */
  readonly failures: LoadFailure[] = [];
  /** The marks. */
  readonly marks: { label: string; atMs: number }[] = [];
  readonly #due = new Column();
  readonly #end = new Column();
  readonly #flags = new Column();

  /** Notes a request that was answered as it should. */
  answer(kind: LoadKind, due: number, end: number): void {
    this.answered++;
    this.#note(due, end, kind === "keep-alive" ? KEEP_ALIVE : 0);
  }

  /** Notes a failure, of a request or (`due` null) of an idle connection. */
  failure(kind: LoadKind, due: number | null, end: number, reason: LoadFailureReason, detail: string): void {
    this.failed++;
    if (this.failures.length < MAX_FAILURES) {
      this.failures.push({ kind, reason, atMs: end, waitedMs: end - (due ?? end), detail });
    }
    const idle = due === null ? IDLE : 0;
    this.#note(due ?? end, end, FAILED | idle | (kind === "keep-alive" ? KEEP_ALIVE : 0));
  }

  #note(due: number, end: number, flags: number): void {
    this.#due.push(due);
    this.#end.push(end);
    this.#flags.push(flags);
  }

  /**
   * Makes the report.
   *
   * @param durationMs How long the load lasted.
   * @returns The report, independent of the log.
   */
  report(durationMs: number): LoadReport {
    const rows = { due: this.#due.values, end: this.#end.values, flags: this.#flags.values };
    const marks = [...this.marks];
    const report: LoadReport = {
      ...figures(rows, () => true),
      longestGapMs: longestGap(rows, durationMs, 0, durationMs),
      failures: [...this.failures],
      keepAliveClosed: this.keepAliveClosed,
      connects: this.connects,
      refused: this.refused,
      keepAlive: figures(rows, (at) => (rows.flags[at]! & KEEP_ALIVE) !== 0),
      fresh: figures(rows, (at) => (rows.flags[at]! & KEEP_ALIVE) === 0),
      durationMs,
      generatorLagMs: this.lagMs,
      marks,
      around(label: string, windowMs: number): LoadWindow {
        const mark = marks.findLast((mark) => mark.label === label);
        if (mark === undefined) {
          throw new RangeError(`Cannot look around mark "${label}": there is no such mark`);
        }
        const from = mark.atMs - windowMs;
        const to = mark.atMs + windowMs;
        return {
          ...figures(rows, (at) => rows.due[at]! >= from && rows.due[at]! <= to),
          longestGapMs: longestGap(rows, durationMs, from, to),
        };
      },
      toString: (): string => describeLoad(report),
    };
    return report;
  }
}

/** One row for each request and each idle close, in the order in which they ended. */
interface Rows {
  readonly due: Float64Array;
  readonly end: Float64Array;
  readonly flags: Float64Array;
}

function figures(rows: Rows, wanted: (at: number) => boolean): LoadFigures {
  const waits: number[] = [];
  let failed = 0;
  let idleCloses = 0;
  let longest = Number.NaN;
  for (let at = 0; at < rows.due.length; at++) {
    if (!wanted(at)) continue;
    const flags = rows.flags[at]!;
    if ((flags & FAILED) !== 0) failed++;
    if ((flags & IDLE) !== 0) {
      idleCloses++;
      continue;
    }
    const wait = rows.end[at]! - rows.due[at]!;
    if (!(wait <= longest)) longest = wait;
    if ((flags & FAILED) === 0) waits.push(wait);
  }
  const sorted = Float64Array.from(waits).sort();
  return {
    sent: sorted.length + failed - idleCloses,
    answered: sorted.length,
    failed,
    idleCloses,
    longestWaitMs: longest,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    maxMs: percentile(sorted, 1),
  };
}

/** The nearest-rank percentile. */
function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** The longest time between two answers, the start and the end of the load included, that touches a window. */
function longestGap(rows: Rows, durationMs: number, from: number, to: number): number {
  let longest = 0;
  let last = 0;
  const close = (end: number): void => {
    if (end >= from && last <= to) longest = Math.max(longest, end - last);
    last = end;
  };
  for (let at = 0; at < rows.end.length; at++) {
    // After the end of the schedule fewer and fewer requests are left, and silence says nothing.
    if ((rows.flags[at]! & FAILED) === 0) close(Math.min(rows.end[at]!, durationMs));
  }
  close(durationMs);
  return longest;
}

/**
 * A report in a few words.
 *
 * @param report The report.
 * @returns One line, and one more for each kept failure.
 */
export function describeLoad(report: LoadReport): string {
  const ms = (value: number): string => `${value.toFixed(1)} ms`;
  const head =
    `${report.sent} requests in ${(report.durationMs / 1000).toFixed(1)} s: ${report.answered} answered, ` +
    `${report.failed} failed; ${report.connects} connections made, ${report.refused} refused, ` +
    `${report.keepAliveClosed} keep-alive ones closed; waits p50 ${ms(report.p50Ms)}, p99 ${
      ms(report.p99Ms)
    }, ` +
    `longest ${ms(report.longestWaitMs)}; longest gap ${ms(report.longestGapMs)}`;
  return [head, ...report.failures.map(describeFailure)].join("\n");
}

function describeFailure(failure: LoadFailure): string {
  return `  ${failure.kind} at ${failure.atMs.toFixed(0)} ms, after ${failure.waitedMs.toFixed(0)} ms: ` +
    `${failure.reason}: ${failure.detail}`;
}
