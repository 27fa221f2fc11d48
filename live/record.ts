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
import {
  END_EVENT,
  FAILED_EVENT,
  JOURNAL_EVENTS,
  type JournalEntry,
  STALLED_EVENT,
  UNGUARDED_EVENT,
} from "../kho/abi/journal.ts";

/** What a record holds besides what the stamps say. */
export type RecordFacts = Omit<UpdateRecord, "blackout_ms" | "stall_ms" | "phases">;

/** Folds a journal into a record. */
export function foldRecord(facts: RecordFacts, entries: JournalEntry[]): UpdateRecord {
  const frozen = entries.find(({ phase }) => phase === "freezing");
  const stalled = entries.find(({ phase }) => phase === STALLED_EVENT);
  const jumped = entries.some(({ phase }) => phase === "jumping");
  const end = entries.findLast(({ phase }) => phase === END_EVENT) ?? entries.at(-1);
  // The order in which a reader wants to see them.
  return {
    id: facts.id,
    outcome: facts.outcome,
    reason: facts.reason,
    from: facts.from,
    to: facts.to,
    generation: facts.generation,
    pid: facts.pid,
    guardian: facts.guardian,
    blackout_ms: span(frozen, end),
    stall_ms: jumped ? span(stalled, end) : null,
    phases: phaseTimes(entries),
    files: facts.files,
    fds: facts.fds,
    segment_bytes: facts.segment_bytes,
    closed: facts.closed,
    dropped: facts.dropped,
    warnings: facts.warnings,
  };
}

/** Why the new build gave up, as it said itself. */
export function failureOf(entries: JournalEntry[]): string | null {
  return entries.find(({ phase }) => phase === FAILED_EVENT)?.note ?? null;
}

function phaseTimes(entries: JournalEntry[]): PhaseTime[] {
  const stamps = entries.filter(({ phase }) => phase !== STALLED_EVENT && phase !== UNGUARDED_EVENT);
  return stamps.flatMap((entry, index) => {
    if (JOURNAL_EVENTS.includes(entry.phase)) return [];
    // The taps may be open for some time before the commit: that is part of the probation.
    const next = stamps.slice(index + 1).find(({ phase }) => phase !== END_EVENT) ?? stamps[index + 1];
    return [{ name: entry.phase, ms: span(entry, next) ?? 0 }];
  });
}

/** Milliseconds between two stamps, to the microsecond. */
function span(from: JournalEntry | undefined, to: JournalEntry | undefined): number | null {
  if (from === undefined || to === undefined) return null;
  return Number((to.at - from.at) / 1000n) / 1000;
}
