/**
 * The refusals of the segment API. Every answer of 400 and above carries the same JSON document,
 * `{"error":{"code","message","allowed"}}`: the errno's name for programs, a sentence that says what was tried and
 * what stands against it, and what would have been accepted.
 *
 * Happy path: a check throws an {@linkcode HttpError}; the handler turns it into the answer.
 *
 * Unhappy paths: an error of the store becomes an answer by its errno's name ({@linkcode toHttpError}); an error
 * nobody foresaw becomes a 500 that says no more than that, and is written to stderr for the operator.
 *
 * @module
 */

import { jsonResponse } from "./json.ts";

/** The longest piece of a request that a message quotes, in UTF-16 units. */
const MAX_QUOTED = 80;

/** The errnos of a store that is out of something; the request was fine. */
const EXHAUSTED: readonly string[] = ["EDQUOT", "EMFILE", "ENFILE", "ENOMEM", "ENOSPC"];

/** The parts of a refusal beside its sentence. */
export interface HttpErrorOptions extends ErrorOptions {
  /** The HTTP status, 400 to 599. */
  readonly status: number;
  /** An errno's name, for programs. */
  readonly code: string;
  /** What would have been accepted. */
  readonly allowed: string;
  /** Headers that the status asks for. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes of the body that reached the segment before the refusal. */
  readonly written?: number;
}

/** A refusal that knows its answer. */
export class HttpError extends Error {
  /** Always `HttpError`. */
  override readonly name = "HttpError";
  /** The HTTP status. */
  readonly status: number;
  /** An errno's name. */
  readonly code: string;
  /** What would have been accepted. */
  readonly allowed: string;
  /** Headers that the status asks for. */
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes of the body that reached the segment, when any may have. */
  readonly written: number | undefined;

  /**
   * @param message `Action: state`.
   * @param options status, code and what is allowed.
   */
  constructor(message: string, options: HttpErrorOptions) {
    super(message, options);
    this.status = options.status;
    this.code = options.code;
    this.allowed = options.allowed;
    this.headers = options.headers ?? {};
    this.written = options.written;
  }

  /** The answer: its status, its headers and the JSON document. */
  toResponse(): Response {
    const { code, message, allowed, written, status, headers } = this;
    const error = { code, message, allowed, ...(written === undefined ? {} : { written }) };
    return jsonResponse({ error }, { status, headers });
  }
}

/**
 * The refusal of a malformed request: 400 EINVAL.
 *
 * @param message `Action: state`.
 * @param allowed what would have been accepted.
 * @returns the error, to be thrown.
 */
export function invalidRequest(message: string, allowed: string): HttpError {
  return new HttpError(message, { status: 400, code: "EINVAL", allowed });
}

/**
 * The answer to whatever was thrown.
 *
 * @param error what was thrown.
 * @param action what was tried, the first half of the message.
 * @returns the error itself when it is an {@linkcode HttpError}, else one with the status that fits its code.
 */
export function toHttpError(error: unknown, action: string): HttpError {
  if (error instanceof HttpError) return error;
  const code = errnoNameOf(error);
  if (code === undefined) {
    console.error(`${action}:`, error);
    const allowed = "The same request once more; the reason is in the log of the service";
    return new HttpError(`${action}: an error that was not foreseen`, {
      status: 500,
      code: "EIO",
      allowed,
      cause: error,
    });
  }
  const message = `${action}: ${(error as Error).message}`;
  if (EXHAUSTED.includes(code)) {
    const allowed = "The same request after something was removed, or a larger limit on the machine";
    return new HttpError(message, { status: 507, code, allowed, cause: error });
  }
  if (code === "EBUSY") {
    const allowed = "The same request a moment later";
    return new HttpError(message, {
      status: 503,
      code,
      allowed,
      headers: { "retry-after": "1" },
      cause: error,
    });
  }
  return new HttpError(message, { status: 500, code, allowed: "See the log of the service", cause: error });
}

/**
 * The errno's name of an error.
 *
 * @param error what was thrown.
 * @returns its `code` when that looks like an errno's name, else undefined.
 */
export function errnoNameOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" && /^E[A-Z0-9]+$/.test(error.code) ? error.code : undefined;
}

/**
 * Quotes a piece of a request for a message.
 *
 * @param text anything a client sent.
 * @returns it in double quotes, escaped, and cut when it is long.
 */
export function quoted(text: string): string {
  return JSON.stringify(text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text);
}
