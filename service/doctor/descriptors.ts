/**
 * Check: what the next update would close, because nobody has said what it is.
 *
 * @module
 */
import type { FdReport, ServiceState } from "../../control/types.ts";
import { type Finding, note, ok } from "./finding.ts";

/** So many are named. */
const MOST = 8;

/**
 * Judges the open descriptors.
 *
 * @param fds those of the service, or undefined where it does not tell
 * @param state what the service is doing: an update has descriptors of its own
 */
export function checkDescriptors(fds: readonly FdReport[] | undefined, state: ServiceState): Finding[] {
  if (fds === undefined) {
    return [note("descriptors", "the service is too old to tell of its descriptors", "Update it.")];
  }
  const unknown = fds.filter((each) => each.class === "unknown");
  if (unknown.length === 0) {
    return [ok("descriptors", `each of ${fds.length} descriptors is taken care of`)];
  }
  const named = unknown.slice(0, MOST).map(({ fd, what }) => `${fd} ${what}`);
  const more = unknown.length > MOST ? `, and ${unknown.length - MOST} more` : "";
  const meanwhile = state === "updating" ? " (an update is under way, and some are its own)" : "";
  const count = unknown.length === 1 ? "1 descriptor is" : `${unknown.length} descriptors are`;
  return [
    note(
      "descriptors",
      `${count} closed at the next update${meanwhile}: ${named.join(", ")}${more}`,
      "heirloom status --fds says which of them could be carried.",
    ),
  ];
}
