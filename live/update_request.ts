/**
 * What an update may be asked for.
 *
 * @module
 */
import type { UpgradeRequest } from "../control/types.ts";
import { LuoError } from "../luo/errors.ts";

/** Deadline of a whole update, or of a check, when none is given, in milliseconds. */
export const DEFAULT_TIMEOUT_MS = 30_000;

/** Longest deadline of either, in milliseconds. */
const MAX_TIMEOUT_MS = 3_600_000;

/**
 * Checks a request.
 *
 * @param request what is asked for
 * @returns the deadline of the whole update, in milliseconds
 * @throws {LuoError} `EINVAL` for times that are none, or a rollback to a build that is named
 */
export function checkRequest(request: UpgradeRequest): number {
  const timeoutMs = checkTimeout(request, "update: a deadline");
  const { commitAfterMs, rollback, build, deno, heirloom } = request;
  if (commitAfterMs !== undefined && !(commitAfterMs > 0 && commitAfterMs < timeoutMs)) {
    throw invalid(`a commit after ${commitAfterMs} ms is not before the deadline of ${timeoutMs} ms`);
  }
  if (rollback && (build ?? deno ?? heirloom) !== undefined) {
    throw invalid("a rollback goes to the previous build, not to one that is named");
  }
  return timeoutMs;
}

/**
 * Checks how long something may take.
 *
 * @param request what is asked for
 * @param what the action and the name of the time, for the message
 * @returns the time in milliseconds, {@linkcode DEFAULT_TIMEOUT_MS} when nobody says so
 * @throws {LuoError} `EINVAL` for a time that is none
 */
export function checkTimeout(
  { timeoutMs = DEFAULT_TIMEOUT_MS }: { timeoutMs?: number },
  what: string,
): number {
  if (timeoutMs > 0 && timeoutMs <= MAX_TIMEOUT_MS) return timeoutMs;
  throw new LuoError("EINVAL", `Cannot ${what} of ${timeoutMs} ms is not between 1 and ${MAX_TIMEOUT_MS}`);
}

function invalid(state: string): LuoError {
  return new LuoError("EINVAL", `Cannot update: ${state}`);
}
