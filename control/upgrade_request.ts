/**
 * The body of `POST /v1/upgrade`.
 *
 * @module
 */
import { checkMembers, MEMBERS as CHECK_MEMBERS } from "./check_request.ts";
import { parseMembers, RequestError } from "./request_body.ts";
import type { UpgradeRequest } from "./types.ts";

const MEMBERS = {
  ...CHECK_MEMBERS,
  guardian: "boolean",
  commit_after_ms: "number",
  rollback: "boolean",
} as const;

/**
 * Reads the body of a request for an update.
 *
 * @param text JSON, or nothing
 * @throws {RequestError} with the member that is wrong and what is allowed; also for a rollback that names a build, a
 * runtime or a Heirloom, for the history names them
 */
export function parseUpgradeRequest(text: string): UpgradeRequest {
  const members = parseMembers("update", text, MEMBERS);
  const { build, deno, heirloom, guardian, commit_after_ms, rollback } = members;
  if (rollback === true) {
    const named = Object.entries({ build, deno, heirloom }).find(([, value]) => value !== undefined)?.[0];
    if (named !== undefined) {
      throw new RequestError(
        `Cannot update: "rollback" goes to the previous build of the history, "${named}" is not allowed with it`,
      );
    }
  }
  return {
    ...checkMembers(members),
    ...(guardian === undefined ? {} : { guardian }),
    ...(commit_after_ms === undefined ? {} : { commitAfterMs: commit_after_ms }),
    ...(rollback === undefined ? {} : { rollback }),
  };
}
