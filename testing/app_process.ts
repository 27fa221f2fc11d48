/**
 * The processes of a service under test: the one that was started, and all that came of it. A guardian outlives the service
 * that it watches, and a service that it brings back is nobody's child; so the family is told not by parentage alone
 * but also by a variable in the environment that all of them inherit.
 *
 * @module
 */

import type { AppExit } from "./app_types.ts";
import { OutputCollector } from "./output.ts";
import { children, isGone, isRunning, processes, type ProcessInfo } from "./process.ts";
import { delay, waitFor } from "./wait.ts";

/** How long a service may take to end by itself. */
const STOP_MS = 10_000;

/** How long those that it leaves behind may. */
const REST_MS = 2_000;

/** How long the pipes may stay open after the last process has ended. */
const PIPE_MS = 1_000;

/** A started service and its family. */
export class AppProcess {
  /** The process that was started. */
  readonly pid: number;
  /** Resolves when it has ended. */
  readonly exited: Promise<AppExit>;
  readonly #stdout: OutputCollector;
  readonly #stderr: OutputCollector;
  readonly #mark: string;

  private constructor(child: Deno.ChildProcess, mark: string) {
    this.pid = child.pid;
    this.#mark = mark;
    this.#stdout = new OutputCollector(child.stdout);
    this.#stderr = new OutputCollector(child.stderr);
    this.exited = this.#exit(child.status);
  }

  /**
   * Starts a process.
   *
   * @param argv The command.
   * @param options The directory, the whole environment, and which of its variables marks the family.
   * @returns The running process; the caller ends it with {@linkcode AppProcess.end}.
   */
  static start(
    argv: readonly string[],
    options: { cwd: string; env: Readonly<Record<string, string>>; mark: string },
  ): AppProcess {
    const [command = "", ...args] = argv;
    const child = new Deno.Command(command, {
      args,
      cwd: options.cwd,
      env: { ...options.env },
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return new AppProcess(child, `${options.mark}=${options.env[options.mark] ?? ""}`);
  }

  /** What was written so far. */
  output(): { readonly stdout: string; readonly stderr: string } {
    return { stdout: this.#stdout.text, stderr: this.#stderr.text };
  }

  /**
   * The family, without zombies.
   *
   * @param service The process that serves, if it is another than the one that was started.
   * @returns All that run, by PID.
   */
  family(service = this.pid): ProcessInfo[] {
    const descendants = [...children(this.pid), ...children(service)].map((each) => each.pid);
    const kin = new Set([this.pid, service, ...descendants]);
    return processes()
      .filter((each) => each.state !== "Z" && (kin.has(each.pid) || this.#isMarked(each.pid)))
      .sort((a, b) => a.pid - b.pid);
  }

  /**
   * Ends the family: the service by SIGTERM, or SIGKILL if that does not help; then whoever is left.
   *
   * @param service The process that serves.
   */
  async end(service: number): Promise<void> {
    const main = this.family(service).find((each) => each.pid === service);
    if (main !== undefined) {
      send(main, "SIGTERM");
      await within(STOP_MS, () => !isRunning(main));
      if (!isRunning(main)) await within(REST_MS, () => this.family(service).length === 0);
    }
    // In a loop: who is about to start another process may do so between the look and the signal.
    await waitFor(() => {
      const left = this.family(service);
      for (const each of left) send(each, "SIGKILL");
      return left.length === 0;
    }, { what: "the processes of the service to end" });
    const pipes = Promise.all([this.#stdout.ended, this.#stderr.ended]);
    if (await Promise.race([pipes.then(() => true), delay(PIPE_MS).then(() => false)])) return;
    await Promise.all([this.#stdout.cancel(), this.#stderr.cancel()]);
  }

  async #exit(status: Promise<Deno.CommandStatus>): Promise<AppExit> {
    let code: number | null = null;
    let signal: string | null = null;
    try {
      ({ code, signal } = await status);
    } catch {
      // Somebody else has waited for it: then its code is lost, but not that it ended.
    }
    // What it wrote last may still be in the pipes, and a guardian that lives on keeps them open.
    await Promise.race([Promise.all([this.#stdout.ended, this.#stderr.ended]), delay(PIPE_MS)]);
    return { code, signal, ...this.output() };
  }

  #isMarked(pid: number): boolean {
    try {
      return Deno.readTextFileSync(`/proc/${pid}/environ`).split("\0").includes(this.#mark);
    } catch (error) {
      // The environment of somebody else's process is not for us to read, and so it is none of ours.
      if (isGone(error) || error instanceof Deno.errors.PermissionDenied) return false;
      throw error;
    }
  }
}

function send(process: ProcessInfo, signal: Deno.Signal): void {
  try {
    if (isRunning(process)) Deno.kill(process.pid, signal);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** Waits for a condition for some time, and goes on without it after that. */
async function within(ms: number, condition: () => boolean): Promise<void> {
  const end = performance.now() + ms;
  while (!condition() && performance.now() < end) await delay(10);
}
