/**
 * How an update ended, written down by the build that runs in the end.
 *
 * @module
 */
import type { UpdateRecord } from "../control/types.ts";
import type { Role } from "../kho/abi/announcement.ts";
import type { IncomingKho } from "../kho/incoming.ts";
import { getPid } from "../sys/mod.ts";
import { failureOf, foldRecord } from "./record.ts";
import { takeover } from "./takeover.ts";

const OUTCOMES = {
  update: "committed",
  fallback: "rolled-back",
  recovery: "recovered",
  store: "committed",
} as const satisfies Record<Role, string>;

/** What the new image knows of the update besides the journal. */
export interface VerdictFacts {
  /** Preserved files. */
  files: number;
  /** Names that were not claimed. */
  dropped: string[];
  /** Committed updates so far. */
  generation: number;
  /** What became of the guardian. */
  guardian: UpdateRecord["guardian"];
}

/**
 * Makes the record of an update, while its journal can still be read.
 *
 * @param incoming what was handed over
 * @param facts what the journal does not say
 * @returns the record, or null where nobody said which update this is
 */
export function makeRecord(incoming: IncomingKho, facts: VerdictFacts): UpdateRecord | null {
  const { pending } = takeover;
  if (pending === null) return null;
  const entries = incoming.journal?.entries() ?? [];
  const outcome = OUTCOMES[incoming.role];
  return foldRecord({
    ...facts,
    id: pending.id,
    outcome,
    reason: outcome === "committed" ? null : failureOf(entries) ?? "the new build gave up without a word",
    from: pending.from.info,
    to: pending.to.info,
    closed: pending.closed,
    warnings: pending.warnings,
    pid: getPid(),
    fds: incoming.record.fds.length,
    segment_bytes: incoming.bytes,
  }, entries);
}

/** Says on stderr how an update ended. */
export function tellUpdate(record: UpdateRecord): void {
  const { id, outcome, generation, blackout_ms, reason } = record;
  const blackout = blackout_ms === null ? "" : `, blackout ${blackout_ms.toFixed(1)} ms`;
  const why = reason === null ? "" : `: ${reason}`;
  console.error(`heirloom: update ${id} ${outcome}: generation ${generation}${blackout}${why}`);
}
