/**
 * The headers of a request as the web's `Headers`, without the time that its constructor takes to look for faults: what a
 * parser of HTTP has let through has none.
 *
 * Happy path: {@linkcode quickHeaders}, and {@linkcode shareHeaders} once there is a real request around them.
 *
 * Unhappy path: a runtime that keeps the list of headers elsewhere: null, and the constructor has to do.
 *
 * @module
 */

/** Where the runtime keeps the inside of `Headers`. */
interface Keys {
  /** Pairs of name and value. */
  list: symbol;
  /** The same names in lower case, or null while nobody needs them. */
  lowerNames: symbol;
  /** Where a request keeps its headers. */
  cache: symbol;
}

type Inside = Record<symbol, unknown>;

let keys: Keys | null | undefined;

/**
 * Makes headers of what a parser has read.
 *
 * @param raw names and values in turn
 * @returns the headers, or null where they cannot be made in this way
 */
export function quickHeaders(raw: readonly string[]): Headers | null {
  keys = keys === undefined ? findKeys() : keys;
  if (keys === null) return null;
  const headers = new Headers();
  const list: [string, string][] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) list.push([raw[index]!, raw[index + 1]!]);
  (headers as unknown as Inside)[keys.list] = list;
  return headers;
}

/**
 * Makes headers those of a request that was made with them, so that what is changed in one is changed in both.
 *
 * @param headers what {@linkcode quickHeaders} has made
 * @param request a request with a copy of these headers
 */
export function shareHeaders(headers: Headers, request: Request): void {
  if (keys === null || keys === undefined) return;
  const [inside, copy] = [headers, request.headers] as unknown as [Inside, Inside];
  inside[keys.list] = copy[keys.list];
  inside[keys.lowerNames] = null;
  (request as unknown as Inside)[keys.cache] = headers;
}

function findKeys(): Keys | null {
  const request = new Request("http://localhost/", { headers: { "X-Probe": "1" } });
  const { headers } = request;
  const list = keyOf(headers, "header list");
  const lowerNames = keyOf(headers, "lowercase header names");
  const cache = keyOf(request, "headers cache");
  if (list === undefined || lowerNames === undefined || cache === undefined) return null;
  const kept = (headers as unknown as Inside)[list];
  const asExpected = Array.isArray(kept) && Array.isArray(kept[0]) && kept[0][1] === "1" &&
    (request as unknown as Inside)[cache] === headers;
  return asExpected ? { list, lowerNames, cache } : null;
}

function keyOf(object: object, description: string): symbol | undefined {
  return Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === description);
}
