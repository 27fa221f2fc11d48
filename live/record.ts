/**
 * The record of an update, folded from the journal by whoever runs in the end.
 *
 * Happy path: each phase took from its own stamp to the next one; the blackout from the freeze to the open taps.
 *
 * Unhappy path: a stamp that is missing (a damaged journal) leaves out its phase, or makes a figure null.
 *
 * @module
 */
import type { BuildInfo, Outcome, PhaseTime, UpdateRecord } from "../control/types.ts";
import type { JournalEntry } from "../kho/abi/journal.ts";
import { FAILED_EVENT } from "../kho/probation.ts";

/** The event of the journal at which something that arrives begins to be left unread. */
export const STALLED_EVENT = "stalled";

/** The event of the journal that closes the last phase. */
export const END_EVENT = "end";

/** Events that are no phases. */
const EVENTS: readonly string[] = [STALLED_EVENT, END_EVENT, FAILED_EVENT];

/** What a record holds besides the stamps. */
export interface RecordFacts {
  /** The update's id. */
  id: string;
  /** How it ended, or null while it is under way. */
  outcome: Outcome | null;
  /** Why. */
  reason: string | null;
  /** The build that ran before. */
  from: BuildInfo;
  /** The build that was asked for. */
  to: BuildInfo;
  /** Generation after it. */
  generation: number;
  /** Process after it. */
  pid: number;
  /** Preserved files. */
  files: number;
  /** Descriptors that crossed. */
  fds: number;
  /** Size of the segment. */
  segmentBytes: number;
  /** Names that were not claimed. */
  dropped: string[];
}

/** Folds a journal into a record. */
export function foldRecord(facts: RecordFacts, entries: JournalEntry[]): UpdateRecord {
  const frozen = entries.find(({ phase }) => phase === "freezing");
  const stalled = entries.find(({ phase }) => phase === STALLED_EVENT);
  const jumped = entries.some(({ phase }) => phase === "jumping");
  const end = entries.findLast(({ phase }) => phase === END_EVENT) ?? entries.at(-1);
  return {
    id: facts.id,
    outcome: facts.outcome,
    reason: facts.reason,
    from: facts.from,
    to: facts.to,
    generation: facts.generation,
    pid: facts.pid,
    blackout_ms: span(frozen, end),
    stall_ms: jumped ? span(stalled, end) : null,
    phases: phaseTimes(entries),
    files: facts.files,
    fds: facts.fds,
    segment_bytes: facts.segmentBytes,
    dropped: facts.dropped,
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
