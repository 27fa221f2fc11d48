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
import { servedRequest } from "./served_request.ts";

/** A request, with its body if it has one. */
export interface WebRequest {
  /** What the handler is given. */
  readonly request: Request;
  /** To be abandoned when the answer is complete; null without one. */
  readonly body: RequestBody | null;
}

/** RFC 3986 section 3.2: a host and an optional port. What else could stand in a URL there would change its meaning. */
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[\w.~%!$&'()*+,;=-]+)(?::\d*)?$/;

const METHODS_NOT_KNOWN = new Set(["CONNECT", "TRACE", "TRACK"]);

/**
 * Makes the web's request of a request.
 *
 * @param incoming a request of which nothing was read yet
 * @param response its response, which closes when the client leaves
 * @returns the request, or the status to refuse it with
 */
export function webRequest(incoming: IncomingMessage, response: ServerResponse): WebRequest | 400 | 501 {
  const method = incoming.method ?? "GET";
  if (METHODS_NOT_KNOWN.has(method)) return 501;
  const url = urlOf(incoming);
  if (url === null) return 400;
  const body = bodyOf(incoming, method);
  try {
    const request = servedRequest({
      url,
      method,
      rawHeaders: incoming.rawHeaders,
      body: body?.stream ?? null,
      incoming,
      makeSignal: () => signalOf(response),
    });
    return { request, body };
  } catch {
    return 400;
  }
}

/** As `Deno.serve` has it: a body for every method that may have one, an empty one if none was sent. */
function bodyOf(incoming: IncomingMessage, method: string): RequestBody | null {
  if (method !== "GET" && method !== "HEAD") return new RequestBody(incoming);
  const { headers } = incoming;
  // The web knows no body here, and what stays unread would stop the connection.
  if (headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined) {
    incoming.resume();
  }
  return null;
}

/** RFC 9112 section 3.2: the target is a path, a whole URL, or `*`; and two Hosts are a fault. */
function urlOf(incoming: IncomingMessage): URL | null {
  if (hostCount(incoming.rawHeaders) > 1) return null;
  const target = incoming.url ?? "/";
  if (/^https?:\/\//i.test(target)) {
    const url = URL.parse(target);
    return url === null || url.username !== "" || url.password !== "" ? null : url;
  }
  const host = incoming.headers.host || ownAddress(incoming);
  if (!HOST.test(host)) return null;
  if (target.startsWith("/")) return URL.parse(`http://${host}${target}`);
  return target === "*" ? URL.parse(`http://${host}/*`) : null;
}

function hostCount(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    if (name.length === 4 && name.toLowerCase() === "host") count++;
  }
  return count;
}

/** A client that speaks HTTP/1.0 need not say which host it means. */
function ownAddress(incoming: IncomingMessage): string {
  const { localAddress, localPort } = incoming.socket;
  if (localAddress === undefined) return "localhost";
  return localAddress.includes(":") ? `[${localAddress}]:${localPort}` : `${localAddress}:${localPort}`;
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
