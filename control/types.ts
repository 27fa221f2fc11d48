/**
 * The documents of the control API and of the command line's `--json`: stable keys, one type each.
 *
 * @module
 */

/** A build as it is shown. */
export interface BuildInfo {
  /** What was asked for: a directory with a `main.ts`, or a module; resolved. */
  path: string;
  /** Version of the nearest `deno.json`, or null. */
  version: string | null;
  /** The first 12 hexadecimal digits of the fingerprint of its local modules, or null while that is not known. */
  id: string | null;
}

/** How an update ended. */
export type Outcome =
  /** The new build runs. */
  | "committed"
  /** The old build never stopped. */
  | "refused"
  /** The old build is back in the same process. */
  | "rolled-back"
  /** The guardian brought the old build back, in a new process. */
  | "recovered"
  /** The old build failed as well. */
  | "lost";

/** The time that one phase took. */
export interface PhaseTime {
  /** Name of the phase. */
  name: string;
  /** Milliseconds. */
  ms: number;
}

/** What is told about an update. */
export interface UpdateRecord {
  /** Its id. */
  id: string;
  /** How it ended; null while it is under way. */
  outcome: Outcome | null;
  /** Why, unless it was committed. */
  reason: string | null;
  /** The build that ran before. */
  from: BuildInfo;
  /** The build that was asked for. */
  to: BuildInfo;
  /** Generation after the update. */
  generation: number;
  /** Process after the update. */
  pid: number;
  /**
   * What became of the guardian: `off`, there was none; `watched`, it released the new build at the commit; `died`, it
   * ended before; `acted`, it brought the old build back.
   */
  guardian: "off" | "watched" | "died" | "acted";
  /** Milliseconds from the start of the freeze until the taps were open; null without a freeze. */
  blackout_ms: number | null;
  /** Milliseconds from the first moment at which something that arrived was left unread until the taps were open. */
  stall_ms: number | null;
  /** The phases, in order. */
  phases: PhaseTime[];
  /** Preserved files. */
  files: number;
  /** Descriptors that crossed. */
  fds: number;
  /** Size of the segment. */
  segment_bytes: number;
  /** Connections that were ended for the update: politely, as their server says, or cut off because they were late. */
  closed: number;
  /** Names that the new build did not claim. */
  dropped: string[];
  /** What an operator should know although it did not keep the update from happening. */
  warnings: string[];
}

/** A file of a session. */
export interface FileReport {
  /** Decimal digits of the token. */
  token: string;
  /** Its handler. */
  compatible: string;
  /** The descriptor that is held, or null. */
  fd: number | null;
  /** The application's name for it, or null. */
  name: string | null;
}

/** A session. */
export interface SessionReport {
  /** Its name. */
  name: string;
  /** Created here or handed over. */
  direction: "outgoing" | "incoming";
  /** Its files, in the order of preservation. */
  files: FileReport[];
}

/** What a service is doing. */
export type ServiceState = "starting" | "serving" | "updating" | "probation" | "stopping";

/** What is told about a running service. */
export interface StatusReport {
  /** Its process. */
  pid: number;
  /** How many updates it has committed. */
  generation: number;
  /** What it is doing. */
  state: ServiceState;
  /** The build that runs. */
  build: BuildInfo;
  /** Milliseconds since its cold start. */
  uptime_ms: number;
  /** Its sessions. */
  sessions: SessionReport[];
  /** The last update that ended, or null. */
  last_update: UpdateRecord | null;
}

/** The answer to `/v1/status?fds=1`. */
export interface DetailedStatus extends StatusReport {
  /** Its open descriptors; absent from a service that does not know of that question. */
  fds?: FdReport[];
}

/** What becomes of an open descriptor at the next update. */
export type FdClass =
  /** It crosses: it is preserved, or leads to the same open file as what is, or is a connection that is carried. */
  | "preserved"
  /** It crosses as it is: it was there before the service. */
  | "inherited"
  /** Heirloom's own. */
  | "heirloom"
  /** The runtime's own, which the next image has, too. */
  | "runtime"
  /** Nobody has said what it is: it is closed. */
  | "unknown";

/** An open descriptor. */
export interface FdReport {
  /** Its number. */
  fd: number;
  /** What becomes of it. */
  class: FdClass;
  /** What it is, in words. */
  what: string;
  /** What it is for, as far as that is known. */
  note: string | null;
  /** The session in which it is preserved, or null. */
  session: string | null;
  /** Decimal digits of its token there, or null. */
  token: string | null;
  /** The application's name for it, or null. */
  name: string | null;
  /** Its handler, or null. */
  compatible: string | null;
  /** How an unknown one could be carried, or that it cannot; null for others. */
  hint: string | null;
  /** The queue of a TCP socket that listens, or null: who waits in it, and how many may. */
  backlog: { waiting: number; limit: number } | null;
}

/** What an update can be asked for. */
export interface UpgradeRequest {
  /** Path of the new build; the present one, resolved anew, if absent. */
  build?: string;
  /** Path of another runtime. */
  deno?: string;
  /** Directory of a newer Heirloom under the same application. */
  heirloom?: string;
  /** Deadline of the whole update in milliseconds. @default {30000} */
  timeoutMs?: number;
  /** Start a guardian? @default {true} */
  guardian?: boolean;
  /** Milliseconds that the new build serves before the update is committed; less than the deadline. @default {0} */
  commitAfterMs?: number;
  /** To the previous build of the history? Then no build and no runtime is named. @default {false} */
  rollback?: boolean;
}

/** What a new build would do with something that is handed over. */
export type TokenVerdict =
  /** It takes it as it is. */
  | "ok"
  /** It takes it and turns it into a newer or an older form. */
  | "needs migration"
  /** It cannot take it. */
  | "unsupported"
  /** It does not ask for it: it is dropped at the commit. */
  | "unclaimed";

/** What a new build would do with one preserved file. */
export interface TokenReport {
  /** Name of the session. */
  session: string;
  /** Decimal digits of the token. */
  token: string;
  /** The application's name for it, or null. */
  name: string | null;
  /** Its handler. */
  compatible: string;
  /** What would become of it. */
  verdict: TokenVerdict;
  /** Why, unless it is ok. */
  reason: string | null;
}

/** What a new build would do with one saved state. */
export interface StateReport {
  /** Its name. */
  name: string;
  /** The version that is written now, or null where that is not known. */
  version: number | null;
  /** What would become of it. */
  verdict: TokenVerdict;
  /** Why, unless it is ok. */
  reason: string | null;
}

/** Would a build take over? */
export interface CheckReport {
  /** Would it? */
  ok: boolean;
  /** The build that was checked. */
  build: BuildInfo;
  /** Milliseconds from the start of its process until it was ready; null when it was not. */
  startup_ms: number | null;
  /** Why it would not take over, in words; null when it would. */
  reason: string | null;
  /** The end of what it wrote to its standard error. */
  stderr: string;
  /** The preserved files, in the order of preservation. */
  tokens: TokenReport[];
  /** The saved states. */
  states: StateReport[];
}

/** What a check can be asked for. */
export interface CheckRequest {
  /** Path of the build; the present one, resolved anew, if absent. */
  build?: string;
  /** Path of another runtime. */
  deno?: string;
  /** Directory of a newer Heirloom under the same application. */
  heirloom?: string;
  /** Milliseconds after which the build counts as one that hangs. @default {30000} */
  timeoutMs?: number;
}
