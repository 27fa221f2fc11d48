/**
 * What a service of the matrix holds, seen from outside: descriptors, identities of resources, processes, files.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { assert, assertEquals } from "@std/assert";
import {
  assertNothingLost,
  children,
  descriptors,
  type Snapshot,
  snapshot,
  type TestApp,
  waitFor,
} from "../../testing/mod.ts";
import { snapshotsOf } from "../update/_deployed.ts";
import { DEVICE } from "./_application.ts";

/** What is held at a moment. */
export interface Holding {
  /** Process, descriptors, children, attributes. */
  readonly snapshot: Snapshot;
  /** Which sockets, memory and files the resources are: device and inode. */
  readonly resources: readonly string[];
  /** The names of the files in the private directory. */
  readonly files: readonly string[];
}

/** The harness's own folder, and the state directory of the service, whose content may change within bounds. */
const NOT_COUNTED = ["stage", "state"];

/** Milliseconds until nothing but the service may be left. */
const ALONE_MS = 15_000;

/** The signal mask of a process while the C library starts a child for it. */
const SPAWNING = "fffffffffffbfeff";

/** Milliseconds without a child after which none is about to be started. */
const QUIET_MS = 300;

/** How many snapshots of builds may be kept: of the one that runs, the ones next to it in the history, and the new one. */
const MAX_SNAPSHOTS = 4;

/**
 * Looks at a service, once nothing but itself runs.
 *
 * @param app the service
 * @throws {Deno.errors.TimedOut} when another process of its family stays
 */
export async function look(app: TestApp): Promise<Holding> {
  return await waitFor(async () => {
    await alone(app);
    const taken = await snapshot(app);
    // What a service prepares when it is ready starts a child for a moment.
    if (taken.children.length > 0) throw new Error(`there are ${describe(taken.children)}`);
    if (taken.attributes["blocked signals"] === SPAWNING) throw new Error("it is starting a child");
    const kept = snapshotsOf(app);
    assert(kept.length <= MAX_SNAPSHOTS, `too many snapshots are kept: ${kept.join(" ")}`);
    return { snapshot: forgetful(taken), resources: resources(taken.pid, app), files: files(app.dir) };
  }, { what: "the service to be alone", timeoutMs: ALONE_MS });
}

/** Waits until a service has not had a child for a while. */
export async function quiet(app: TestApp): Promise<void> {
  let since = performance.now();
  await waitFor(async () => {
    await alone(app).catch(() => since = performance.now());
    return performance.now() - since > QUIET_MS;
  }, { what: "the service to be quiet", timeoutMs: ALONE_MS });
}

async function alone(app: TestApp): Promise<void> {
  const { pid } = await app.status();
  const strays = [...app.processes(), ...children(pid)].filter((each) => each.pid !== pid);
  if (strays.length > 0) throw new Error(`there are ${describe(strays)}`);
}

/** A runtime whose file was replaced is still the same one. */
function forgetful(taken: Snapshot): Snapshot {
  const shown = (description: string): string =>
    description.replace(" (deleted) (path only)", " (path only)");
  return { ...taken, descriptors: taken.descriptors.map(shown), inheritable: taken.inheritable.map(shown) };
}

/**
 * Asserts that a service holds what it held.
 *
 * @param before what it held
 * @param after what it holds
 * @param change committed updates in between, and whether a guardian brought it back
 */
export function assertKept(
  before: Holding,
  after: Holding,
  change: { updates: number; recovered: boolean },
): void {
  assertNothingLost(before.snapshot, after.snapshot, { ...change, ignore: isConnection });
  assertEquals(after.snapshot.pid !== before.snapshot.pid, change.recovered, "the PID tells otherwise");
  assertEquals(after.resources, before.resources, "a resource is another one");
  assertEquals(after.files, before.files, "files came or went");
}

/** Processes in words. */
export function describe(found: readonly { pid: number; command: string; state: string }[]): string {
  return found.map(({ pid, command, state }) => `${pid} ${commandLine(pid) || command} (${state})`).join(
    ", ",
  );
}

/** The arguments of a process in one line; empty when it is gone. */
export function commandLine(pid: number): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();
  } catch {
    return "";
  }
}

/** The listening sockets, the shared memory, the log and the device, with what identifies each. */
function resources(pid: number, app: TestApp): string[] {
  const wanted = (description: string): boolean =>
    / listening$/.test(description) || description.startsWith("memfd heirloom:memory") ||
    description.startsWith(`file ${app.dir}/app.log`) || description.startsWith(`file ${DEVICE}`);
  const found = descriptors(pid).filter(({ description }) => wanted(description)).map(
    ({ fd, description }) => {
      const { dev, ino } = Deno.statSync(`/proc/${pid}/fd/${fd}`);
      return `${description} ${dev}:${ino}`;
    },
  );
  return found.sort();
}

/**
 * Waits until a service has put a copy of the build that runs aside, and looks at its files no more.
 *
 * @param app the service
 * @param entry the entry of that build
 */
export async function setAside(app: TestApp, entry: string): Promise<void> {
  const folder = dirname(Deno.realPathSync(entry));
  const own = [...Deno.readDirSync(folder)].filter(({ isFile }) => isFile).map(({ name }) =>
    `${folder}/${name}`
  );
  const isCopy = (root: string): boolean =>
    own.every((path) =>
      existsSync(root + path) && Deno.readTextFileSync(root + path) === Deno.readTextFileSync(path)
    );
  await waitFor(() => snapshotsOf(app).some(isCopy), {
    what: "a snapshot of the build that runs",
    timeoutMs: ALONE_MS,
  });
  // A copy of the same content may be one of before, and the build at its look: nothing outside tells when that is over.
  await quiet(app);
}

function files(directory: string): string[] {
  // The last words of an update stay for a while after its verdict, for whoever asks late.
  const passing = (name: string): boolean => NOT_COUNTED.includes(name) || name.endsWith(".last.json");
  return [...Deno.readDirSync(directory)].map(({ name }) => name).filter((name) => !passing(name)).sort();
}

/** Connections of the clients of a load come and go. */
function isConnection(description: string): boolean {
  return /^tcp .* to /.test(description);
}
