/**
 * Children that a new build does not go on with: they are found at the commit, and reaped when they have ended
 * (`kinds/child_reaper.ts`, which a build without any does not load).
 *
 * @module
 */
import type { NameRecord } from "../kho/abi/live.ts";
import type { Session } from "../luo/session.ts";
import type { OwnedFd } from "../sys/mod.ts";

/** How the names begin under which they are held; an application cannot use them. */
export const GIVEN_UP = "@child#";

/** How the name of the program in a terminal ends, behind the name of the terminal. */
export const PROGRAM = "#program";

/**
 * Takes the children that nobody claimed out of what was handed over.
 *
 * @param session what was handed over
 * @param unclaimed the names that nobody claimed
 * @returns the processes, the caller's
 */
export function takeGivenUp(session: Session, unclaimed: readonly NameRecord[]): OwnedFd[] {
  return unclaimed
    .filter(({ name, kind }) => kind === "child" || (kind === "part" && isProcess(name)))
    .map(({ token }) => session.retrieveFd(token));
}

function isProcess(part: string): boolean {
  return part.startsWith(GIVEN_UP) || part.endsWith(PROGRAM);
}
