/**
 * The body of `POST /v1/check`.
 *
 * @module
 */
import { parseMembers } from "./request_body.ts";
import type { CheckRequest } from "./types.ts";

const MEMBERS = { build: "string", deno: "string", heirloom: "string", timeout_ms: "number" } as const;

/**
 * Reads the body of a request for a check.
 *
 * @param text JSON, or nothing
 * @throws {RequestError} with the member that is wrong and what is allowed
 */
export function parseCheckRequest(text: string): CheckRequest {
  const { build, deno, heirloom, timeout_ms } = parseMembers("check", text, MEMBERS);
  return {
    ...(build === undefined ? {} : { build }),
    ...(deno === undefined ? {} : { deno }),
    ...(heirloom === undefined ? {} : { heirloom }),
    ...(timeout_ms === undefined ? {} : { timeoutMs: timeout_ms }),
  };
}
