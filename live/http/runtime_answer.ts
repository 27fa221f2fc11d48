/**
 * The other place where this folder looks behind `node:http` of the runtime: what the head of an answer ends with, and how
 * an answer that is complete is given to the kernel in one write. The runtime has a way of its own for that, too, which
 * takes more steps.
 *
 * Happy path: {@linkcode standingLines} says what ends the head, {@linkcode socketFor} whether the way is free, and
 * {@linkcode give} writes.
 *
 * Unhappy path: a connection that is to be closed, a client of HTTP/1.0, an answer that waits behind another one, bytes that
 * wait in the socket, a runtime that is built otherwise: null, nothing was done, and the runtime has to do it.
 *
 * @module
 */
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import process from "node:process";

import { parserOf } from "./runtime.ts";

/** An answer that is complete. */
export interface WholeAnswer {
  /** What `node:http` calls it. */
  readonly res: ServerResponse;
  /** Its head, with the empty line. */
  readonly head: string;
  /** Its body, as long as the head says. */
  readonly body: string | Uint8Array | null;
  /** Is the body a string of nothing but ASCII? */
  readonly ascii: boolean;
}

/** An answer, seen from the runtime. */
interface InnerAnswer {
  _header: string | null;
  _headerSent: boolean;
  _defaultKeepAlive: boolean;
  _keepAliveTimeout: number;
  _maxRequestsPerSocket?: number;
  _removedConnection: boolean;
  finished: boolean;
  maxRequestsOnConnectionReached: boolean;
  outputData: unknown[];
  sendDate: boolean;
  shouldKeepAlive: boolean;
}

/** A socket, seen from an answer. */
interface InnerSocket {
  _handle?: Partial<Writer> | null;
  _hadError?: boolean;
  _httpMessage?: unknown;
  _unrefTimer?(): void;
  _writableState?: { corked: number; length: number; needDrain: boolean };
}

/** The native half of a socket, as something that is written to. 0 or a negative error number. */
interface Writer {
  isStreamBase: boolean;
  writeLatin1String(request: WriteRequest, text: string): number;
  writev(request: WriteRequest, chunks: unknown[], allBuffers: boolean): number;
}

/** What is told of a write that did not end at once. It also keeps from the collector what is written. */
interface WriteRequest {
  oncomplete(status: number): void;
  chunks: unknown[] | null;
}

/** Where the runtime says whether the last write ended at once. */
interface LastWrite {
  readonly state: ArrayLike<number>;
  readonly wasAsync: number;
}

/** Up to this length the runtime tries to write a string at once (bytes). */
const SHORT = 16_384;

let lastWrite: LastWrite | null | undefined;

/** What ends the head of an answer within a second, by the time for which a connection is kept. */
const standing = new Map<number, string>();
let standingUntil = 0;

/**
 * The lines of a head that are the same for all answers: the date, and that the connection stays.
 *
 * @param res an answer of which nothing is written yet
 * @returns the lines, with the empty one behind them; null where the runtime has to write the head
 */
export function standingLines(res: ServerResponse): string | null {
  const inner = res as unknown as InnerAnswer;
  const asEver = inner._header === null && inner.shouldKeepAlive && inner._defaultKeepAlive &&
    inner.sendDate &&
    !inner._removedConnection && !inner.maxRequestsOnConnectionReached && !inner._maxRequestsPerSocket;
  if (!asEver || res.getHeaderNames().length > 0) return null;
  const now = Date.now();
  if (now >= standingUntil || now < standingUntil - 1000) {
    standing.clear();
    standingUntil = now - now % 1000 + 1000;
  }
  const timeout = inner._keepAliveTimeout;
  const known = standing.get(timeout);
  if (known !== undefined) return known;
  const kept = timeout ? `Keep-Alive: timeout=${Math.floor(timeout / 1000)}\r\n` : "";
  const lines = `Date: ${new Date(now).toUTCString()}\r\nConnection: keep-alive\r\n${kept}\r\n`;
  standing.set(timeout, lines);
  return lines;
}

