/**
 * Who may ask. The API listens on loopback, where two strangers can still reach it: other users of the machine,
 * and any web page in a browser on it.
 *
 * Happy path: the Host header is one of ours, no browser says that the request comes from another site, and a
 * request that writes brings the token.
 *
 * Unhappy paths, each with its status:
 * 1. Host is missing or another name: 421. This is what stops DNS rebinding, where a page's own name is made to
 *    point at 127.0.0.1 and the browser takes the answers for that page's.
 * 2. Origin is another site, or `Sec-Fetch-Site` says so where a browser sends no Origin: 403.
 * 3. A write without the token or with a wrong one: 401. Digests are compared, every byte of them, so that the time
 *    of the answer says nothing about the token.
 * 4. A write to a service that was started without a token: 403; a missing file never means "open to all".
 *
 * @module
 */

import { HttpError } from "./errors.ts";

/** The `Host` values that are ours, as `name:port`. */
export type Hosts = () => readonly string[];

const REALM = 'Bearer realm="heirloom"';

/**
 * Checks that the request means this service and does not come from a page of another site.
 *
 * @param request the request.
 * @param hosts the `Host` values that are ours.
 * @throws {HttpError} 421 EADDRNOTAVAIL for a foreign Host, 403 EACCES for a foreign Origin.
 */
export function checkSite(request: Request, hosts: Hosts): void {
  const ours = hosts();
  const known = new Set(ours.map(canonicalHost));
  const host = request.headers.get("host");
  if (host === null || !known.has(canonicalHost(host))) {
    const state = host === null ? "the Host header is missing" : "the Host header names another server";
    throw new HttpError(`Cannot answer the request: ${state}`, {
      status: 421,
      code: "EADDRNOTAVAIL",
      allowed: `Host: ${ours.join(", ")}`,
    });
  }
  const origin = request.headers.get("origin");
  const site = request.headers.get("sec-fetch-site");
  const foreign = origin === null
    ? site === "cross-site" || site === "same-site"
    : !known.has(hostOfOrigin(origin));
  if (foreign) {
    throw new HttpError("Cannot answer the request: it comes from a page of another site", {
      status: 403,
      code: "EACCES",
      allowed: `No Origin header, or the origin of ${ours.join(", ")}`,
    });
  }
}

/** Guards the requests that write. */
export class TokenGuard {
  readonly #expected: Promise<Uint8Array> | null;

  /**
   * @param token what a writer must bring, or null to refuse all of them.
   * @throws {RangeError} when it is empty or holds what a header cannot carry: it could never match.
   */
  constructor(token: string | null) {
    if (token !== null && !/^[\x21-\x7e]+$/.test(token)) {
      throw new RangeError(
        "Cannot use the token: it must be one or more printable ASCII characters without a space",
      );
    }
    this.#expected = token === null ? null : digest(token);
  }

  /**
   * Checks that a request may write.
   *
   * @param request the request.
   * @throws {HttpError} 403 EPERM when there is no token to bring; 401 EACCES when none or a wrong one is brought.
   */
  async check(request: Request): Promise<void> {
    if (this.#expected === null) {
      throw new HttpError("Cannot write: the service was started without --http-token-file", {
        status: 403,
        code: "EPERM",
        allowed: "GET and HEAD; start the service with --http-token-file FILE to allow writing",
      });
    }
    const [, given] = /^bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "") ?? [];
    if (given === undefined) throw unauthorized("no token was sent", REALM);
    if (!equalDigests(await digest(given), await this.#expected)) {
      throw unauthorized("the token is wrong", `${REALM}, error="invalid_token"`);
    }
  }
}

/** The spelling by which hosts are compared: a browser leaves the default port out, a person may type capitals. */
function canonicalHost(host: string): string {
  return host.toLowerCase().replace(/:80$/, "");
}

/** The host of an Origin header; "" for `null` and for what is no http origin, which no host of ours is. */
function hostOfOrigin(origin: string): string {
  const url = URL.parse(origin);
  return url?.protocol === "http:" ? canonicalHost(url.host) : "";
}

function unauthorized(state: string, challenge: string): HttpError {
  return new HttpError(`Cannot write: ${state}`, {
    status: 401,
    code: "EACCES",
    allowed: "Authorization: Bearer TOKEN, with the content of the file given to --http-token-file",
    headers: { "www-authenticate": challenge },
  });
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

/** Looks at every byte whatever it finds. */
function equalDigests(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}
