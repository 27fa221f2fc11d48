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

export type { RemoteAddress, ServeInfo };

/** Answers a request. */
export type FetchHandler = (request: Request, info: ServeInfo) => Response | Promise<Response>;

/** How a handler is served. */
export interface BridgeOptions {
  /** Makes the answer when the handler fails. By default the error is logged and the answer is 500. */
  onError?: (error: unknown) => Response | Promise<Response>;
}

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
    const made = webRequest(req, res);
    if (typeof made === "number") return refuse(req, res, made);
    const { request, body } = made;
    if (body !== null) res.once("close", () => body.abandon());
    void serve(handler, onError, request, infoOf(req.socket), res);
  };
}

async function serve(
  handler: FetchHandler,
  onError: (error: unknown) => Response | Promise<Response>,
  request: Request,
  info: ServeInfo,
  res: ServerResponse,
): Promise<void> {
  try {
    const answer = handler(request, info);
    // An answer that is there at once is sent in this turn.
    const response = answer instanceof Response ? answer : await answer;
    if (!sendAtOnce(res, response)) await sendRest(res, response);
  } catch (error) {
    await recover(onError, error, res).catch((again) => giveUp(res, again));
  }
}

/** Sends a body that is not at hand, or lets somebody else give the answer. */
function sendRest(res: ServerResponse, response: Response): Promise<void> | void {
  const take = handedOver(response);
  return take === undefined ? sendStream(res, response) : take(res, response);
}

/** Answers for a handler that has failed, as long as nothing is said yet. */
async function recover(
  onError: (error: unknown) => Response | Promise<Response>,
  error: unknown,
  res: ServerResponse,
): Promise<void> {
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
