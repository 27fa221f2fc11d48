/**
 * A web `Response` as an answer of `node:http`. What is there at once goes out in one piece with its length: a string does
 * not become chunked. What is not there yet is not waited for: the head, or the first chunk, leaves before the second is
 * asked for, so an event stream opens at once. A slow client slows the body down.
 *
 * Happy path: {@linkcode sendAtOnce} for a body in memory, else {@linkcode sendStream}.
 *
 * Unhappy paths:
 * 1. The client leaves: the body is cancelled, and the promise resolves, for nobody is left to be told.
 * 2. The body fails, or is longer or shorter than its content-length says: the promise rejects. If the head has not left
 *    yet (`headersSent`), another answer may be given; else the connection has to be destroyed, which is how a client
 *    learns that a body is not whole.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { ServerResponse } from "node:http";

import { fieldLines, statusLine } from "./answer_head.ts";
import { type AtHand, takeAtHand } from "./response_at_hand.ts";
import { standingLines } from "./runtime_answer.ts";
import { writeWhole } from "./whole_answer.ts";

type Chunk = ReadableStreamReadResult<Uint8Array>;
type Reader = ReadableStreamDefaultReader<Uint8Array>;

/** Longer than the runtime's own streams take over what they have in memory, and still in the same turn (microtasks). */
const PATIENCE = 16;

/**
 * Sends a response that has no body, or one in memory.
 *
 * @param outgoing the answer, of which nothing is written yet
 * @param response what the handler gave
 * @returns false if the body is a stream; then nothing was done
 * @throws {TypeError} if the handler gave no response that can be sent, or its body is used already
 */
export function sendAtOnce(outgoing: ServerResponse, response: Response): boolean {
  if (!(response instanceof Response)) {
    throw new TypeError(`Cannot answer a request: the handler gave ${typeName(response)}, not a Response`);
  }
  const whole = takeAtHand(response);
  const { status } = whole ?? response;
  if (status < 200) throw new TypeError(`Cannot answer a request: status ${status} is not a final one`);
  if (whole === null) {
    if (response.bodyUsed) {
      throw new TypeError("Cannot answer a request: the body of the response is used already");
    }
    if (response.body !== null) return false;
  }
  if (!outgoing.destroyed) sendWhole(outgoing, response, whole);
  return true;
}

/** Sends what is there; null for a response without a body. */
function sendWhole(outgoing: ServerResponse, response: Response, whole: AtHand | null): void {
  const { status } = response;
  const body = whole?.body ?? null;
  // RFC 9110 section 8.6: no length with 204; with 304 or to HEAD it would be that of a body not sent.
  const silent = status === 204 || status === 304 || outgoing.req.method === "HEAD";
  const length = body !== null ? Buffer.byteLength(body) : silent ? null : 0;
  const sent = silent ? null : body;
  if (whole !== null && sendInOne(outgoing, whole, sent, length)) return;
  const head = new Head(response);
  if (length !== null) head.length = length;
  head.write(outgoing);
  if (sent === null) outgoing.end();
  else outgoing.end(sent);
}

/** Past the runtime, where it has nothing to say. */
function sendInOne(
  outgoing: ServerResponse,
  { status, statusText, headers, type }: AtHand,
  body: string | Uint8Array | null,
  length: number | null,
): boolean {
  const standing = statusText === "" ? standingLines(outgoing) : null;
  const fields = standing === null ? null : fieldLines(headers, type);
  if (fields === null) return false;
  const framing = length === null ? "" : `content-length: ${length}\r\n`;
  const ascii = typeof body === "string" && body.length === length;
  const head = statusLine(status) + fields + framing + standing;
  return writeWhole({ res: outgoing, head, body, ascii });
}

/**
 * Sends a response whose body is a stream.
 *
 * @param outgoing the answer, of which nothing is written yet
 * @param response what the handler gave
 * @returns when all is written, or the client has left
 * @throws {TypeError} if the body is in use, gives something else than bytes, or does not keep its length
 * @throws what the body fails with
 */
