/**
 * Builds and updates in one line each.
 *
 * @module
 */
import type { BuildInfo, UpdateRecord } from "../control/types.ts";
import { duration } from "./text.ts";

/** A build in words: version, id, path. */
export function buildText(build: BuildInfo): string {
  const parts = [build.version, build.id].filter((part) => part !== null);
  return parts.length === 0 ? build.path : `${parts.join(" ")} (${build.path})`;
}

/** An update in words. */
export function updateText(record: UpdateRecord): string {
  const outcome = record.outcome ?? "under way";
  const pause = record.blackout_ms === null ? "" : `, pause ${duration(record.blackout_ms)}`;
  const guardian = record.guardian === "died" ? ", the guardian died" : "";
  const reason = record.reason === null ? "" : `: ${record.reason.split("\n", 1)[0]}`;
  return `update ${record.id} ${outcome}: generation ${record.generation}${pause}${guardian}${reason}`;
}
