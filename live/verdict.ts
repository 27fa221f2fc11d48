/**
 * How an update ended, written down by the build that runs in the end.
 *
 * @module
 */
import type { Role } from "../kho/abi/announcement.ts";
import type { IncomingKho } from "../kho/incoming.ts";
import { getPid } from "../sys/mod.ts";
import type { History } from "./history.ts";
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
}

/**
 * Adds the record of the update to the history, and a line to stderr.
 *
 * @param history the updates of the service
 * @param incoming what was handed over, its journal still open
 * @param facts what the journal does not say
 */
export function rememberUpdate(history: History, incoming: IncomingKho, facts: VerdictFacts): void {
  const { pending } = takeover;
  if (pending === null) return;
  const entries = incoming.journal?.entries() ?? [];
  const outcome = OUTCOMES[incoming.role];
  const record = foldRecord({
    ...facts,
    id: pending.id,
    outcome,
    reason: outcome === "committed" ? null : failureOf(entries) ?? "the new build gave up without a word",
    from: pending.from.info,
    to: pending.to.info,
    pid: getPid(),
    fds: incoming.record.fds.length,
    segment_bytes: incoming.bytes,
  }, entries);
  history.add(record);
  const blackout = record.blackout_ms === null ? "" : `, blackout ${record.blackout_ms.toFixed(1)} ms`;
  const why = record.reason === null ? "" : `: ${record.reason}`;
  console.error(`heirloom: update ${record.id} ${outcome}: generation ${record.generation}${blackout}${why}`);
}
