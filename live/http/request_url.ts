/**
 * The URL of a request, from what the client says of it. To parse a URL takes longer than most of what a server does with a
 * request, and nearly all of them need no parser: the host is that of the request before, and the path is already as a
 * parser would write it.
 *
 * Happy path: {@linkcode addressOf} looks at the request, {@linkcode hrefOf} makes the URL when it is asked for.
 *
 * Unhappy path: a target or a Host that is no part of a URL, or two Hosts: null.
 *
 * @module
 */

import type { IncomingMessage } from "node:http";

/** Where a request goes: the two halves of its URL, of which only the first is known to be normal. */
export interface Address {
  /** Scheme and host, as `http://localhost:8080`. */
  readonly origin: string;
  /** Path and query, as the client has sent them. */
  readonly target: string;
}

/** RFC 3986 section 3.2: a host and an optional port. What else could stand in a URL there would change its meaning. */
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[\w.~%!$&'()*+,;=-]+)(?::\d*)?$/;

/** A path and a query in which a parser changes nothing, if they have no {@linkcode DOTS}. */
const PLAIN = /^\/[\w\-.~!$&()*+,;=:@%/]*(?:\?[\w\-.~!$&()*+,;=:@%/?]*)?$/;

/** What may be a step to another folder. */
const DOTS = /\/(?:\.|%2e)/i;

/** How many hosts are remembered. A client can name any. */
const MOST_HOSTS = 256;

const origins = new Map<string, string | null>();

/**
 * Looks where a request goes. RFC 9112 section 3.2: the target is a path, a whole URL, or `*`; and two Hosts are a fault.
 *
 * @param incoming the request
 * @returns its address, or null if it has none
 */
export function addressOf(incoming: IncomingMessage): Address | null {
  if (hostCount(incoming.rawHeaders) > 1) return null;
  const target = incoming.url ?? "/";
  if (!target.startsWith("/") && target !== "*") return wholeAddress(target);
  const origin = originOf(incoming.headers.host || ownAddress(incoming));
  return origin === null ? null : { origin, target: target === "*" ? "/*" : target };
}

/**
 * Makes the URL.
 *
 * @param address where a request goes
 * @returns the URL as a parser writes it
 */
export function hrefOf({ origin, target }: Address): string {
  const href = origin + target;
  return PLAIN.test(target) && !DOTS.test(target) ? href : new URL(href).href;
}

function wholeAddress(target: string): Address | null {
  const url = /^https?:\/\//i.test(target) ? URL.parse(target) : null;
  if (url === null || url.username !== "" || url.password !== "") return null;
  return { origin: url.origin, target: url.href.slice(url.origin.length) };
}

function originOf(host: string): string | null {
  const known = origins.get(host);
  if (known !== undefined) return known;
  const origin = HOST.test(host) ? URL.parse(`http://${host}/`)?.origin ?? null : null;
  if (origins.size >= MOST_HOSTS) origins.clear();
  origins.set(host, origin);
  return origin;
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
