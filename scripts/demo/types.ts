/**
 * What the demonstration reports: the document of `--json`, and what the table is made from.
 *
 * @module
 */

/** One thing that should have held. */
export interface Check {
  /** What it is about. */
  readonly name: string;
  /** Did it hold? */
  readonly held: boolean;
  /** The figures, or what was wrong. */
  readonly detail: string;
}

/** One update, as its record and the clients saw it. */
export interface UpdateReport {
  /** The version that was updated to. */
  readonly version: string;
  /** How it ended. */
  readonly outcome: string;
  /** The exit code of the command line. */
  readonly exit_code: number;
  /** The generation after it. */
  readonly generation: number;
  /** The pause: from the freeze until the taps were open, in milliseconds. */
  readonly blackout_ms: number | null;
  /** The longest wait of a client around it, from when its request was due, in milliseconds. */
  readonly longest_wait_ms: number;
  /** Why it did not commit. */
  readonly reason: string | null;
}

/** What the clients saw in all. */
export interface RequestReport {
  /** The requests sent. */
  readonly sent: number;
  /** Those that were answered as they should. */
  readonly answered: number;
  /** The others, and connections that ended on their own. */
  readonly failed: number;
  /** Connections made. */
  readonly connections: number;
  /** Keep-alive connections that the service closed. */
  readonly keep_alive_closed: number;
  /** The median wait in milliseconds. */
  readonly p50_ms: number;
  /** The wait that one in a hundred exceeded, in milliseconds. */
  readonly p99_ms: number;
  /** The first failures, in words. */
  readonly failures: readonly string[];
}

/** The whole report. */
export interface DemoReport {
  /** Did all of it hold? */
  readonly ok: boolean;
  /** What was looked at. */
  readonly checks: readonly Check[];
  /** The updates in order. */
  readonly updates: readonly UpdateReport[];
  /** The load. */
  readonly requests: RequestReport;
  /** The process. */
  readonly pid: number;
  /** Its generation in the end. */
  readonly generation: number;
  /** The shared memory. */
  readonly segment: { readonly bytes: number; readonly sha256: string };
  /** How long it took, in milliseconds. */
  readonly elapsed_ms: number;
}
