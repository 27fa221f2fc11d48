/**
 * A request of `node:http` as the web's `Request`: full URL, all headers, the body as a stream, and a signal that aborts
 * when the client leaves.
 *
 * Happy path: {@linkcode webRequest}.
 *
 * Unhappy path: what the client sent makes no request: the status to refuse it with. 400 for a target or a Host that is
 * no part of a URL, or two Hosts; 501 for a method that the web's `Request` does not know (TRACE, CONNECT).
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";

import { RequestBody } from "./request_body.ts";
import { type Address, addressOf, hrefOf } from "./request_url.ts";
import { closeUnread } from "./runtime.ts";
import { type RequestParts, servedRequest } from "./served_request.ts";

const METHODS_NOT_KNOWN = new Set(["CONNECT", "TRACE", "TRACK"]);

/**
 * Makes the web's request of a request.
 *
 * @param incoming a request of which nothing was read yet
 * @param response its response, which closes when the client leaves
 * @returns the request, or the status to refuse it with
 */
export function webRequest(incoming: IncomingMessage, response: ServerResponse): Request | 400 | 501 {
  const method = incoming.method ?? "GET";
  if (METHODS_NOT_KNOWN.has(method)) return 501;
  const address = addressOf(incoming);
  if (address === null) return 400;
  const body = bodyOf(incoming, method);
  try {
    const request = servedRequest(new Parts(incoming, response, method, address, body));
    // When the answer is complete nobody reads on.
    if (body !== null) response.on("close", () => body.abandon());
    return request;
  } catch {
    return 400;
  }
}

/** What the request is made of, as it is asked for. */
class Parts implements RequestParts {
  readonly incoming: IncomingMessage;
  readonly method: string;
  readonly body: RequestBody | null;
  readonly #response: ServerResponse;
  readonly #address: Address;

  constructor(
    incoming: IncomingMessage,
    response: ServerResponse,
    method: string,
    address: Address,
    body: RequestBody | null,
  ) {
    this.incoming = incoming;
    this.method = method;
    this.body = body;
    this.#response = response;
    this.#address = address;
  }

  get url(): string {
    return hrefOf(this.#address);
  }

  get rawHeaders(): readonly string[] {
    return this.incoming.rawHeaders;
  }

  makeSignal(): AbortSignal {
    return signalOf(this.#response);
  }
}

/** As `Deno.serve` has it: a body for every method that may have one, an empty one if none was sent. */
function bodyOf(incoming: IncomingMessage, method: string): RequestBody | null {
  const { headers } = incoming;
  const sent = headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;
  if (method !== "GET" && method !== "HEAD") return new RequestBody(incoming);
  // The web knows no body here, and what stays unread would stop the connection.
  if (sent) incoming.resume();
  else closeUnread(incoming);
  return null;
}

function signalOf(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  const leave = (): void => {
    if (!response.writableFinished) controller.abort(new DOMException("The client left", "AbortError"));
  };
  if (response.closed || response.destroyed) leave();
  else response.once("close", leave);
  return controller.signal;
}
