/**
 * A service of the matrix, and what it must still have after each row.
 *
 * Happy path: {@linkcode Service.start} starts it, gives it something to lose, and updates it once, so that what the first
 * update loads is loaded; {@linkcode Service.holds} and {@linkcode Service.kept} check that everything is still there.
 *
 * Unhappy paths: whatever is not as it was is an error that says so; the service is good for no further row then.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import {
  descriptors,
  freePort,
  type Load,
  startApp,
  startLoad,
  tempDir,
  type TestApp,
  waitFor,
  writeApp,
} from "../../testing/mod.ts";
import { Client, once } from "../update/_fixtures.ts";
import { buildFiles } from "./_application.ts";
import { assertKept, describe, type Holding, look } from "./_look.ts";
import { fullDirectory } from "./_settings.ts";
import type { BadBuild, ServiceSettings } from "./_types.ts";

/** Milliseconds that something may take on a busy machine. */
const PATIENCE_MS = 30_000;

/** Keep-alive clients of the load. */
const CLIENTS = 4;

/** Answers that a load must get before and after the fault. */
const ANSWERS = 8;

/** A build: what it answers, and where its entry is. */
export interface Build {
  /** What it answers at `/`. */
  readonly label: string;
  /** Its entry module. */
  readonly entry: string;
}

/** A running service of the matrix. */
export class Service implements AsyncDisposable {
  /** The service. */
  readonly app: TestApp;
  /** Where it listens. */
  readonly port: number;
  /** The folder with its builds. */
  readonly builds: string;
  /** A runtime of its own, or null. */
  readonly runtime: string | null;
  readonly #client: Client;
  readonly #firstPid: number;
  #stack = new AsyncDisposableStack();
  #hash = "";
  #lines = 0;
  #label = "a";
  #generation = 0;
  #held: Holding | null = null;
  #written = 0;

  private constructor(
    app: TestApp,
    client: Client,
    facts: { port: number; builds: string; runtime: string | null },
  ) {
    this.app = app;
    this.#client = client;
    this.#firstPid = app.pid;
    this.port = facts.port;
    this.builds = facts.builds;
    this.runtime = facts.runtime;
  }

  /**
   * Starts a service, and updates it once.
   *
   * @param settings its surroundings
   * @throws {Error} when it does not come up
   */
  static async start(settings: ServiceSettings = {}): Promise<Service> {
    await using undo = new AsyncDisposableStack();
    const { path: builds } = undo.use(tempDir("heirloom-faults-"));
    const { ownRuntime = false, fullState = false, denoArgs = [], env = {}, prefix = [] } = settings;
    const runtime = ownRuntime ? `${builds}/deno` : null;
    if (runtime !== null) await Deno.copyFile(Deno.execPath(), runtime);
    const state = `${builds}/state`;
    const before = [...fullState ? fullDirectory(state) : [], ...prefix];
    const port = freePort();
    await writeApp(`${builds}/b`, { files: buildFiles("b") });
    const app = undo.use(
      await startApp({
        entry: await writeApp(`${builds}/a`, { files: buildFiles("a") }),
        args: [String(port)],
        env: { ...env, ...(fullState ? { XDG_STATE_HOME: state } : {}) },
        denoArgs,
        ...(before.length === 0 ? {} : { prefix: before }),
        ...(runtime === null ? {} : { deno: runtime }),
      }),
    );
    await Deno.mkdir(`${app.dir}/stage`);
    const client = undo.use(await Client.open(port));
    const service = new Service(app, client, { port, builds, runtime });
    await service.#fill();
    service.#stack = undo.move();
    return service;
  }

  /** What the build that should serve answers. */
  get label(): string {
    return this.#label;
  }

  /** Was it brought back by a guardian, so that nobody learns how it ends? */
  get recovered(): boolean {
    return this.app.pid !== this.#firstPid;
  }

  /** A good build that does not run. */
  get other(): Build {
    const label = this.#label === "a" ? "b" : "a";
    return { label, entry: this.entry(label) };
  }

  /** The entry of a build. */
  entry(label: string): string {
    return `${this.builds}/${label}/main.ts`;
  }

  /** The path of a file through which the application is told what to do. */
  stage(name: string): string {
    return `${this.app.dir}/stage/${name}`;
  }

  /** Writes a new build. */
  async write(bad: BadBuild = {}): Promise<Build> {
    const label = `new${++this.#written}`;
    return { label, entry: await writeApp(`${this.builds}/${label}`, { files: buildFiles(label, bad) }) };
  }

