/**
 * The body of `POST /v1/upgrade`.
 *
 * @module
 */
import { parseMembers, RequestError } from "./request_body.ts";
import type { UpgradeRequest } from "./types.ts";

const MEMBERS = {
  build: "string",
  deno: "string",
  heirloom: "string",
  timeout_ms: "number",
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
  const { build, deno, heirloom, timeout_ms, guardian, commit_after_ms, rollback } = parseMembers(
    "update",
    text,
    MEMBERS,
  );
  if (rollback === true) {
    const named = Object.entries({ build, deno, heirloom }).find(([, value]) => value !== undefined)?.[0];
    if (named !== undefined) {
      throw new RequestError(
        `Cannot update: "rollback" goes to the previous build of the history, "${named}" is not allowed with it`,
      );
    }
  }
  return {
    ...(build === undefined ? {} : { build }),
    ...(deno === undefined ? {} : { deno }),
    ...(heirloom === undefined ? {} : { heirloom }),
    ...(timeout_ms === undefined ? {} : { timeoutMs: timeout_ms }),
    ...(guardian === undefined ? {} : { guardian }),
    ...(commit_after_ms === undefined ? {} : { commitAfterMs: commit_after_ms }),
    ...(rollback === undefined ? {} : { rollback }),
  };
}
