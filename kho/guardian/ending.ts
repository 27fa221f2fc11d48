/**
 * What became of the service, in words; and the end of one that does not end by itself.
 *
 * @module
 */
import { SIGNALS, SysError } from "../../sys/mod.ts";
import { exitStatusOf, pendingSignalsOf, poll, POLLIN, signalPidfd } from "../../sys/guard.ts";
import { FAILED_EVENT, JOURNAL_EVENTS, type JournalEntry } from "../abi/journal.ts";
import type { Journal } from "../journal.ts";

/** How long a killed service has to end. */
const KILL_MS = 5000;

/**
 * Kills the service and waits for its end, five seconds at most. One that sits in the kernel for longer never comes back
 * to a line of its program, so there is no harm in going on.
 *
 * @param service its pidfd, borrowed
 */
export function endService(service: number): void {
  try {
    signalPidfd(service, SIGNALS.SIGKILL);
  } catch (error) {
    // It was faster.
    if (!(error instanceof SysError && error.code === "ESRCH")) throw error;
  }
  poll([{ fd: service, events: POLLIN }], KILL_MS);
}

/** A signal that asks a service to stop. */
export type StopSignal = "SIGTERM" | "SIGINT";

/**
 * Was the service asked to stop, and did not come to hear it? A build that is not committed holds signals back.
 *
 * @param service its pidfd, borrowed
 * @returns `SIGTERM` or `SIGINT`, or null
 */
export function stopRequest(service: number): StopSignal | null {
  const pending = pendingSignalsOf(service);
  if (pending.includes(SIGNALS.SIGTERM)) return "SIGTERM";
  return pending.includes(SIGNALS.SIGINT) ? "SIGINT" : null;
}

/**
 * How the service died.
 *
 * @param service its pidfd, borrowed
 * @returns a clause without its subject: `it was killed by SIGSEGV`
 */
export function describeDeath(service: number): string {
  const status = exitStatusOf(service);
  if (status === null) return "it died";
  if (status.signal === null) return `it exited with status ${status.code}`;
  const name = Object.entries(SIGNALS).find(([, number]) => number === status.signal)?.[0];
  return `it was killed by ${name ?? `signal ${status.signal}`}`;
}

/** The phase that the service was in, from its journal: ` in phase booting`, or nothing where that is not known. */
export function inPhase(journal: Journal | null): string {
  const last = journal?.entries().findLast(({ phase }) => !JOURNAL_EVENTS.includes(phase));
  return last === undefined ? "" : ` in phase ${last.phase}`;
}

/** The entry that says why the new build failed, if it said so itself. */
export function ownFailure(journal: Journal | null): JournalEntry | undefined {
  return journal?.entries().find(({ phase }) => phase === FAILED_EVENT);
}
