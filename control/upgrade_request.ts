/**
 * The body of `POST /v1/upgrade`.
 *
 * @module
 */
import type { UpgradeRequest } from "./types.ts";

/** A body that is not what the path takes; `code` is `EINVAL`. */
export class RequestError extends TypeError {
  /** Name of the errno. */
  readonly code = "EINVAL";
}

const MEMBERS = {
  build: "string",
  deno: "string",
  heirloom: "string",
  timeout_ms: "number",
  guardian: "boolean",
} as const;

/**
 * Reads the body of a request for an update.
 *
 * @param text JSON, or nothing
 * @throws {RequestError} with the member that is wrong and what is allowed
 */
export function parseUpgradeRequest(text: string): UpgradeRequest {
  const body = parse(text);
  for (const [name, value] of Object.entries(body)) {
    const type = Object.hasOwn(MEMBERS, name) ? MEMBERS[name as keyof typeof MEMBERS] : undefined;
    if (type === undefined) {
      throw new RequestError(
        `Cannot update: "${name}" is unknown, allowed are ${Object.keys(MEMBERS).join(", ")}`,
      );
    }
    const found: string = typeof value;
    if (found !== type) throw new RequestError(`Cannot update: "${name}" must be a ${type}`);
  }
  const { build, deno, heirloom, timeout_ms, guardian } = body as {
    build?: string;
    deno?: string;
    heirloom?: string;
    timeout_ms?: number;
    guardian?: boolean;
  };
  return {
    ...(build === undefined ? {} : { build }),
    ...(deno === undefined ? {} : { deno }),
    ...(heirloom === undefined ? {} : { heirloom }),
    ...(timeout_ms === undefined ? {} : { timeoutMs: timeout_ms }),
    ...(guardian === undefined ? {} : { guardian }),
  };
}

function parse(text: string): object {
  if (text.trim() === "") return {};
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw new RequestError(
      `Cannot update: the body is no JSON: ${error instanceof Error ? error.message : error}`,
    );
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new RequestError("Cannot update: the body must be a JSON object");
  }
  return body;
}
