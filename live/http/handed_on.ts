/**
 * Responses that stand for something else: whoever made one goes on with the answer, or with the connection, himself. A
 * handler returns such a response like any other; the bridge finds here what to do instead of sending it.
 *
 * Happy path: {@linkcode handOver} an event stream's answer, {@linkcode handOn} a WebSocket's connection.
 *
 * Unhappy paths:
 * 1. A response that was made anew around the same body, as frameworks do to set headers, still stands for the answer. One
 *    whose body was read or wrapped does not: reading it is an error.
 * 2. A copy of a response that stands for a connection is an ordinary one.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

/** Goes on with an answer of which nothing is written yet; its status and headers are those of the response. */
export type AnswerTaker = (res: ServerResponse, response: Response) => void;

/** Goes on with the connection of a request to upgrade it. */
export type ConnectionTaker = (req: IncomingMessage, socket: Duplex, head: Buffer) => void;

const answers = new WeakMap<ReadableStream<Uint8Array>, AnswerTaker>();
const connections = new WeakMap<Response, ConnectionTaker>();

/**
 * Makes the body of a response that stands for an answer which somebody else gives.
 *
 * @param take called with the answer
 * @returns a body, of which nothing can be read
 */
export function handOver(take: AnswerTaker): ReadableStream<Uint8Array<ArrayBuffer>> {
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(): never {
      throw new TypeError("Cannot read the body of this response: somebody else gives the answer");
    },
  }, { highWaterMark: 0 });
  answers.set(body, take);
  return body;
}

/**
 * Who gives the answer that a response stands for?
 *
 * @param response what a handler returned, with a stream for a body
 * @returns undefined for an ordinary response
 */
export function handedOver(response: Response): AnswerTaker | undefined {
  return response.body === null ? undefined : answers.get(response.body);
}

/**
 * Lets a response stand for a connection with which somebody else goes on.
 *
 * @param response what the handler will return
 * @param take called with the request, its connection, and what came behind the request
 */
export function handOn(response: Response, take: ConnectionTaker): void {
  connections.set(response, take);
}

/**
 * Who goes on with the connection that a response stands for?
 *
 * @param response what a handler returned
 * @returns undefined for an ordinary response
 */
export function handedOn(response: Response): ConnectionTaker | undefined {
  return connections.get(response);
}
