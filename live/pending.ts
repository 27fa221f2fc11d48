/**
 * What one image tells the next about the update that is under way. Travels as JSON in the subtree `history`.
 *
 * @module
 */
import type { BuildInfo } from "../control/types.ts";

/** One of the two builds of an update. */
export interface PendingBuild {
  /** As it is shown. */
  info: BuildInfo;
  /** The whole fingerprint, or null. */
  fingerprint: string | null;
  /** The path that the next update resolves anew. */
  name: string;
  /** The name of the runtime that the next update resolves anew, or null. */
  execName: string | null;
  /** The name of the Heirloom that boots it; null, or absent from an older one, where it is started by hand. */
  heirloom?: string | null;
  /** The key of its snapshot, or null where there is none. */
  snapshot: string | null;
}

/** The update under way. */
export interface PendingUpdate {
  /** Its id. */
  id: string;
  /** The build that hands over. */
  from: PendingBuild;
  /** The build that takes over. */
  to: PendingBuild;
  /** `CLOCK_MONOTONIC` in nanoseconds, as decimal digits, at which the new build must have committed. */
  deadline: string;
  /** Milliseconds that the taps are open before the commit. */
  commitAfterMs: number;
  /** The build that ran before `from`, to which a rollback of `from` goes; null when there was none. */
  previous: PendingBuild | null;
  /** The guardian's process, or null. */
  guardian: number | null;
  /** Where the end of this update is found if nobody is left to tell it, or null. */
  lastWords: string | null;
  /** What an operator should know. */
  warnings: string[];
  /** Connections that were ended for it. */
  closed: number;
}

/** What a previous image that did not know of it would have said. */
const UNSAID = {
  commitAfterMs: 0,
  previous: null,
  guardian: null,
  lastWords: null,
  warnings: [],
  closed: 0,
};

/**
 * Reads what the previous image said.
 *
 * @param text the JSON, or null
 * @returns the update, or null when the text says nothing that can be used
 */
export function parsePending(text: string | null): PendingUpdate | null {
  if (text === null) return null;
  try {
    const value = { ...UNSAID, ...JSON.parse(text) as PendingUpdate };
    const { id, from, to, deadline } = value;
    const builds = typeof from.info.path === "string" && typeof to.info.path === "string";
    return builds && typeof id === "string" && /^[0-9]+$/.test(deadline) ? value : null;
  } catch {
    return null;
  }
}