/**
 * Could an answer be written to its connection as it is? Then it is the one that the connection is occupied with, and
 * nothing waits in the socket.
 *
 * @param res an answer of which nothing is written yet
 * @returns the connection, or null
 */
export function socketFor(res: ServerResponse): Socket | null {
  if (lastWrite === undefined) lastWrite = findLastWrite();
  const { socket } = res;
  if (socket === null || lastWrite === null) return null;
  const { _handle: handle, _httpMessage: message, _writableState: state } = socket as unknown as InnerSocket;
  const free = message === res && handle?.isStreamBase === true && state !== undefined &&
    state.corked === 0 &&
    state.length === 0 && !state.needDrain && !socket.connecting && !socket.destroyed && socket.writable &&
    (res as unknown as InnerAnswer).outputData.length === 0;
  return free ? socket : null;
}

/**
 * Says that an answer is taken care of: nobody else may write to it.
 *
 * @param answer the answer
 * @param socket its connection, which counts as used
 */
export function claim({ res, head }: WholeAnswer, socket: Socket): void {
  const inner = res as unknown as InnerAnswer;
  inner._header = head;
  inner._headerSent = true;
  (socket as unknown as InnerSocket)._unrefTimer?.();
}

/**
 * Writes an answer. If the kernel does not take all of it, it is finished when it has; if it fails, the connection is
 * destroyed.
 *
 * @param answer an answer that is claimed
 * @param socket its connection
 * @returns is all of it with the kernel, so that it has to be finished?
 */
export function give({ res, head, body, ascii }: WholeAnswer, socket: Socket): boolean {
  const { _handle: writer } = socket as unknown as { _handle: Writer };
  const request: WriteRequest = {
    oncomplete: (status) => void (status < 0 ? socket.destroy() : finish(res)),
    chunks: null,
  };
  let error: number;
  if (body === null || ascii && head.length + body.length <= SHORT) {
    error = writer.writeLatin1String(request, body === null ? head : head + body);
  } else {
    const encoding = ascii ? "latin1" : typeof body === "string" ? "utf8" : "buffer";
    request.chunks = [head, "latin1", body, encoding];
    error = writer.writev(request, request.chunks, false);
  }
  if (error < 0) socket.destroy();
  if (error < 0 || lastWrite?.state[lastWrite.wasAsync] !== 0) return false;
  (res as unknown as InnerAnswer).finished = true;
  return true;
}

/**
 * Finishes an answer that is with the kernel. As the runtime has it, one whose connection is gone is closed, not finished.
 *
 * @param res the answer
 */
export function finish(res: ServerResponse): void {
  const { socket } = res;
  if (res.destroyed || socket?.destroyed === true || (socket as InnerSocket | null)?._hadError === true) {
    return;
  }
  (res as unknown as InnerAnswer).finished = true;
  res.emit("finish");
}

/**
 * Is told whenever the parser of a connection is through with what has come.
 *
 * @param socket a connection of a `node:http` server
 * @param done called then; never, if this runtime does not say so
 */
export function afterParsing(socket: Socket, done: () => void): void {
  const parser = parserOf(socket) as unknown as Record<number, unknown> | null;
  const key = (parser?.constructor as { kOnExecute?: unknown } | undefined)?.kOnExecute;
  if (parser === null || typeof key !== "number") return;
  const original = parser[key];
  if (typeof original !== "function") return;
  // The runtime sets this anew for each connection.
  parser[key] = function (this: unknown, result: unknown, chunk: unknown): unknown {
    const returned: unknown = original.call(this, result, chunk);
    done();
    return returned;
  };
}

function findLastWrite(): LastWrite | null {
  try {
    const { binding } = process as unknown as { binding(name: string): Record<string, unknown> };
    const { streamBaseState: state, kLastWriteWasAsync: wasAsync } = binding.call(process, "stream_wrap");
    return state instanceof Int32Array && typeof wasAsync === "number" ? { state, wasAsync } : null;
  } catch {
    return null;
  }
}
