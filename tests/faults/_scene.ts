/**
 * What the functions of a row work with: the service, the new build, and the moment at which an application is held.
 *
 * @module
 */
import { type UpgradeOptions, waitFor } from "../../testing/mod.ts";
import type { Callback } from "./_application.ts";
import { startCli, type StartedCli } from "./_cli.ts";
import { commandLine, setAside } from "./_look.ts";
import type { Build, Service } from "./_service.ts";
import type { Moment } from "./_types.ts";

/** Milliseconds until a moment must have come. */
const PATIENCE_MS = 30_000;

/** The surroundings of one row. */
export class Scene {
  /** The service. */
  readonly service: Service;
  /** The build that the row brings. */
  readonly build: Build;
  /** The build that served at the beginning. */
  readonly before: string;
  /** The command that asked for the update, or null. */
  cli: StartedCli | null = null;
  readonly #files = new Set<string>();

  /**
   * @param service the service
   * @param build the build that the row brings
   */
  constructor(service: Service, build: Build) {
    this.service = service;
    this.build = build;
    this.before = service.label;
  }

  /** Starts the command line. */
  startCli(command: string, flags: readonly string[]): StartedCli {
    return this.cli = startCli(this.service.app.socket, command, flags);
  }

  /** Lets a build wait when it comes to a moment. */
  hold(label: string, moment: Moment): void {
    this.#write(`hold-${label}-${moment}`);
  }

  /** Lets a callback of a build's handler fail. */
  fail(label: string, callback: Callback): void {
    this.#write(`fail-${label}-${callback}`);
  }

  /**
   * Waits until a held build has come to its moment.
   *
   * @returns its process: of the check child where that is what waits
   */
  async reached(label: string, moment: Moment): Promise<number> {
    const name = `at-${label}-${moment}`;
    this.#files.add(name);
    return await waitFor(() => Number(Deno.readTextFileSync(this.service.stage(name))), {
      what: `build ${label} to come to "${moment}"`,
      timeoutMs: PATIENCE_MS,
      intervalMs: 5,
    });
  }

  /** Is there such a process now? */
  find(part: string): number | null {
    return this.service.app.processes().find(({ pid }) => commandLine(pid).includes(part))?.pid ?? null;
  }

  /** The guardian's process. */
  guardian(): number {
    const pid = this.find("guardian_main.ts");
    if (pid === null) throw new Error("Cannot find the guardian: no process is one");
    return pid;
  }

  /** Waits until the build that runs could come back without its files. */
  async setAside(): Promise<void> {
    await setAside(this.service.app, this.service.entry(this.service.label));
  }

  /** Lets everything go on and removes what the row left for the application. */
  release(): void {
    for (const name of this.#files) {
      try {
        Deno.removeSync(this.service.stage(name));
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    this.#files.clear();
  }

  /** Updates to a build that must commit. */
  async commits(build: Build, options: UpgradeOptions = {}): Promise<void> {
    const record = await this.service.app.upgrade({ build: build.entry, ...options });
    if (record.outcome !== "committed") throw new Error(`Cannot update to ${build.label}: ${record.reason}`);
    this.service.committed(build.label);
  }

  #write(name: string): void {
    Deno.writeTextFileSync(this.service.stage(name), "");
    this.#files.add(name);
  }
}
