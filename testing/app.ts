/**
 * Starts a service as a process of its own and talks to it from outside, as an operator does.
 *
 * ```ts ignore
 * await using app = await startApp({ entry: "app.ts" });
 * const before = await snapshot(app);
 * const record = await app.upgrade({ build: "app_v2.ts" });
 * assertNothingLost(before, await snapshot(app));
 * ```
 *
 * 1. {@linkcode startApp} makes a private directory (mode 0700) for the control socket and whatever the service writes,
 *    starts the service in it, and waits until `status` says `serving`.
 * 2. The {@linkcode TestApp} asks it, updates it, and sends it signals.
 * 3. Disposing it ends the service with all that it left behind, and removes the directory.
 *
 * A service that ends or hangs before it serves is an error with the end of what it wrote. Every process that descends from
 * the service can be found, even one that outlived its parent: the environment variable {@linkcode APP_VARIABLE} marks them.
 * So a guardian that would bring a killed service back is ended with it.
 *
 * @module
 */

import { APP_VARIABLE, type AppCommand, appCommand } from "./app_command.ts";
import { AppProcess } from "./app_process.ts";
import type {
  AppExit,
  CheckOptions,
  CommandResult,
  StartOptions,
  TestApp,
  UpgradeOptions,
} from "./app_types.ts";
import { ConnectionFault } from "./connection.ts";
import { callControl, ControlCallError, readLastWords } from "./control.ts";
import { tail } from "./output.ts";
import { resolve } from "./paths.ts";
import type { ProcessInfo } from "./process.ts";
import type { CheckReport, SessionInfo, StatusReport, UpdateRecord } from "./types.ts";
import { delay, type TempDir, tempDir } from "./wait.ts";

/** The pause between two looks at an update or at a service that starts, in milliseconds. */
const POLL_MS = 20;

/** How much longer than the deadline of an update to wait for its verdict, as the command line does. */
const VERDICT_GRACE_MS = 10_000;

/** How much longer than a check may take to wait for its report, as the command line does. */
const CHECK_GRACE_MS = 5_000;

/** How long a service that a guardian brings back may take to answer before it is ended. */
const RECOVERY_MS = 5_000;

/**
 * Starts a service and waits until it serves.
 *
 * @param options What to start, and how.
 * @returns The running service; the caller disposes it.
 * @throws {TypeError} If there is no entry where one is needed, or one too many.
 * @throws {Deno.errors.TimedOut} If it does not serve in time.
 * @throws {Error} If it ends before it serves. Both errors have the end of its output.
 */
export async function startApp(options: StartOptions): Promise<TestApp> {
  await using undo = new AsyncDisposableStack();
  const dir = undo.use(tempDir("heirloom-test-"));
  const socket = `${dir.path}/control.sock`;
  const command = appCommand(options, dir.path, socket);
  const cwd = options.cwd ?? dir.path;
  const process = AppProcess.start(command.argv, { cwd, env: command.env, mark: APP_VARIABLE });
  const app = undo.use(new RunningApp(process, command, dir, socket));
  await app.ready(options.readyTimeoutMs ?? 30_000, options.prefix !== undefined);
  // All went well: from here on the caller disposes the app, and the app the rest.
  undo.move();
  return app;
}

class RunningApp implements TestApp {
  readonly #process: AppProcess;
  readonly #command: AppCommand;
  readonly #dir: TempDir;
  readonly socket: string;
  readonly exited: Promise<AppExit>;
  #pid: number;
  /** The process that served first: as long as it serves, its exit code is known. */
  #firstPid: number;
  #exit: AppExit | null = null;
  #stopping: Promise<AppExit> | null = null;

