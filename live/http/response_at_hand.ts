/**
 * The inside of a response whose body lies in memory: the string or bytes that it was made with. The web shows every body as
 * a stream, and headers as a sorted collection of their own; to read these takes longer than to send what comes out of
 * them, so it is worth a look behind.
 *
 * Happy path: `new Response("hello\n")`: the string, its type, and the response counts as read.
 *
 * Unhappy path: a stream, a response that was read before, or a runtime that keeps the inside elsewhere: null, and the
 * response has to be asked like any other.
 *
 * @module
 */

/** What a response consists of. */
export interface AtHand {
  /** Its status. */
  readonly status: number;
  /** What stands behind the status in the status line; empty for what is usual. */
  readonly statusText: string;
  /** Pairs of name and value, as they were given. */
  readonly headers: readonly (readonly [string, string])[];
  /** The content type that comes with the body, if it is not among the headers yet. */
  readonly type: string | null;
  /** The body, to be sent as it is; null for none. */
  readonly body: string | Uint8Array | null;
}

/** How the runtime keeps a response. */
interface Inner {
  status: number;
  statusMessage: string;
  headerList: [string, string][];
  body: { streamOrStatic?: { body?: unknown; consumed?: unknown } } | null;
}

/** Where it keeps it. */
interface Keys {
  inner: symbol;
  /** A string of which no body was made yet, and its type. */
  lazyBody: symbol;
  lazyType: symbol;
  /** Was it sent? */
  consumed: symbol;
  /** What was made for a server of the runtime's own, if anything; the collector would have to be told of it. */
  native: symbol;
}

/** The type of a string that was given without one. */
const TEXT = "text/plain;charset=UTF-8";

let keys: Keys | null | undefined;

/**
 * Takes what a response consists of, if nothing of it need be waited for.
 *
 * @param response any response
 * @returns its parts, and its body counts as used then; null if they cannot be told
 */
export function takeAtHand(response: Response): AtHand | null {
  keys = keys === undefined ? findKeys() : keys;
  if (keys === null) return null;
  const inside = response as unknown as Record<symbol, unknown>;
  const inner = inside[keys.inner] as Inner;
  const type = inside[keys.lazyType] as string | null;
  const lazy = inside[keys.lazyBody];
  if (inside[keys.consumed] !== false) return null;
  // Asking for the headers lets go of it.
  if (inside[keys.native] !== null) void response.headers;
  let body: string | Uint8Array | null = null;
  if (typeof lazy === "string") {
    inside[keys.consumed] = true;
    body = lazy;
  } else if (inner.body !== null) {
    const kept = inner.body.streamOrStatic;
    if (kept === undefined || kept.consumed !== false) return null;
    if (typeof kept.body !== "string" && !(kept.body instanceof Uint8Array)) return null;
    kept.consumed = true;
    body = kept.body;
  }
  return {
    status: inner.status,
    statusText: inner.statusMessage,
    headers: inner.headerList,
    type: typeof lazy === "string" ? type ?? TEXT : type,
    body,
  };
}

/** Tried on three responses, so that a runtime that is built otherwise is noticed. */
function findKeys(): Keys | null {
  const probe = new Response("");
  const find = (description: string): symbol | undefined =>
    Object.getOwnPropertySymbols(probe).find((symbol) => symbol.description === description);
  const inner = find("response");
  const lazyBody = find("lazy static body");
  const lazyType = find("lazy static content type");
  const consumed = find("serve fast consumed");
  const native = find("serve native response");
  if (inner === undefined || lazyBody === undefined || lazyType === undefined) return null;
  if (consumed === undefined || native === undefined) return null;
  const found = { inner, lazyBody, lazyType, consumed, native };
  return isRight(found) ? found : null;
}

function isRight(found: Keys): boolean {
  keys = found;
  const text = new Response("a");
  const json = Response.json(1, { status: 201, statusText: "Made", headers: { "x-a": "b" } });
  const none = new Response(null, { status: 204 });
  const [first, second, third] = [takeAtHand(text), takeAtHand(json), takeAtHand(none)];
  const types = second?.headers.filter(([name]) => name.toLowerCase() === "content-type");
  return first?.body === "a" && first.status === 200 && first.type === TEXT && first.headers.length === 0 &&
    text.bodyUsed && takeAtHand(text) === null &&
    second?.body === "1" && second.status === 201 && second.statusText === "Made" && second.type === null &&
    types?.length === 1 && types[0]?.[1] === "application/json" && second.headers.length === 2 &&
    json.bodyUsed &&
    third?.body === null && third.status === 204 && third.type === null && third.headers.length === 0;
}