export async function sendStream(outgoing: ServerResponse, response: Response): Promise<void> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  let reading = reader.read();
  try {
    let chunk = await soon(reading);
    let first: Uint8Array | null = null;
    if (chunk !== null && !chunk.done) {
      first = bytesOf(chunk);
      reading = reader.read();
      chunk = await soon(reading);
    }
    if (outgoing.destroyed) return await drop(reader, left());
    const head = new Head(response);
    // The stream has ended within this turn: one piece.
    if (chunk?.done === true) head.length = first?.byteLength ?? 0;
    head.write(outgoing);
    if (outgoing.req.method === "HEAD") {
      outgoing.end();
      await drop(reader, new DOMException("The answer to HEAD has no body", "AbortError"));
    } else if (chunk?.done === true) {
      outgoing.end(first ?? undefined);
    } else {
      if (first === null) outgoing.flushHeaders();
      await writeAll(outgoing, head.length, reader, reading, first);
    }
  } catch (error) {
    // A read that is under way would reject unheard.
    reading.catch(() => {});
    void drop(reader, error);
    throw error;
  }
}

/** Status line and headers, until they are written. */
class Head {
  readonly #response: Response;
  readonly #headers: string[] = [];
  /** The length of the body, if it is stated. */
  length: number | null = null;

  constructor(response: Response) {
    this.#response = response;
    response.headers.forEach((value, name) => {
      if (name === "content-length") this.length = /^\d{1,15}$/.test(value) ? Number(value) : null;
      // How the body is framed is decided here.
      else if (name !== "transfer-encoding") this.#headers.push(name, value);
    });
  }

  write(outgoing: ServerResponse): void {
    if (this.length !== null) this.#headers.push("content-length", String(this.length));
    const { status, statusText } = this.#response;
    if (statusText === "") outgoing.writeHead(status, this.#headers);
    else outgoing.writeHead(status, statusText, this.#headers);
  }
}

/** Writes chunk after chunk, each when the one before it is on its way, and reads the next one meanwhile. */
async function writeAll(
  outgoing: ServerResponse,
  length: number | null,
  reader: Reader,
  pending: Promise<Chunk>,
  first: Uint8Array | null,
): Promise<void> {
  let sent = 0;
  let reading = pending;
  let bytes = first;
  // Ends the read that waits when the client leaves.
  const leave = (): void => void drop(reader, left());
  outgoing.once("close", leave);
  try {
    for (;;) {
      if (bytes !== null) {
        sent += bytes.byteLength;
        if (length !== null && sent > length) throw wrongLength(length, `${sent} or more`);
        if (bytes.byteLength > 0 && !outgoing.write(bytes)) await drained(outgoing);
      }
      const chunk = await reading;
      if (outgoing.destroyed) return;
      if (chunk.done) break;
      reading = reader.read();
      bytes = bytesOf(chunk);
    }
    if (length !== null && sent !== length) throw wrongLength(length, `${sent}`);
    outgoing.end();
  } catch (error) {
    reading.catch(() => {});
    throw error;
  } finally {
    outgoing.off("close", leave);
  }
}

/** The result, if it is there within this turn of the event loop; else null, and the promise goes on. */
async function soon(reading: Promise<Chunk>): Promise<Chunk | null> {
  let result: Chunk | null = null;
  let failed = false;
  reading.then((chunk) => result = chunk, () => failed = true);
  for (let turn = 0; turn < PATIENCE && result === null && !failed; turn++) await null;
  return failed ? await reading : result;
}

function drained(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      outgoing.off("drain", done);
      outgoing.off("close", done);
      resolve();
    };
    outgoing.on("drain", done);
    outgoing.on("close", done);
  });
}

/** Tells the one who gives the body that nobody wants more. How he takes it is his affair. */
async function drop(reader: Reader, reason: unknown): Promise<void> {
  await reader.cancel(reason).catch(() => {});
}

function left(): DOMException {
  return new DOMException("The client left", "AbortError");
}

function bytesOf(chunk: { value?: unknown }): Uint8Array {
  const { value } = chunk;
  if (value instanceof Uint8Array) return value;
  throw new TypeError(`Cannot send a body: it gave ${typeName(value)}, not a Uint8Array`);
}

function wrongLength(stated: number, sent: string): TypeError {
  return new TypeError(`Cannot send a body: it has ${sent} bytes, content-length says ${stated}`);
}

function typeName(value: unknown): string {
  if (value === null || typeof value !== "object") return value === null ? "null" : typeof value;
  return value.constructor?.name ?? "an object";
}
