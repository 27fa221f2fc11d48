/**
 * The first thing that happens in an image: the handover is taken over and tier 1 is armed.
 *
 * This is the one module with an effect at import, and it has to be: whatever the application does wrong after this
 * module was evaluated can be answered by a return to the previous build, whatever it does before cannot.
 *
 * Happy path: no announcement in the environment is a cold start. With one, the segment is verified, the deadline is
 * armed, and {@linkcode takeover} holds what was handed over.
 *
 * Unhappy paths: a handover that cannot be read is kept in {@linkcode Takeover.error}; the device then answers `EIO`, and
 * the boot module ends the process. In a process where another copy of Heirloom came first, nothing is done.
 *
 * @module
 */
import { registerBuiltins } from "../handlers/mod.ts";
import { PREFLIGHT_VARIABLE } from "../kho/abi/preflight.ts";
import { decodeHistory, HISTORY_SUBTREE, type HistoryRecord } from "../kho/abi/live.ts";
import { HandoverError } from "../kho/errors.ts";
import { type IncomingKho, takeOver } from "../kho/incoming.ts";
import { Guard } from "../kho/guard.ts";
import { Probation, RETURN_NS } from "../kho/probation.ts";
import { orchestrator, receiveHandover } from "../luo/process.ts";
import { maskFromHex, monotonicNs, takeBackMask } from "../sys/mod.ts";
import type { Check } from "./check.ts";
import type { LaunchSpec } from "./launch.ts";
import { isMet } from "./meeting.ts";
import { parsePending, type PendingUpdate } from "./pending.ts";
import { captureSelf, type Self } from "./self.ts";
import { countListeners, listenForUpdates } from "./signals.ts";

/** The phases of an update that the new build goes through. */
const NEW_PHASES: readonly string[] = ["booting", "retrieving", "probation", "committed"];

/** How this image began. */
export interface Takeover {
  /** What was handed over, or null at a cold start. */
  readonly incoming: IncomingKho | null;
  /** What was wrong with a handover that could not be read, or null. */
  readonly error: HandoverError | null;
  /** The history that was handed over, or null. */
  readonly history: HistoryRecord | null;
  /** The update under way, or null. */
  readonly pending: PendingUpdate | null;
  /** The watch until the commit, or null at a cold start. */
  readonly probation: Probation | null;
  /** The check that this process is, or null: then it runs for real. */
  readonly check: Check | null;
  /** The guardian that watches until the commit, or null. */
  readonly guard: Guard | null;
  /** Injects the faults that a test asked for; null unless one did at the start. */
  readonly fault: ((phase: string, own?: Readonly<Record<string, () => void>>) => void) | null;
  /** What this process is. */
  readonly self: Self;
  /** `CLOCK_MONOTONIC` of this module's evaluation, in nanoseconds. */
  readonly started: bigint;
}

/** How this image began. */
export const takeover: Takeover = await begin();

/**
 * Commits at the level of the handover: the previous build cannot come back any more, released descriptors are closed,
 * signals that were held are delivered.
 */
export function commitHandover(): void {
  takeover.probation?.disarm();
  takeover.incoming?.commit();
  releaseSignals();
}

/** Takes back the mask of the cold start: what arrived since the jump is delivered now, unless a signalfd waits for it. */
function releaseSignals(): void {
  if (takeover.incoming === null) return;
  takeBackMask(maskFromHex(takeover.self.image.sigmask));
}

async function begin(): Promise<Takeover> {
  const started = monotonicNs();
  if (isMet()) return inert(started);
  countListeners();
  const mark = Deno.env.get(PREFLIGHT_VARIABLE);
  const check = mark === undefined ? null : await (await import("./check.ts")).Check.begin(mark);
  let incoming: IncomingKho | null = null;
  let error: HandoverError | null = null;
  try {
    incoming = await takeOver();
  } catch (reason) {
    if (!(reason instanceof HandoverError)) throw reason;
    error = reason;
  }
  const history = readHistory(incoming);
  const pending = parsePending(history?.pending ?? null);
  const self = captureSelf(incoming, pending, readSpec());
  let probation: Probation | null = null;
  const guard = findGuard(incoming, pending);
  const fault = await findFault(incoming);
  if (incoming !== null) {
    incoming.journal?.append(incoming.role === "update" ? "booting" : "returning", null, started);
    probation = new Probation(incoming, deadlineOf(incoming, pending), {
      guard,
      lost: (reason) => leaveWords(pending?.lastWords ?? null, reason),
    });
    probation.arm();
    // The modules are evaluated when `load` fires; a program that ends after that has simply ended.
    globalThis.addEventListener("load", () => probation?.loaded(), { once: true });
    receiveHandover(incoming);
    fault?.("booting");
  }
  if (error !== null) orchestrator().refuse(error);
  registerBuiltins(orchestrator().registry);
  if (incoming === null && check === null && self.spec !== null) {
    // The launcher blocked signals for this: see signals.ts.
    listenForUpdates();
    takeBackMask(maskFromHex(self.image.sigmask));
  }
  return { incoming, error, history, pending, probation, check, guard, fault, self, started };
}

function deadlineOf(incoming: IncomingKho, pending: PendingUpdate | null): bigint {
  if (incoming.role !== "update" || pending === null) return monotonicNs() + RETURN_NS;
  return BigInt(pending.deadline);
}

function findGuard(incoming: IncomingKho | null, pending: PendingUpdate | null): Guard | null {
  const fd = incoming?.takeGuardian() ?? null;
  const pid = pending?.guardian ?? null;
  return fd === null || pid === null ? null : new Guard(fd, pid);
}

/** A fault of the new build hits the build that was updated to; those of the old one, the next update. */
async function findFault(incoming: IncomingKho | null): Promise<Takeover["fault"]> {
  if (!Deno.env.has("HEIRLOOM_FAULT")) return null;
  const { fault } = await import("../sys/fault.ts");
  const jumps = Number(incoming?.record.metadata.count ?? 0n);
  return (phase, own) => {
    const isNew = NEW_PHASES.includes(phase);
    if (!isNew || incoming?.role === "update") fault(phase, isNew ? jumps : jumps + 1, own);
  };
}

/** The words were left in advance; now they get a reason. */
function leaveWords(path: string | null, reason: string): void {
  if (path === null) return;
  try {
    const words = JSON.parse(Deno.readTextFileSync(path));
    Deno.writeTextFileSync(path, JSON.stringify({ ...words, outcome: "lost", reason }));
  } catch {
    // The reason is on stderr too.
  }
}

function readHistory(incoming: IncomingKho | null): HistoryRecord | null {
  try {
    const bytes = incoming?.subtree(HISTORY_SUBTREE) ?? null;
    return bytes === null ? null : decodeHistory(bytes);
  } catch (error) {
    // The history is worth less than the service: without it the update is only not told about.
    console.error(`heirloom: the history is lost: ${error instanceof Error ? error.message : error}`);
    return null;
  }
}

/** The boot module is started with the launch as its first argument. */
function readSpec(): LaunchSpec | null {
  if (!Deno.mainModule.endsWith("/live/boot.ts")) return null;
  return JSON.parse(Deno.args[0] ?? "null") as LaunchSpec | null;
}

function inert(started: bigint): Takeover {
  const self = captureSelf(null, null, null);
  return {
    incoming: null,
    error: null,
    history: null,
    pending: null,
    probation: null,
    check: null,
    guard: null,
    fault: null,
    self,
    started,
  };
}
