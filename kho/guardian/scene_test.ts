/**
 * A stage for guardians: a script plays the service in a process of its own, another one the previous build, and the
 * test looks on from outside. It has no tests itself; the name keeps it out of the published package.
 *
 * Nothing here needs an npm package, so that scripts run in an empty cache as well.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";

import { asOrdinaryUser, type ScriptRunner } from "../../sys/helpers_test.ts";
import { type ExitStatus, killProcess, SIGNALS, SysError, waitNoHang } from "../../sys/mod.ts";

import { PREVIOUS, SERVICE, TOOLS } from "./scripts_test.ts";

export { CRASH } from "./scripts_test.ts";
export { asOrdinaryUser };

/** Number, device and inode of a descriptor. */
export type Identity = [fd: number, dev: string, ino: string];

/** What the service says about itself once its guardian has a plan. */
export interface Facts {
  pid: number;
  guardian: number;
  port: number;
  crossing: Identity[];
}

/** What the previous build finds when it is back. */
export interface Report {
  pid: number;
  role: string;
  segment: number;
  nonce: string;
  crossing: Identity[];
  standard: number[];
  kept: string | null;
  update: string | null;
  cwd: string;
  umask: number;
  exec: string;
  blocked: string;
  journal: [phase: string, note: string | null][];
}

/** What was seen. */
export interface Scene {
  directory: string;
  service: Deno.CommandStatus;
  /** How the guardian ended, whatever it had become; null when the service had reaped it. */
  guardian: ExitStatus | null;
  facts: Facts;
  report: Report | null;
  /** What the service said with `say`. */
  said: unknown[];
  stderr: string;
  lastWords: Record<string, unknown> | null;
}

/** How to play. */
export interface Stage {
  /** As whom; as this user in this cache by default. */
  runner?: ScriptRunner;
  /** Looks on or interferes while the service runs. */
  outside?: (facts: Facts, directory: string) => Promise<void>;
}

/**
 * Plays a service until it and its guardian have ended.
 *
 * @param body what the service does; `guarded()`, `say()`, `tell()` and more are there
 * @param stage as whom, and what happens outside
 */
export async function play(body: string, stage: Stage = {}): Promise<Scene> {
  const directory = await Deno.makeTempDir({ prefix: "heirloom-guardian-" });
  try {
    await Deno.chmod(directory, 0o777);
    await Deno.writeTextFile(`${directory}/tools.js`, TOOLS);
    await Deno.writeTextFile(`${directory}/service.js`, `${SERVICE}\n${body}\n`);
    await Deno.writeTextFile(`${directory}/previous.js`, PREVIOUS);
    using _orphans = new Orphans();
    const { prefix, env = {} } = stage.runner ?? { prefix: [Deno.execPath()] };
    const run = ["run", "-A", "--no-check", "--no-config", "--quiet", `${directory}/service.js`, directory];
    const child = new Deno.Command("/bin/sh", {
      args: ["-c", `exec "$0" "$@" 2>${directory}/stderr`, ...prefix, ...run],
      env,
      stdin: "null",
      stdout: "null",
    }).spawn();
    const factsOf = (): Promise<Facts | null> => read<Facts>(`${directory}/facts`);
    let service: Deno.CommandStatus;
    try {
      if (stage.outside !== undefined) {
        await until(async () => await factsOf() !== null, "the service's facts", 10_000);
        await stage.outside(await factsOf() as Facts, directory);
      }
      service = await within(child.status, "the end of the service", 30_000);
    } catch (error) {
      child.kill("SIGKILL");
      await child.status;
      throw new Error(await Deno.readTextFile(`${directory}/stderr`), { cause: error });
    }
    const facts = await factsOf();
    const stderr = (): Promise<string> => Deno.readTextFile(`${directory}/stderr`);
    if (facts === null) {
      throw new Error(`Cannot look at the scene: the service ended early: ${await stderr()}`);
    }
    const guardian = await endOf(facts.guardian);
    return {
      directory,
      service,
      guardian,
      facts,
      report: await read<Report>(`${directory}/report`),
      said: await read<unknown[]>(`${directory}/said`) ?? [],
      stderr: await stderr(),
      lastWords: await read<Record<string, unknown>>(`${directory}/words.json`),
    };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Asserts that the previous build came back with everything, in the guardian's process, and then ended by itself. */
export function assertRecovered(scene: Scene, reason: string): void {
  const { facts, report, guardian, stderr } = scene;
  if (report === null) {
    throw new Error(`Cannot find the previous build: ${JSON.stringify(guardian)} ${stderr}`);
  }
  assertEquals(report.pid, facts.guardian);
  assertEquals([report.role, report.nonce], ["recovery", "07".repeat(16)]);
  assertEquals(report.segment, facts.crossing[0]?.[0]);
  assertEquals(report.crossing, [...facts.crossing].sort(([a], [b]) => a - b));
  assertEquals(report.standard, [0, 1, 2]);
  assertEquals([report.kept, report.cwd, report.umask], ["yes", scene.directory, 0o027]);
  assert(report.blocked !== "0".repeat(16));
  assertEquals(report.journal, [["jumping", null], ["booting", null], ["failed", reason]]);
  assertEquals(guardian, { status: 0, code: 0, signal: null });
  assertEquals(scene.lastWords, null);
  assert(stderr.includes(`heirloom: the new build failed: ${reason}`), stderr);
}

/** Asserts that the guardian ended without a trace of the previous build. */
export function assertNoRecovery(scene: Scene, code: number): void {
  assertEquals(scene.report, null);
  assertEquals(scene.guardian, { status: code << 8, code, signal: null }, scene.stderr);
}

/** Waits until a condition holds. */
export async function until(condition: () => Promise<boolean>, what: string, ms: number): Promise<void> {
  const end = Date.now() + ms;
  while (!await condition()) {
    if (Date.now() > end) throw new Error(`Cannot go on: ${what} did not come in ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
}

/** How a guardian ended that became ours when its parent ended; null when it was reaped by its parent. */
async function endOf(pid: number): Promise<ExitStatus | null> {
  let status: ExitStatus | null = null;
  try {
    await until(
      () => Promise.resolve((status = waitNoHang(pid)) !== null),
      "the end of the guardian",
      20_000,
    );
  } catch (error) {
    if (error instanceof SysError && error.code === "ECHILD") return null;
    killProcess(pid, SIGNALS.SIGKILL);
    throw error;
  }
  return status;
}

async function within<T>(promise: Promise<T>, what: string, ms: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Cannot go on: ${what} did not come in ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function read<T>(path: string): Promise<T | null> {
  try {
    return JSON.parse(await Deno.readTextFile(path)) as T;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** While it lives, processes without a parent become children of this one (`PR_SET_CHILD_SUBREAPER`). */
class Orphans implements Disposable {
  readonly #libc = Deno.dlopen("libc.so.6", {
    prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" }, // int prctl(int op, ...)
  });

  constructor() {
    this.#libc.symbols.prctl(36, 1n, 0n, 0n, 0n);
  }

  [Symbol.dispose](): void {
    this.#libc.symbols.prctl(36, 0n, 0n, 0n, 0n);
    this.#libc.close();
  }
}
