/**
 * Descriptors that are made for our own use, and made anew in each image: nothing carries them, and nobody misses them when
 * an exec closes them. They are written down only so that a list of all descriptors can say what they are.
 *
 * Happy path: `const wakeUp = forOwnUse(createEventfd(), "wake-up of the watches")`.
 *
 * Unhappy path: one that was closed since is not listed, whatever has its number by now.
 *
 * @module
 */
import type { OwnedFd } from "./owned_fd.ts";

/** By number, so that what was closed makes room for what comes after it. */
const made = new Map<number, { owner: OwnedFd; note: string }>();

/**
 * Writes down what a descriptor is for.
 *
 * @param owner its owner; borrowed
 * @param note what it is for, as a noun
 * @returns the owner
 */
export function forOwnUse(owner: OwnedFd, note: string): OwnedFd {
  made.set(owner.fd, { owner, note });
  return owner;
}

/** Those that are open, and what they are for, by number. */
export function descriptorsForOwnUse(): Map<number, string> {
  const open = [...made].filter(([, { owner }]) => !owner.disposed);
  return new Map(open.map(([fd, { note }]) => [fd, note]));
}
