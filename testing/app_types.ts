/**
 * The types of a service under test: how it is started, what can be asked of it, and how it ends.
 *
 * @module
 */

import type { ProcessInfo } from "./process.ts";
import type { CheckReport, SessionInfo, StatusReport, UpdateRecord } from "./types.ts";

/** How `startApp` starts a service. */
export interface StartOptions {
  /**
   * `run`: `heirloom run ENTRY`. `serve`: the built-in service, without an entry. `plain`: `deno run -A ENTRY`, with the
   * path of the control socket in `HEIRLOOM_SOCKET`, which the application gives to `open({ socket })`.
   *
   * @default {"run"}
   */
  mode?: "run" | "serve" | "plain";
  /** The entry module, relative to the caller's directory. */
  entry?: string;
  /** The arguments of the application, or of `serve`. */
  args?: readonly string[];
  /** More environment variables. The others are the caller's, without those that begin with `HEIRLOOM_`. */
  env?: Readonly<Record<string, string>>;
  /**
   * The directory to start in.
   *
   * @default {the private directory}
   */
  cwd?: string;
  /** Flags for the Deno that runs the application, for example `--v8-flags=…`. */
  denoArgs?: readonly string[];
  /** What to put before the command, for example `["systemd-run", "--user", "--scope"]`. */
  prefix?: readonly string[];
  /**
   * The runtime.
   *
   * @default {Deno.execPath()}
   */
  deno?: string;
  /**
   * The directory of the Heirloom to use.
   *
   * @default {the one that this module belongs to}
   */
  heirloom?: string;
  /**
   * How long the service may take until it serves, in milliseconds.
   *
   * @default {30000}
   */
  readyTimeoutMs?: number;
}

/** What to update to; without any of these the present names are resolved anew. */
export interface UpgradeOptions {
  /** The new build, relative to the caller's directory: a directory with a `main.ts`, or a module. */
  build?: string;
  /** Another runtime. */
  deno?: string;
  /** The directory of another Heirloom. */
  heirloom?: string;
  /**
   * The deadline of the whole update, in seconds.
   *
   * @default {30}
   */
  timeoutS?: number;
  /**
   * False to do without the guardian.
   *
   * @default {true}
   */
  guardian?: boolean;
  /**
   * How long the new build serves before the commit, in seconds.
   *
   * @default {0}
   */
  commitAfterS?: number;
  /**
   * True to go back to the previous build of the history; then nothing else is named.
   *
   * @default {false}
   */
  rollback?: boolean;
}

/** What to check; without any of these the present names are resolved anew. */
export interface CheckOptions {
  /** The build, relative to the caller's directory: a directory with a `main.ts`, or a module. */
  build?: string;
  /** Another runtime. */
  deno?: string;
  /** The directory of another Heirloom. */
  heirloom?: string;
  /**
   * After how many seconds a build that is not ready would not take over.
   *
   * @default {30}
   */
  timeoutS?: number;
}

/** What a command came to. */
export interface CommandResult {
  /** The exit code. */
  readonly code: number;
  /** What it wrote to standard output. */
  readonly stdout: string;
  /** What it wrote to standard error. */
  readonly stderr: string;
}

/** How a service ended. */
export interface AppExit {
  /**
   * The exit code; 128 and the signal's number if a signal ended it. Null for a service that a guardian had brought back:
   * it is not our child, and its code is for others.
   */
  readonly code: number | null;
  /** The signal that ended it, or null. */
  readonly signal: string | null;
  /** What it wrote to standard output. */
  readonly stdout: string;
  /** What it wrote to standard error. */
  readonly stderr: string;
}

/** A service that runs. Disposing it ends it and removes its directory. */
export interface TestApp extends AsyncDisposable {
  /** The process that serves. Follows a recovery under a new PID once an answer or a record told it. */
  readonly pid: number;
  /** The path of the control socket. */
  readonly socket: string;
  /** The private directory, removed when the app is disposed. */
  readonly dir: string;
  /** Resolves when the process that was started has ended, by itself or not. */
  readonly exited: Promise<AppExit>;
  /**
   * Asks for the status.
   *
   * @returns The answer.
   * @throws {ConnectionFault} If the service does not answer.
   */
  status(): Promise<StatusReport>;
  /**
   * Asks for the sessions.
   *
   * @returns The answer.
   * @throws {ConnectionFault} If the service does not answer.
   */
  sessions(): Promise<readonly SessionInfo[]>;
  /**
   * Asks for the updates so far.
   *
   * @returns The answer.
   * @throws {ConnectionFault} If the service does not answer.
   */
  history(): Promise<readonly UpdateRecord[]>;
  /**
   * Asks whether a build would take over. One that would not is no error: the report says so.
   *
   * @param options What to check.
   * @returns The report.
   * @throws {ControlCallError} If the service does not check just now, for example EBUSY while an update runs.
   * @throws {ConnectionFault} If there is no answer 5 s after the time of the check.
   */
  check(options?: CheckOptions): Promise<CheckReport>;
  /**
   * Updates the service through the control API and waits for the verdict, as the command line does. An update that is
   * refused or undone is no error: the record says so. If nobody is left to ask, the last words of the service, a file
   * beside the control socket, give the record.
   *
   * @param options What to update to.
   * @returns The record, its outcome not null.
   * @throws {ControlCallError} If the request itself is refused, for example EBUSY while another update runs.
   * @throws {Deno.errors.TimedOut} If there is no verdict 10 s after the deadline, or nobody is left to give one.
   */
  upgrade(options?: UpgradeOptions): Promise<UpdateRecord>;
  /**
   * Runs `heirloom upgrade` on this service.
   *
   * @param args More arguments.
   * @returns What came of it.
   */
  upgradeCli(args?: readonly string[]): Promise<CommandResult>;
  /**
   * Runs a command of the command line on this service.
   *
   * @param command The command, for example `status`.
   * @param args More arguments, for example `["--json"]`.
   * @returns What came of it.
   */
  cli(command: string, args?: readonly string[]): Promise<CommandResult>;
  /**
   * Sends a signal to the process that serves.
   *
   * @param name The signal, for example `SIGUSR2`.
   * @throws {Deno.errors.NotFound} If the process is gone.
   */
  signal(name: Deno.Signal): void;
  /**
   * All processes that belong to the service and run: itself, check children, guardians, its own children.
   *
   * @returns They, by PID.
   */
  processes(): ProcessInfo[];
  /**
   * What the service wrote so far, its descendants included.
   *
   * @returns The text of both streams.
   */
  output(): { readonly stdout: string; readonly stderr: string };
  /**
   * Ends the service: SIGTERM, after 10 s SIGKILL. Whatever it leaves behind is ended as well. The directory stays until
   * the app is disposed. Calling it again gives the same answer.
   *
   * @returns How it ended.
   */
  stop(): Promise<AppExit>;
}
