/**
 * The bridge from `node:http` to the web's `Request` and `Response`: a handler as `Deno.serve` takes it serves a server
 * whose listener can be carried across an exec, which `Deno.serve` cannot do.
 *
 * Happy path: `createServer(requestListener((request) => new Response("hello\n")))`.
 *
 * Unhappy paths:
 * 1. The handler throws, rejects, or gives no `Response`: `onError` answers; by default it is logged and answered with 500.
 * 2. The body of the answer fails: the same while nothing was sent; else it is logged and the connection destroyed, so
 *    that the client does not take half of it for the whole.
 * 3. The client leaves: `request.signal` aborts and the body of the answer is cancelled; nothing is logged of that.
 * 4. The client sends no proper request (a Host that is no host): 400, and the handler never hears of it.
 *
 * An upgrade (web sockets) does not come here: it is the server's `upgrade` event.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";

import { handedOver } from "./handed_on.ts";
import { infoOf, type RemoteAddress, type ServeInfo } from "./serve_info.ts";
import { webRequest } from "./web_request.ts";
import { sendAtOnce, sendStream } from "./web_response.ts";
import { settleAfterReading } from "./whole_answer.ts";

export type { RemoteAddress, ServeInfo };

/** Answers a request. */
export type FetchHandler = (request: Request, info: ServeInfo) => Response | Promise<Response>;

/** How a handler is served. */
export interface BridgeOptions {
  /** Makes the answer when the handler fails. By default the error is logged and the answer is 500. */
  onError?: ErrorHandler;
}

type ErrorHandler = (error: unknown) => Response | Promise<Response>;

/**
 * Makes a listener for the `request` event of a `node:http` server.
 *
 * @param handler answers each request
 * @param options what to do when it fails
 * @returns the listener; it never throws
 */
export function requestListener(
  handler: FetchHandler,
  options: BridgeOptions = {},
): (req: IncomingMessage, res: ServerResponse) => void {
  const onError = options.onError ?? internalError;
  return (req, res): void => {
    const request = webRequest(req, res);
    if (typeof request === "number") return refuse(req, res, request);
    try {
      const answer = handler(request, infoOf(req.socket, settleAfterReading));
      // An answer that is there at once is sent in this turn.
      if (answer instanceof Response) return send(res, answer, onError);
      Promise.resolve(answer).then(
        (response) => send(res, response, onError),
        (error) => fail(res, error, onError),
      );
    } catch (error) {
      fail(res, error, onError);
    }
  };
}

/** Sends what a handler gave. */
function send(res: ServerResponse, response: Response, onError: ErrorHandler): void {
  try {
    if (!sendAtOnce(res, response)) sendRest(res, response).catch((error) => fail(res, error, onError));
  } catch (error) {
    fail(res, error, onError);
  }
}

/** Sends a body that is not at hand, or lets somebody else give the answer. */
async function sendRest(res: ServerResponse, response: Response): Promise<void> {
  const take = handedOver(response);
  if (take === undefined) await sendStream(res, response);
  else take(res, response);
}

/** A handler, or the body of what it gave, has failed. */
function fail(res: ServerResponse, error: unknown, onError: ErrorHandler): void {
  recover(onError, error, res).catch((again) => giveUp(res, again));
}

/** Answers for a handler that has failed, as long as nothing is said yet. */
async function recover(onError: ErrorHandler, error: unknown, res: ServerResponse): Promise<void> {
  if (res.headersSent || res.destroyed || hasLeft(res, error)) return giveUp(res, error);
  try {
    const response = await onError(error);
    if (!sendAtOnce(res, response)) await sendRest(res, response);
  } catch (again) {
    if (res.headersSent || res.destroyed) throw again;
    sendAtOnce(res, internalError(again));
  }
}

/** Nothing more can be said to this client. */
function giveUp(res: ServerResponse, error: unknown): void {
  if (!hasLeft(res, error)) console.error(error);
  res.destroy();
}

/** Is this the error of a handler whose client has left, with or without a part of its body? */
function hasLeft(res: ServerResponse, error: unknown): boolean {
  const gone = res.destroyed || (res.req.destroyed && !res.req.complete);
  return gone && ((error instanceof DOMException && error.name === "AbortError") ||
    // What the body of a request fails with when its connection ends.
    (error as { code?: unknown } | null)?.code === "ECONNRESET");
}

function internalError(error: unknown): Response {
  console.error(error);
  return new Response("Internal Server Error", { status: 500 });
}

function refuse(req: IncomingMessage, res: ServerResponse, status: 400 | 501): void {
  const text = status === 400 ? "Bad Request" : "Not Implemented";
  // What else comes on such a connection is not worth reading.
  res.writeHead(status, [
    "content-type",
    "text/plain",
    "content-length",
    `${text.length}`,
    "connection",
    "close",
  ]);
  res.end(req.method === "HEAD" ? undefined : text);
  req.resume();
}
