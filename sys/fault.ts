/**
 * Faults that a test injects into a service from the inside, where no build that misbehaves and no signal can reach.
 *
 * Happy path: the variable `HEIRLOOM_FAULT` was not there at the start, and {@linkcode fault} is one comparison of strings.
 * Where it was there, as `PHASE:FAULT` or `PHASE:FAULT@TURN`, the fault happens the first time that the process comes
 * through that phase in that turn (the first one, if none is named), and never again.
 *
 * Unhappy paths: a value that is not of this form, or a fault that nobody knows there: one line on stderr, and nothing is
 * injected. A process that may not read the variable has no faults.
 *
 * @module
 */

import { SysError } from "./errno.ts";
import { dupFd, type OwnedFd } from "./owned_fd.ts";
import { openFile } from "./file.ts";
import { getPid } from "./process.ts";
import { killProcess, SIGNALS } from "./signals.ts";

/** The environment variable that asks for a fault. */
export const FAULT_VARIABLE = "HEIRLOOM_FAULT";

/** How long the descriptors stay used up, in milliseconds. */
const EMFILE_MS = 500;

const PLAN = /^([a-z][a-z0-9_-]*):([a-z0-9][a-z0-9_-]*)(?:@(\d{1,9}))?$/;

/** What was asked for. */
interface FaultPlan {
  phase: string;
  name: string;
  turn: number;
}

const plan = readPlan();

/** The phase in which something is still to happen; no phase has an empty name. */
let pending = plan?.phase ?? "";

/**
 * A place where a fault can be injected.
 *
 * Known everywhere: `throw` an error; `exit` with code 7, `exit0`; `kill` (SIGKILL), `abort` (SIGABRT), `stop` (SIGSTOP)
 * this process; `segv`, a write through a null pointer; `loop` without an end; `memory`, which is allocated until something
 * ends the process; `emfile`: no descriptor is left for half a second.
 *
 * @param phase where this is
 * @param turn which time the caller is here, counted as the caller likes
 * @param own faults that only this place knows, by name; they come before those that are known everywhere
 * @throws {Error} if the fault is `throw`, or what one of the caller's own throws
 */
export function fault(phase: string, turn: number, own: Readonly<Record<string, () => void>> = {}): void {
  if (phase !== pending || turn !== plan?.turn) return;
  pending = "";
  const inject = find(own, plan.name) ?? find(GENERIC, plan.name);
  if (inject === undefined) complain(`nothing in phase ${phase} knows the fault ${plan.name}`);
  else inject(phase);
}

/** What can be injected anywhere. */
const GENERIC: Readonly<Record<string, (phase: string) => void>> = {
  abort: () => killProcess(getPid(), SIGNALS.SIGABRT),
  emfile: useUpDescriptors,
  exit: () => Deno.exit(7),
  exit0: () => Deno.exit(0),
  kill: () => killProcess(getPid(), SIGNALS.SIGKILL),
  loop: () => {
    for (let turns = 0;; turns++);
  },
  memory: useUpMemory,
  segv: writeToNull,
  stop: () => killProcess(getPid(), SIGNALS.SIGSTOP),
  throw: (phase) => {
    throw new Error(`Fault injected in phase ${phase}`);
  },
};

function find<T>(faults: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(faults, name) ? faults[name] : undefined;
}

function readPlan(): FaultPlan | null {
  const value = readVariable();
  if (value === undefined || value === "") return null;
  const [, phase, name, turn = "1"] = PLAN.exec(value) ?? [];
  if (phase !== undefined && name !== undefined) return { phase, name, turn: Number(turn) };
  complain(`${JSON.stringify(value)} is not PHASE:FAULT or PHASE:FAULT@TURN`);
  return null;
}

function readVariable(): string | undefined {
  try {
    return Deno.env.get(FAULT_VARIABLE);
  } catch {
    return undefined;
  }
}

function complain(state: string): void {
  console.error(`heirloom: Cannot inject a fault: ${FAULT_VARIABLE}: ${state}`);
}

/** The null page is never mapped (`vm.mmap_min_addr`); Deno would refuse address 0 itself. */
function writeToNull(): void {
  const pointer = Deno.UnsafePointer.create(8n);
  if (pointer === null) throw new TypeError("Cannot write to the null page: there is no pointer to it");
  new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer, 8)).fill(1);
}

/** Memory of the JavaScript heap: where no limit is set from outside, the runtime has one, and the machine survives. */
function useUpMemory(): void {
  const kept: number[][] = [];
  for (;;) kept.push(new Array<number>(0x20000).fill(kept.length + 0.5));
}

function useUpDescriptors(): void {
  const taken: OwnedFd[] = [];
  Deno.unrefTimer(setTimeout(() => taken.forEach((fd) => fd[Symbol.dispose]()), EMFILE_MS));
  try {
    // When nothing can be opened any more, what closing needs could not be loaded.
    openFile("/dev/null")[Symbol.dispose]();
    const first = openFile("/dev/null");
    taken.push(first);
    for (;;) taken.push(dupFd(first.fd));
  } catch (error) {
    if (!(error instanceof SysError && error.code === "EMFILE")) throw error;
  }
}