  constructor(process: AppProcess, command: AppCommand, dir: TempDir, socket: string) {
    this.#process = process;
    this.#command = command;
    this.#dir = dir;
    this.socket = socket;
    this.#pid = this.#firstPid = process.pid;
    this.exited = process.exited;
    void this.exited.then((exit) => this.#exit = exit);
  }

  get pid(): number {
    return this.#pid;
  }

  get dir(): string {
    return this.#dir.path;
  }

  /** Waits until the service serves. A `wrapped` service may outlive the command that started it. */
  async ready(timeoutMs: number, wrapped: boolean): Promise<void> {
    const end = performance.now() + timeoutMs;
    let last = "no answer yet";
    while (performance.now() < end) {
      if (this.#exit !== null && !(wrapped && this.#exit.code === 0)) {
        const how = this.#exit.signal ?? `code ${this.#exit.code}`;
        throw new Error(this.#withOutput(`Cannot start the service: it ended before it served, with ${how}`));
      }
      try {
        const { state } = await this.#status(Math.max(1, end - performance.now()));
        if (state === "serving") {
          this.#firstPid = this.#pid;
          return;
        }
        last = `its state is "${state}"`;
      } catch (error) {
        last = error instanceof Error ? error.message : String(error);
      }
      await delay(POLL_MS);
    }
    throw new Deno.errors.TimedOut(
      this.#withOutput(`Cannot start the service: it does not serve within ${timeoutMs} ms: ${last}`),
    );
  }

  status(): Promise<StatusReport> {
    return this.#status();
  }

  async sessions(): Promise<readonly SessionInfo[]> {
    return (await this.#get("/v1/sessions") as { sessions: SessionInfo[] }).sessions;
  }

  async history(): Promise<readonly UpdateRecord[]> {
    return (await this.#get("/v1/history") as { updates: UpdateRecord[] }).updates;
  }

  async check(options: CheckOptions = {}): Promise<CheckReport> {
    const timeoutMs = Math.round((options.timeoutS ?? 30) * 1000);
    const body = { ...buildMembers(options), timeout_ms: timeoutMs };
    const call = { socket: this.socket, path: "/v1/check", body, timeoutMs: timeoutMs + CHECK_GRACE_MS };
    return await callControl(call) as CheckReport;
  }

  async upgrade(options: UpgradeOptions = {}): Promise<UpdateRecord> {
    const timeoutMs = (options.timeoutS ?? 30) * 1000;
    const end = performance.now() + timeoutMs + VERDICT_GRACE_MS;
    const { guardian, commitAfterS, rollback } = options;
    const body = {
      ...buildMembers(options),
      ...(guardian === undefined ? {} : { guardian }),
      ...(commitAfterS === undefined ? {} : { commit_after_ms: Math.round(commitAfterS * 1000) }),
      ...(rollback === undefined ? {} : { rollback }),
      timeout_ms: Math.round(timeoutMs),
    };
    const { id } = await callControl({ socket: this.socket, path: "/v1/upgrade", body }) as { id: string };
    return await this.#verdict(id, end);
  }

  upgradeCli(args: readonly string[] = []): Promise<CommandResult> {
    return this.cli("upgrade", args);
  }

  async cli(command: string, args: readonly string[] = []): Promise<CommandResult> {
    const [runtime = "", ...rest] = this.#command.cli;
    const result = await new Deno.Command(runtime, {
      args: [...rest, command, "--socket", this.socket, ...args],
      env: { ...this.#command.cliEnv },
      clearEnv: true,
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    return {
      code: result.code,
      stdout: decoder.decode(result.stdout),
      stderr: decoder.decode(result.stderr),
    };
  }

  signal(name: Deno.Signal): void {
    Deno.kill(this.#pid, name);
  }

  processes(): ProcessInfo[] {
    return this.#process.family(this.#pid);
  }

  output(): { readonly stdout: string; readonly stderr: string } {
    return this.#process.output();
  }

  stop(): Promise<AppExit> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.stop();
    } finally {
      await this.#dir[Symbol.asyncDispose]();
    }
  }

  async #stop(): Promise<AppExit> {
    if (!this.#serves() && this.processes().length > 0) {
      // A guardian may just be bringing the service back: it should have the chance to end in order.
      await this.#status(RECOVERY_MS).catch(() => {});
    }
    await this.#process.end(this.#pid);
    const exit = await this.exited;
    const recovered = this.#pid !== this.#firstPid;
    return { ...exit, ...(recovered ? { code: null, signal: null } : {}), ...this.output() };
  }

  #serves(): boolean {
    return this.processes().some((process) => process.pid === this.#pid);
  }

  async #status(timeoutMs?: number): Promise<StatusReport> {
    const report = await this.#get("/v1/status", timeoutMs) as StatusReport;
    this.#pid = report.pid;
    return report;
  }

  #get(path: string, timeoutMs?: number): Promise<unknown> {
    return callControl({ socket: this.socket, path, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
  }

  /** Asks until the update has its outcome. The one who answers changes meanwhile, and may be away for a while. */
  async #verdict(id: string, end: number): Promise<UpdateRecord> {
    let last = "it still runs";
    while (performance.now() < end) {
      try {
        const record = await this.#get(`/v1/history/${encodeURIComponent(id)}`) as UpdateRecord;
        if (record.outcome !== null) {
          this.#pid = record.pid;
          return record;
        }
        last = `it still runs, after the phases ${record.phases.map((phase) => phase.name).join(", ")}`;
      } catch (error) {
        if (!(error instanceof ConnectionFault || error instanceof ControlCallError)) throw error;
        last = error.message;
        // Words are left in advance, and count once nobody is there to say more.
        const gone = this.processes().length === 0;
        if (gone) {
          const words = readLastWords(this.socket, id);
          if (words !== null) return words;
          last = "no process of the service is left";
          break;
        }
      }
      await delay(POLL_MS);
    }
    throw new Deno.errors.TimedOut(this.#withOutput(`Cannot learn the outcome of update ${id}: ${last}`));
  }

  #withOutput(message: string): string {
    const { stdout, stderr } = this.output();
    const parts = [message];
    if (stdout.trim() !== "") parts.push(`standard output:\n${tail(stdout)}`);
    if (stderr.trim() !== "") parts.push(`standard error:\n${tail(stderr)}`);
    return parts.join("\n");
  }
}

function buildMembers({ build, deno, heirloom }: CheckOptions): Record<string, string> {
  return {
    ...(build === undefined ? {} : { build: resolve(build) }),
    ...(deno === undefined ? {} : { deno: resolve(deno) }),
    ...(heirloom === undefined ? {} : { heirloom: resolve(heirloom) }),
  };
}
