/**
 * What a service holds at a moment, seen from outside: its process, generation, descriptors, children and the attributes
 * that `execve` keeps. Two snapshots are compared by `assertNothingLost`.
 *
 * Descriptors of a live service come and go: the connection that asked for the status, a file that is just being read. So
 * the set is read again until it stays the same for a moment, and the service's own control connections are waited for.
 *
 * @module
 */

import { descriptors } from "./descriptors.ts";
import { attributes, children, type ProcessInfo, startTicks } from "./process.ts";
import { delay } from "./wait.ts";

/** What a service holds. */
export interface Snapshot {
  /** The process. */
  readonly pid: number;
  /** When the process started, in clock ticks since boot. */
  readonly startTicks: number;
  /** The generation that `status` tells. */
  readonly generation: number;
  /** The descriptors in words, sorted; see `describeDescriptors`. */
  readonly descriptors: readonly string[];
  /** Those of them which `execve` does not close, sorted. */
  readonly inheritable: readonly string[];
  /** The descendants, zombies among them, by PID. */
  readonly children: readonly ProcessInfo[];
  /** The attributes which `execve` keeps; see `attributes`. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** What {@linkcode snapshot} needs of a service; a `TestApp` has it. */
export interface SnapshotSource {
  /** The path of the control socket, if its connections are to be left out. */
  readonly socket?: string;
  /** Asks for the status. */
  status(): Promise<{ readonly pid: number; readonly generation: number }>;
}

/** How long the descriptors must stay the same, and how long to wait for that, in milliseconds. */
const STEADY_MS = 50;
const UNSTEADY_MS = 2_000;

/**
 * Takes a snapshot. Of a service under load the descriptors never stay the same; then what there is after two seconds is
 * taken.
 *
 * @param app The service.
 * @returns What it holds.
 */
export async function snapshot(app: SnapshotSource): Promise<Snapshot> {
  const { pid, generation } = await app.status();
  const held = await steady(pid, app.socket);
  return { pid, startTicks: startTicks(pid), generation, ...held, attributes: attributes(pid) };
}

/** What may change from one moment to the next. */
type Held = Pick<Snapshot, "descriptors" | "inheritable" | "children">;

async function steady(pid: number, socket: string | undefined): Promise<Held> {
  const end = performance.now() + UNSTEADY_MS;
  const control = socket === undefined ? undefined : `unix stream ${socket} connected`;
  let last = look(pid);
  for (;;) {
    await delay(STEADY_MS);
    const now = look(pid);
    const busy = control !== undefined && now.descriptors.includes(control);
    if ((!busy && JSON.stringify(now) === JSON.stringify(last)) || performance.now() >= end) return now;
    last = now;
  }
}

function look(pid: number): Held {
  const open = descriptors(pid);
  return {
    descriptors: open.map((each) => each.description).sort(),
    inheritable: open.filter((each) => !each.cloexec).map((each) => each.description).sort(),
    // Whether a child runs or sleeps at the moment makes no difference; whether it is a zombie or stopped does.
    children: children(pid).map((child) => "RDI".includes(child.state) ? { ...child, state: "S" } : child),
  };
}
