/**
 * JSON answers and the headers that every answer of the segment API carries.
 *
 * Happy path: {@linkcode jsonResponse} of a plain value. The text ends in a newline, so that it reads well in a
 * terminal.
 *
 * Unhappy path: a value that JSON cannot hold (a `bigint`, a cycle) is a TypeError of `JSON.stringify`, which the
 * handler answers with 500.
 *
 * @module
 */

/**
 * Headers of every answer: what a segment holds changes under the client, is never a page, and is nothing another
 * site may embed.
 */
export const COMMON_HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "cross-origin-resource-policy": "same-origin",
  "x-content-type-options": "nosniff",
};

/** Status and further headers of a JSON answer. */
export interface JsonOptions {
  /** The HTTP status, 200 when left out. */
  readonly status?: number;
  /** Headers beside the common ones. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Makes a JSON answer.
 *
 * @param value what to write.
 * @param options status and headers.
 * @returns the answer, its body a known number of bytes.
 * @throws {TypeError} when JSON cannot hold the value.
 */
export function jsonResponse(value: unknown, options: JsonOptions = {}): Response {
  const bytes = new TextEncoder().encode(`${JSON.stringify(value ?? null)}\n`);
  return new Response(bytes, {
    status: options.status ?? 200,
    headers: {
      ...COMMON_HEADERS,
      "content-type": "application/json",
      "content-length": String(bytes.byteLength),
      ...options.headers,
    },
  });
}
