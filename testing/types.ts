/**
 * What a Heirloom service says about itself, as the types of the documents which its control socket and the
 * command line's `--json` give out. The names and keys are fixed; a service may add keys, and tests that look at
 * the known ones go on working.
 *
 * @module
 */

/** The runtime, entry module and arguments that run, in short. */
export interface BuildInfo {
  /** The real path of the entry module, or of the directory that holds it. */
  readonly path: string;
  /** The version in the nearest `deno.json`, null where there is none. */
  readonly version: string | null;
  /** The first 12 hexadecimal digits of the fingerprint of the build's local modules. */
  readonly id: string;
}

/** One preserved file of a session. */
export interface FileInfo {
  /** The token, an unsigned 64-bit number in decimal digits. */
  readonly token: string;
  /** The handler that carries the file, for example `memfd-v1`. */
  readonly compatible: string;
  /** The descriptor in the process, null while the file is preserved but not retrieved. */
  readonly fd: number | null;
  /** The name that the application gave, null for a file that was preserved by token alone. */
  readonly name: string | null;
}

/** One session and what is in it. */
export interface SessionInfo {
  /** The name, 1 to 63 bytes. */
  readonly name: string;
  /** Outgoing: this build preserves. Incoming: the build before preserved, and this one takes back. */
  readonly direction: "incoming" | "outgoing";
  /** The files, in the order in which they were preserved. */
  readonly files: readonly FileInfo[];
}

/** What the service is doing just now. */
export type ServiceState = "starting" | "serving" | "updating" | "probation" | "stopping";

/**
 * How an update ended. `committed`: the new build serves. `refused`: the old build never stopped. `rolled-back`:
 * the old build is back in the same process. `recovered`: the guardian brought the old build back under a new PID.
 * `lost`: the old build failed as well.
 */
export type UpdateOutcome = "committed" | "refused" | "rolled-back" | "recovered" | "lost";

/** One step of an update. */
export interface UpdatePhase {
  /** The phase, for example `freezing`. */
  readonly name: string;
  /** How long it took, in milliseconds. */
  readonly ms: number;
}

/** The record of one update, whether it is done or still runs. */
export interface UpdateRecord {
  /** Names the update in the history. */
  readonly id: string;
  /** How it ended, null while it runs. */
  readonly outcome: UpdateOutcome | null;
  /** Why it did not commit, in words. */
  readonly reason: string | null;
  /** The build that ran before. */
  readonly from: BuildInfo;
  /** The build that was asked for. */
  readonly to: BuildInfo;
  /** The generation after the update. */
  readonly generation: number;
  /** The process after the update. */
  readonly pid: number;
  /**
   * What became of the guardian. `off`: there was none. `watched`: it released the new build at the commit. `died`: it
   * ended before. `acted`: it brought the old build back.
   */
  readonly guardian: "off" | "watched" | "died" | "acted";
  /** From the start of the freeze until the taps were open, in milliseconds; null without a jump. */
  readonly blackout_ms: number | null;
  /** From the first arrival that was left unread until the taps were open, in milliseconds; null without a jump. */
  readonly stall_ms: number | null;
  /** The phases so far, in order. */
  readonly phases: readonly UpdatePhase[];
  /** How many files were preserved. */
  readonly files: number;
  /** How many descriptors crossed. */
  readonly fds: number;
  /** The size of the handover segment. */
  readonly segment_bytes: number;
  /** How many connections were ended for the update. */
  readonly closed: number;
  /** The names which the new build did not claim, dropped at the commit. */
  readonly dropped: readonly string[];
  /** What an operator should know although it did not keep the update from happening. */
  readonly warnings: readonly string[];
}

/** What `status` answers. */
export interface StatusReport {
  /** The process that serves. */
  readonly pid: number;
  /** 0 on a cold start, one more with each committed update. */
  readonly generation: number;
  /** What the service is doing. */
  readonly state: ServiceState;
  /** The build that runs. */
  readonly build: BuildInfo;
  /** How long this build has been running, in milliseconds. */
  readonly uptime_ms: number;
  /** What is preserved. */
  readonly sessions: readonly SessionInfo[];
  /** The update that ended last, or the one that runs; null if there was none. */
  readonly last_update: UpdateRecord | null;
}

/**
 * What a new build would do with something that is handed over. `ok`: take it as it is. `needs migration`: turn it into
 * its own form. `unsupported`: it cannot take it. `unclaimed`: it does not ask for it.
 */
export type TokenVerdict = "ok" | "needs migration" | "unsupported" | "unclaimed";

/** What a new build would do with one preserved file. */
export interface TokenReport {
  /** The name of the session. */
  readonly session: string;
  /** The token, an unsigned 64-bit number in decimal digits. */
  readonly token: string;
  /** The name that the application gave, null for a file that was preserved by token alone. */
  readonly name: string | null;
  /** The handler that carries the file, for example `memfd-v1`. */
  readonly compatible: string;
  /** What would become of it. */
  readonly verdict: TokenVerdict;
  /** Why, null if it is ok. */
  readonly reason: string | null;
}

/** What a new build would do with one saved state. */
export interface StateReport {
  /** The name. */
  readonly name: string;
  /** The version that is written now, null if that is not known. */
  readonly version: number | null;
  /** What would become of it. */
  readonly verdict: TokenVerdict;
  /** Why, null if it is ok. */
  readonly reason: string | null;
}

/** What `check` answers. */
export interface CheckReport {
  /** Whether the build would take over. */
  readonly ok: boolean;
  /** The build that was checked. */
  readonly build: BuildInfo;
  /** How long it took until it was ready, in milliseconds; null if it never was. */
  readonly startup_ms: number | null;
  /** Why it would not take over, in words; null if it would. */
  readonly reason: string | null;
  /** The end of what it wrote to standard error. */
  readonly stderr: string;
  /** What would become of the preserved files. */
  readonly tokens: readonly TokenReport[];
  /** What would become of the saved states. */
  readonly states: readonly StateReport[];
}
