/**
 * The bytes of a segment, out and in. Both ways they are copied in pieces: what a request holds besides the segment
 * is one piece, not the segment, and no view of the mapping leaves this module, so none can outlive it.
 *
 * Happy path: {@linkcode bytesResponse} streams a range out, {@linkcode writeBody} streams a body in.
 *
 * Unhappy paths:
 * 1. A body that says in advance that it is too long is refused before a byte is written.
 * 2. A body of unknown length that runs too far is cut at the limit; the answer says how many bytes were written.
 * 3. A body that breaks off leaves what came before it in the segment, and the answer says how much that was.
 * 4. A segment removed meanwhile: a running read fails at the client by its Content-Length, a write is a 404.
 *
 * The segment is shared memory: others may write it while it is read, and nothing here is atomic.
 *
 * @module
 */

import { HttpError, invalidRequest } from "./errors.ts";
import { COMMON_HEADERS } from "./json.ts";
import { parseDecimal } from "./numbers.ts";

/** The most that one read copies out of a segment at once, in bytes. */
export const CHUNK_BYTES: number = 1024 * 1024;

/** A range of a segment's memory. */
export interface ByteRange {
  /** The memory of the whole segment; its length falls to 0 when the segment is removed. */
  readonly bytes: Uint8Array;
  /** Where the range starts, in bytes. */
  readonly offset: number;
  /** Bytes of the range; it ends inside the segment. */
  readonly length: number;
}

/** What bounds a body. */
export interface BodyLimits {
  /** What was tried, the first half of a message. */
  readonly action: string;
  /** Where in the segment the body goes, in bytes; inside it. */
  readonly offset: number;
  /** Exactly how long the body must be, in bytes; undefined when the client did not say. It ends inside the segment. */
  readonly length: number | undefined;
  /** The quota for one body, in bytes. */
  readonly maxBodyBytes: number;
}

/**
 * Answers with a range of a segment.
 *
 * @param range the range.
 * @param head true to answer with the headers only, and copy nothing.
 * @returns the answer; a range above {@linkcode CHUNK_BYTES} is copied as the client reads it.
 */
export function bytesResponse(range: ByteRange, head: boolean): Response {
  const { bytes, offset, length } = range;
  const headers = {
    ...COMMON_HEADERS,
    "accept-ranges": "none",
    "content-type": "application/octet-stream",
    "content-length": String(length),
  };
  if (head) return new Response(null, { headers });
  const body = length <= CHUNK_BYTES ? bytes.slice(offset, offset + length) : streamOf(range);
  return new Response(body, { headers });
}

function streamOf({ bytes, offset, length }: ByteRange): ReadableStream<Uint8Array<ArrayBuffer>> {
  const size = bytes.byteLength;
  const end = offset + length;
  let at = offset;
  return new ReadableStream({
    pull(controller): void {
      if (bytes.byteLength !== size) throw new Error("Cannot read the segment: it was removed meanwhile");
      const next = Math.min(at + CHUNK_BYTES, end);
      controller.enqueue(bytes.slice(at, next));
      at = next;
      if (at === end) controller.close();
    },
    // Nothing is copied before the client takes it.
  }, { highWaterMark: 0 });
}

/**
 * Writes the body of a request into a segment.
 *
 * @param request the request; its body is read, or left unread when it is refused in advance.
 * @param bytes the memory of the whole segment.
 * @param limits where it goes and how long it may be.
 * @returns how many bytes were written: all of the body.
 * @throws {HttpError} 413 EFBIG when the body runs past the end or the quota; 400 EINVAL when it is not as long as
 * `length` says; 400 ECONNRESET when it breaks off; 404 ENOENT when the segment is removed meanwhile. Its `written`
 * says how many bytes reached the segment.
 */
export async function writeBody(request: Request, bytes: Uint8Array, limits: BodyLimits): Promise<number> {
  const { action, offset, length, maxBodyBytes } = limits;
  const size = bytes.byteLength;
  const declared = declaredLength(request, action);
  const excess = excessOf(declared ?? length, limits, size);
  if (excess !== undefined) throw refusal(action, excess, 0);
  if (declared !== undefined && length !== undefined && declared !== length) {
    throw refusal(action, mismatch(length, `Content-Length is ${declared}`), 0);
  }
  const limit = Math.min(length ?? Infinity, size - offset, maxBodyBytes);
  let written = 0;
  try {
    for await (const chunk of request.body ?? []) {
      if (bytes.byteLength !== size) throw refusal(action, REMOVED, written);
      const taken = Math.min(chunk.byteLength, limit - written);
      bytes.set(chunk.subarray(0, taken), offset + written);
      written += taken;
      if (taken < chunk.byteLength) {
        const reason = excessOf(limit + 1, limits, size) ?? mismatch(limit, "the body is longer");
        throw refusal(action, reason, written);
      }
    }
  } catch (error) {
    if (error instanceof HttpError) throw error;
    throw refusal(action, BROKEN_OFF, written);
  }
  if (length !== undefined && written < length) {
    throw refusal(action, mismatch(length, "the body is shorter"), written);
  }
  return written;
}

/** Status, code, state and what is allowed instead, of a body that cannot be taken. */
type Reason = readonly [status: number, code: string, state: string, allowed: string];

const REMOVED: Reason = [404, "ENOENT", "the segment was removed meanwhile", "A segment that exists"];
const BROKEN_OFF: Reason = [400, "ECONNRESET", "the body broke off", "A complete body"];

/** Why a body of this many bytes is too long, or undefined when it is not. */
function excessOf(length: number | undefined, limits: BodyLimits, size: number): Reason | undefined {
  if (length === undefined) return undefined;
  const { offset, maxBodyBytes } = limits;
  const room = size - offset;
  if (length > room) {
    const state = `the body runs past the end of the segment`;
    return [
      413,
      "EFBIG",
      state,
      `At most ${room} bytes: the segment has ${size}, and the offset is ${offset}`,
    ];
  }
  if (length > maxBodyBytes) {
    return [
      413,
      "EFBIG",
      "the body is above the quota for one body",
      `At most ${maxBodyBytes} bytes in one body`,
    ];
  }
  return undefined;
}

function mismatch(length: number, state: string): Reason {
  return [
    400,
    "EINVAL",
    `length is ${length}, and ${state}`,
    `A body of exactly ${length} bytes, or no length`,
  ];
}

function refusal(action: string, [status, code, state, allowed]: Reason, written: number): HttpError {
  const count = `${written} ${written === 1 ? "byte was" : "bytes were"} written`;
  return new HttpError(`${action}: ${state}; ${count}`, { status, code, allowed, written });
}

/** What Content-Length says; undefined for a body of unknown length. */
function declaredLength(request: Request, action: string): number | undefined {
  const text = request.headers.get("content-length");
  if (text === null || request.headers.has("transfer-encoding")) return undefined;
  const declared = /^[0-9]+$/.test(text) ? parseDecimal(text.replace(/^0+(?=[0-9])/, "")) : undefined;
  if (declared === undefined) {
    throw invalidRequest(`${action}: Content-Length is no number`, "A Content-Length in decimal digits");
  }
  return declared;
}
