/**
 * Descriptors onto the numbers that they had in another process.
 *
 * Happy path: each is put onto its number; what the number referred to before is closed by that, or moved first if it
 * is itself still to be placed.
 *
 * Unhappy path: numbers that are each other's form a circle; one of them then waits on a free number. Without a free
 * one: `SysError` with code EMFILE.
 *
 * @module
 */
import { dupFd } from "../../sys/mod.ts";
import { dupOnto } from "../../sys/guard.ts";

/** One step: the same open file onto another number; null is any free one. */
export interface Step {
  /** The number that is there, or null for the one that waits. */
  from: number | null;
  /** The number where it has to be, or null for one to wait on. */
  to: number | null;
}

/**
 * Orders the moves so that nothing is overwritten before it was moved.
 *
 * @param moves from where to where; neither any source nor any target is there twice
 * @returns the steps; one that waits is placed before another one waits
 */
export function orderMoves(moves: readonly (readonly [from: number, to: number])[]): Step[] {
  const pending = new Map(moves.filter(([from, to]) => from !== to));
  const steps: Step[] = [];
  for (const [first] of [...pending]) {
    // From one that stands in the way to the next, until one can be placed.
    const chain: number[] = [];
    let at = first;
    while (pending.has(at) && !(chain.length > 0 && at === first)) {
      chain.push(at);
      at = pending.get(at) as number;
    }
    const isCircle = chain.length > 0 && at === first;
    if (isCircle) steps.push({ from: first, to: null });
    for (const from of chain.reverse()) {
      steps.push({ from: isCircle && from === first ? null : from, to: pending.get(from) as number });
      pending.delete(from);
    }
  }
  return steps;
}

/**
 * Moves descriptors. The old numbers stay open or are overwritten; all of them are close-on-exec.
 *
 * @param moves from where to where
 * @throws {SysError} EMFILE without a free number; EBADF for a number beyond the limit
 */
export function placeFds(moves: readonly (readonly [from: number, to: number])[]): void {
  let waiting: number | null = null;
  for (const { from, to } of orderMoves(moves)) {
    if (to === null) waiting = dupFd(from ?? -1, 3).release();
    else dupOnto(from ?? waiting ?? -1, to);
  }
}
