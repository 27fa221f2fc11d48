/**
 * Query parameters and the numbers in them. Numbers are canonical decimals: digits only, no sign, no leading zero,
 * no exponent; so there is one spelling of each and no surprise of a lenient parser.
 *
 * Happy path: {@linkcode parseQuery} knows the parameters a route has, {@linkcode sizeOf}, {@linkcode offsetOf}
 * and {@linkcode lengthOf} read one each.
 *
 * Unhappy paths: an unknown or repeated parameter is a 400 that names those allowed; a malformed number is a 400;
 * a size above the quota is a 413; an offset or a length that leaves the segment is a 416.
 *
 * @module
 */

import { HttpError, invalidRequest, quoted } from "./errors.ts";

/** The parameters of one request, each at most once. */
export type Query = ReadonlyMap<string, string>;

/**
 * Reads the query of a request.
 *
 * @param query what stands behind the `?`, without it.
 * @param allowed the parameters that the route has.
 * @returns the parameters that were sent.
 * @throws {HttpError} 400 EINVAL when one is not among those allowed or comes twice.
 */
export function parseQuery(query: string, allowed: readonly string[]): Query {
  const result = new Map<string, string>();
  const list = allowed.length === 0 ? "No query parameter" : `Each at most once: ${allowed.join(", ")}`;
  for (const [name, value] of new URLSearchParams(query)) {
    if (!allowed.includes(name)) {
      throw invalidRequest(`Cannot use the query parameter ${quoted(name)}: it is not known here`, list);
    }
    if (result.has(name)) {
      throw invalidRequest(`Cannot use the query parameter ${name}: it is given twice`, list);
    }
    result.set(name, value);
  }
  return result;
}

/**
 * Reads a canonical decimal.
 *
 * @param text any text.
 * @returns the number (above 2^53 a near one, so that it is still too large for any limit), or undefined when the
 * text is no canonical decimal.
 */
export function parseDecimal(text: string): number | undefined {
  return /^(0|[1-9][0-9]*)$/.test(text) ? Number(text) : undefined;
}

/**
 * The parameter `size` of a new segment.
 *
 * @param query the parameters.
 * @param maxSegmentBytes the quota.
 * @returns bytes, 1 to the quota.
 * @throws {HttpError} 400 EINVAL when it is missing, malformed or 0; 413 EFBIG when it is above the quota.
 */
export function sizeOf(query: Query, maxSegmentBytes: number): number {
  const allowed = `A whole number of bytes from 1 to ${maxSegmentBytes}`;
  const text = query.get("size");
  if (text === undefined) {
    throw invalidRequest("Cannot create the segment: size is missing", `size=BYTES: ${allowed}`);
  }
  const size = numberOf("size", text, allowed);
  if (size < 1) throw invalidRequest("Cannot use size 0: a segment has at least one byte", allowed);
  if (size > maxSegmentBytes) {
    throw new HttpError(`Cannot use size ${text}: it is above the quota for one segment`, {
      status: 413,
      code: "EFBIG",
      allowed,
    });
  }
  return size;
}

/**
 * The parameter `offset` of a transfer.
 *
 * @param query the parameters.
 * @param size bytes of the segment.
 * @returns bytes, 0 to the size; 0 when it is left out.
 * @throws {HttpError} 400 EINVAL when it is malformed; 416 ERANGE when it lies behind the end.
 */
export function offsetOf(query: Query, size: number): number {
  const text = query.get("offset");
  if (text === undefined) return 0;
  const allowed = `A whole number of bytes from 0 to ${size}, the size of the segment`;
  const offset = numberOf("offset", text, allowed);
  if (offset > size) {
    throw outOfRange(`Cannot use offset ${text}: the segment has ${size} bytes`, allowed, size);
  }
  return offset;
}

/**
 * The parameter `length` of a transfer.
 *
 * @param query the parameters.
 * @param offset where the transfer starts, in bytes.
 * @param size bytes of the segment.
 * @returns bytes that lie inside the segment, or undefined when it is left out.
 * @throws {HttpError} 400 EINVAL when it is malformed; 416 ERANGE when it runs past the end.
 */
export function lengthOf(query: Query, offset: number, size: number): number | undefined {
  const text = query.get("length");
  if (text === undefined) return undefined;
  const allowed = `A whole number of bytes from 0 to ${size - offset}, what is left behind offset ${offset}`;
  const length = numberOf("length", text, allowed);
  if (length > size - offset) {
    const message = `Cannot use length ${text} at offset ${offset}: the segment has ${size} bytes`;
    throw outOfRange(message, allowed, size);
  }
  return length;
}

function numberOf(name: string, text: string, allowed: string): number {
  const value = parseDecimal(text);
  if (value === undefined) {
    throw invalidRequest(`Cannot use ${name} ${quoted(text)}: it is no plain decimal`, allowed);
  }
  return value;
}

function outOfRange(message: string, allowed: string, size: number): HttpError {
  const headers = { "content-range": `bytes */${size}` };
  return new HttpError(message, { status: 416, code: "ERANGE", allowed, headers });
}
