/**
 * Which local modules the two builds of an update consist of, as far as it is known: the next image then knows without
 * asking its runtime, which would cost it a child just after the commit.
 *
 * @module
 */
import type { Back } from "./way_back.ts";
import type { ResolvedBuild } from "./resolve.ts";

interface Graphs {
  /** Those of the build that hands over, or null. */
  from: string[] | null;
  /** Those of the build that takes over, or null. */
  to: string[] | null;
  /** Those of the Heirloom under it, and of its guardian. */
  others: string[][];
}

/**
 * Encodes what is known.
 *
 * @param present the modules of the build that runs, of its Heirloom, and of its guardian
 * @param back where the way back leads
 * @param resolved the build to start
 * @returns the bytes, or null where nothing holds: what moved to a snapshot has its modules elsewhere
 */
export function encodeGraphs(
  present: readonly string[][],
  back: Back,
  resolved: ResolvedBuild,
): Uint8Array | null {
  const [from = null, ...others] = present;
  const [to = null, ...theirs] = resolved.graphs ?? [];
  if (back.moved || (resolved.boot !== null && theirs.length === 0)) return null;
  const graphs: Graphs = resolved.boot === null ? { from, to, others } : { from: null, to, others: theirs };
  return new TextEncoder().encode(JSON.stringify(graphs));
}

/**
 * Decodes what the previous image knew.
 *
 * @param bytes what {@linkcode encodeGraphs} gave, or null
 * @param isNew is this the build that took over, or the one that came back?
 * @returns the modules of this build, of its Heirloom and of its guardian, or null
 */
export function decodeGraphs(bytes: Uint8Array | null, isNew: boolean): string[][] | null {
  if (bytes === null) return null;
  try {
    const { from, to, others } = JSON.parse(new TextDecoder().decode(bytes)) as Graphs;
    const own = isNew ? to : from;
    return Array.isArray(own) && Array.isArray(others) ? [own, ...others] : null;
  } catch {
    return null;
  }
}
