/**
 * An answer that the HTTP server gives up, with its connection: whoever sends it sends for as long as he likes, and no
 * request follows. To the application the answer is one that has begun and does not end until the connection closes.
 *
 * Happy path: {@linkcode giveUp} an answer of which nothing is sent, with the head as its application has made it.
 *
 * Unhappy paths: an answer that has begun, or has no connection (any more): a `TypeError`, and nothing was done.
 *
 * @module
 */
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

import { handleOf, parserOf } from "./runtime.ts";
import { takeOver } from "./taken_over.ts";
import { untap } from "./untap.ts";

/** A parser, seen from the server. */
interface Dispatching {
  onIncoming: unknown;
  unconsume?(): void;
}

/** Listeners of the server: from now on they would answer for a connection that is not its own. */
const EVENTS = ["data", "end", "error", "drain", "timeout"];

/**
 * Sends the head of an answer and takes its connection away from the server. The rest of the answer ends with the
 * connection. What the client still sends, in the same request or behind it, comes as `data` of the socket.
 *
 * @param res an answer that has a connection, with the headers that were set; nothing of it is sent yet
 * @param end called when the application ends the answer
 * @returns the connection; the head is sent, or waits in it
 * @throws {TypeError} if the answer has begun, or has no connection
 */
export function giveUp(res: ServerResponse, end: () => void): Socket {
  const { socket } = res;
  if (res.headersSent || res.writableEnded) {
    throw new TypeError("Cannot take an answer over: it has begun already");
  }
  if (socket === null || socket.destroyed) {
    throw new TypeError("Cannot take an answer over: it has no connection");
  }
  for (const name of ["content-length", "transfer-encoding", "keep-alive"]) res.removeHeader(name);
  res.setHeader("connection", "close");
  res.writeHead(res.statusCode);
  res.flushHeaders();
  leave(socket);
  res.end = (...args: unknown[]): ServerResponse => {
    const callback = args.find((arg) => typeof arg === "function") as (() => void) | undefined;
    if (callback !== undefined) socket.once("close", callback);
    end();
    return res;
  };
  res.write = (): never => {
    throw new TypeError("Cannot write to an answer: somebody else sends it");
  };
  return socket;
}

function leave(socket: Socket): void {
  takeOver(socket);
  const parser = parserOf(socket) as unknown as Dispatching | null;
  if (parser !== null) {
    // Requests behind this one are not answered any more. The runtime sets this anew for each connection.
    parser.onIncoming = () => 0;
    parser.unconsume?.();
  }
  // An update may be under way, in which the server has closed the tap.
  const handle = handleOf(socket);
  if (handle !== null) untap(handle);
  for (const event of EVENTS) socket.removeAllListeners(event);
  socket.setTimeout(0);
  socket.setNoDelay(true);
}