  /**
   * Starts a load and waits until it is answered.
   *
   * @param path what it asks for; each answer to `/line` is a line of the log
   */
  async load(path: "/" | "/line" = "/line"): Promise<Load> {
    const load = startLoad({
      target: { hostname: "127.0.0.1", port: this.port },
      path,
      keepAlive: CLIENTS,
      keepAlivePeriodMs: 50,
      newPerSecond: 20,
      timeoutMs: 2 * PATIENCE_MS,
      stopTimeoutMs: PATIENCE_MS,
    });
    await this.answered(load);
    return load;
  }

  /** Waits until a load has got more answers. */
  async answered(load: Load): Promise<void> {
    const { answered } = load;
    await waitFor(() => load.answered >= answered + ANSWERS, {
      what: "the service to answer its load",
      timeoutMs: PATIENCE_MS,
    });
  }

  /**
   * Ends a load and judges it.
   *
   * @param load the load
   * @param allowed the failures that may have been
   * @param path what it asked for
   * @returns how many requests failed
   */
  async judge(load: Load, allowed?: RegExp, path: "/" | "/line" = "/line"): Promise<number> {
    const report = await load.stop();
    const bad = report.failures.filter(({ reason }) => allowed?.test(reason) !== true);
    assert(report.answered > 0 && bad.length === 0, `requests failed: ${report}`);
    if (allowed === undefined) {
      const connections = report.connects - report.fresh.sent;
      assertEquals([report.keepAliveClosed, connections], [0, CLIENTS], `connections were closed: ${report}`);
    }
    if (path === "/line") this.#lines += report.answered;
    return report.failed;
  }

  /** A committed update: another build serves. */
  committed(label: string): void {
    this.#label = label;
    this.#generation++;
  }

  /**
   * Checks that the expected build serves, and that it has everything.
   *
   * @param exactly has each line been counted, so that there are no more?
   */
  async holds(exactly: boolean): Promise<void> {
    const client = this.#client;
    assertEquals(client.closed, false, "the keep-alive connection was closed");
    assertEquals(await client.text("/"), this.#label, "another build serves");
    assertEquals(await once(this.port, "/"), this.#label, "another build serves new connections");
    assertEquals(await client.text("/dependency"), `the dependency of ${this.#label}`);
    assertEquals(await client.text("/hash"), this.#hash, "the segment has another content");
    const lines = Number(await client.text("/line"));
    assert(exactly ? lines === this.#lines + 1 : lines > this.#lines, `${this.#lines} lines became ${lines}`);
    this.#lines = lines;
    const status = await this.app.status();
    assertEquals([status.generation, status.state], [this.#generation, "serving"]);
    await this.#logHolds(status.pid);
  }

  /** Checks that the service holds what it held the last time, and nothing more. */
  async kept(recovered = false): Promise<void> {
    const before = this.#held;
    const now = await look(this.app);
    this.#held = now;
    if (before === null) return;
    assertKept(before, now, { updates: this.#generation - before.snapshot.generation, recovered });
  }

  /** Waits until no process of the service is left, the service among them. */
  async gone(): Promise<void> {
    await waitFor(() => {
      const left = this.app.processes();
      if (left.length > 0) throw new Error(`there are ${describe(left)}`);
      return true;
    }, { what: "the last process of the service to end", timeoutMs: PATIENCE_MS });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #fill(): Promise<void> {
    assertEquals(await this.#client.text("/fill"), "filled");
    this.#hash = await this.#client.text("/hash");
    const { label, entry } = this.other;
    const record = await this.app.upgrade({ build: entry });
    assertEquals([record.outcome, record.reason], ["committed", null], "the first update");
    this.committed(label);
    await this.holds(true);
    await this.kept();
  }

  async #logHolds(pid: number): Promise<void> {
    const path = `${this.app.dir}/app.log`;
    const lines = (await Deno.readTextFile(path)).trimEnd().split("\n");
    assertEquals(lines.findIndex((line, at) => line !== String(at + 1)), -1, "the log has a gap");
    assertEquals(lines.length, this.#lines, "the log and the state differ");
    const log = descriptors(pid).find(({ link }) => link === path);
    if (log === undefined) throw new Error("the log is not open");
    const info = await Deno.readTextFile(`/proc/${pid}/fdinfo/${log.fd}`);
    const { size } = await Deno.stat(path);
    assertEquals(/^pos:\s*(\d+)$/m.exec(info)?.[1], String(size), "the position is not the end of the log");
  }
}
