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
import { decodeHistory, HISTORY_SUBTREE, type HistoryRecord } from "../kho/abi/live.ts";
import { HandoverError } from "../kho/errors.ts";
import { type IncomingKho, takeOver } from "../kho/incoming.ts";
import { Probation } from "../kho/probation.ts";
import { orchestrator, receiveHandover } from "../luo/process.ts";
import { maskFromHex, monotonicNs, setMask } from "../sys/mod.ts";
import type { LaunchSpec } from "./launch.ts";
import { isMet } from "./meeting.ts";
import { parsePending, type PendingUpdate } from "./pending.ts";
import { captureSelf, type Self } from "./self.ts";
import { listenForUpdates } from "./signals.ts";

/** How long an image has until `ready()` when nobody said so, in nanoseconds. */
const DEFAULT_DEADLINE_NS = 30_000_000_000n;

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

/** Takes back the mask of the cold start: what arrived since the jump is delivered now. */
function releaseSignals(): void {
  if (takeover.incoming === null) return;
  setMask(maskFromHex(takeover.self.image.sigmask));
}

async function begin(): Promise<Takeover> {
  const started = monotonicNs();
  if (isMet()) return inert(started);
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
  if (incoming !== null) {
    incoming.journal?.append(incoming.role === "update" ? "booting" : "returning", null, started);
    probation = new Probation(incoming, deadlineOf(incoming, pending));
    probation.arm();
    // The modules are evaluated when `load` fires; a program that ends after that has simply ended.
    globalThis.addEventListener("load", () => probation?.loaded(), { once: true });
    receiveHandover(incoming);
  }
  if (error !== null) orchestrator().refuse(error);
  registerBuiltins(orchestrator().registry);
  if (incoming === null && self.spec !== null) {
    // The launcher blocked signals for this: see signals.ts.
    listenForUpdates();
    setMask(maskFromHex(self.image.sigmask));
  }
  return { incoming, error, history, pending, probation, self, started };
}

/** The build that came back has a deadline of its own: the update's has mostly run out. */
function deadlineOf(incoming: IncomingKho, pending: PendingUpdate | null): bigint {
  if (incoming.role !== "update" || pending === null) return monotonicNs() + DEFAULT_DEADLINE_NS;
  return BigInt(pending.deadline);
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
  return { incoming: null, error: null, history: null, pending: null, probation: null, self, started };
}
