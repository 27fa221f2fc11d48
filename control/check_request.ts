/**
 * The body of `POST /v1/check`.
 *
 * @module
 */
import { type Members, parseMembers } from "./request_body.ts";
import type { CheckRequest } from "./types.ts";

/** Those members, with their types. */
export const MEMBERS = { build: "string", deno: "string", heirloom: "string", timeout_ms: "number" } as const;

/**
 * Reads the body of a request for a check.
 *
 * @param text JSON, or nothing
 * @throws {RequestError} with the member that is wrong and what is allowed
 */
export function parseCheckRequest(text: string): CheckRequest {
  return checkMembers(parseMembers("check", text, MEMBERS));
}

/**
 * The members that a check and an update have in common.
 *
 * @param members of a body, each of the right type
 */
export function checkMembers({ build, deno, heirloom, timeout_ms }: Members<typeof MEMBERS>): CheckRequest {
  return {
    ...(build === undefined ? {} : { build }),
    ...(deno === undefined ? {} : { deno }),
    ...(heirloom === undefined ? {} : { heirloom }),
    ...(timeout_ms === undefined ? {} : { timeoutMs: timeout_ms }),
  };
}
