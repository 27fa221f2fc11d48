/**
 * The record of an update, folded from the journal by whoever runs in the end.
 *
 * Happy path: each phase took from its own stamp to the next one; the blackout from the freeze to the open taps.
 *
 * Unhappy path: a stamp that is missing (a damaged journal) leaves out its phase, or makes a figure null.
 *
 * @module
 */
import type { PhaseTime, UpdateRecord } from "../control/types.ts";
import type { JournalEntry } from "../kho/abi/journal.ts";
import { FAILED_EVENT } from "../kho/probation.ts";

/** The event of the journal at which something that arrives begins to be left unread. */
export const STALLED_EVENT = "stalled";

/** The event of the journal that closes the last phase. */
export const END_EVENT = "end";

/** Events that are no phases. */
const EVENTS: readonly string[] = [STALLED_EVENT, END_EVENT, FAILED_EVENT];

/** What a record holds besides what the stamps say. */
export type RecordFacts = Omit<UpdateRecord, "blackout_ms" | "stall_ms" | "phases">;

/** Folds a journal into a record. */
export function foldRecord(facts: RecordFacts, entries: JournalEntry[]): UpdateRecord {
  const frozen = entries.find(({ phase }) => phase === "freezing");
  const stalled = entries.find(({ phase }) => phase === STALLED_EVENT);
  const jumped = entries.some(({ phase }) => phase === "jumping");
  const end = entries.findLast(({ phase }) => phase === END_EVENT) ?? entries.at(-1);
  const { files, fds, segment_bytes, dropped, ...asked } = facts;
  return {
    ...asked,
    blackout_ms: span(frozen, end),
    stall_ms: jumped ? span(stalled, end) : null,
    phases: phaseTimes(entries),
    files,
    fds,
    segment_bytes,
    dropped,
  };
}

/** Why the new build gave up, as it said itself. */
export function failureOf(entries: JournalEntry[]): string | null {
  return entries.find(({ phase }) => phase === FAILED_EVENT)?.note ?? null;
}

function phaseTimes(entries: JournalEntry[]): PhaseTime[] {
  const stamps = entries.filter(({ phase }) => phase !== STALLED_EVENT);
  return stamps.flatMap((entry, index) => {
    if (EVENTS.includes(entry.phase)) return [];
    const next = stamps[index + 1];
    return [{ name: entry.phase, ms: span(entry, next) ?? 0 }];
  });
}

/** Milliseconds between two stamps, to the microsecond. */
function span(from: JournalEntry | undefined, to: JournalEntry | undefined): number | null {
  if (from === undefined || to === undefined) return null;
  return Number((to.at - from.at) / 1000n) / 1000;
}
