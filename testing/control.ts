/**
 * Calls the control API of a service over its control socket, one connection for each call. It shares no code with
 * the command line, so that tests see the API from outside.
 *
 * @module
 */

import { ClientConnection } from "./connection.ts";
import type { HttpAnswer } from "./http_response.ts";
import type { UpdateRecord } from "./types.ts";

/** The service answered a call with an error. */
export class ControlCallError extends Error {
  /** The name of the class. */
  override readonly name = "ControlCallError";
  /** The HTTP status. */
  readonly status: number;
  /** The `code` of the error document, for example `EBUSY`; empty if there is none. */
  readonly code: string;

  /**
   * Makes the error.
   *
   * @param status The HTTP status.
   * @param code The code of the error document.
   * @param message What happened, in words.
   */
  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Where and how a call goes. */
export interface ControlCall {
  /** The path of the control socket. */
  readonly socket: string;
  /** The path of the resource, for example `/v1/status`. */
  readonly path: string;
  /** What to send: makes it a POST. */
  readonly body?: unknown;
  /**
   * How long the call may take, in milliseconds.
   *
   * @default {10000}
   */
  readonly timeoutMs?: number;
}

/**
 * Makes one call.
 *
 * @param call Where and how.
 * @returns The answer's JSON document.
 * @throws {ConnectionFault} If there is no answer: `refused` if nobody listens at the socket.
 * @throws {ControlCallError} If the answer is an error, or not JSON.
 */
export async function callControl(call: ControlCall): Promise<unknown> {
  const { socket, path, timeoutMs = 10_000 } = call;
  const began = performance.now();
  using connection = await ClientConnection.open({ unix: socket }, { timeoutMs });
  const left = Math.max(1, timeoutMs - (performance.now() - began));
  return readDocument(path, await connection.exchange(encodeCall(path, call.body), left));
}

/**
 * Reads what a service that ended for good after an update left beside its control socket.
 *
 * @param socket The path of the control socket.
 * @param id The update.
 * @returns Its record, or null if there is none, or it is about another update.
 */
export function readLastWords(socket: string, id: string): UpdateRecord | null {
  let text: string;
  try {
    text = Deno.readTextFileSync(`${socket}.last.json`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  const record = JSON.parse(text) as UpdateRecord;
  return record.id === id ? record : null;
}

function encodeCall(path: string, body: unknown): Uint8Array {
  const content = body === undefined ? "" : JSON.stringify(body);
  const size = new TextEncoder().encode(content).length;
  const head = body === undefined
    ? `GET ${path} HTTP/1.1\r\n`
    : `POST ${path} HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: ${size}\r\n`;
  return new TextEncoder().encode(`${head}host: localhost\r\nconnection: close\r\n\r\n${content}`);
}

function readDocument(path: string, answer: HttpAnswer): unknown {
  const text = new TextDecoder().decode(answer.body);
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw new ControlCallError(
      answer.status,
      "",
      `Cannot read the answer to ${path}: not JSON: ${text.slice(0, 200)}`,
    );
  }
  if (answer.status >= 200 && answer.status < 300) return document;
  const error = (document as { error?: { code?: unknown; message?: unknown } } | null)?.error;
  const code = typeof error?.code === "string" ? error.code : "";
  const message = typeof error?.message === "string" ? error.message : text.slice(0, 200);
  throw new ControlCallError(
    answer.status,
    code,
    `Cannot call ${path}: ${answer.status} ${code}: ${message}`,
  );
}
