/**
 * The body of a response that lies in memory: the string or bytes that it was made with. The web shows every body as a
 * stream; to read one takes longer than to send what comes out of it, so it is worth a look behind.
 *
 * Happy path: `new Response("hello\n")`: the string, and the response counts as read.
 *
 * Unhappy path: a stream, or a runtime that keeps its bodies elsewhere: null, and the stream is read.
 *
 * @module
 */

/** How the runtime keeps the body of a response. */
interface InnerBody {
  streamOrStatic?: { body?: unknown; consumed?: unknown };
}

let key: symbol | null | undefined;

/**
 * Takes the body of a response, if it need not be waited for.
 *
 * @param response a response with a body that nobody has begun to read
 * @returns what it was made with, to be sent as it is; null if that cannot be told
 */
export function takeBody(response: Response): string | Uint8Array | null {
  if (key === undefined) {
    const symbols = Object.getOwnPropertySymbols(Response.prototype);
    key = symbols.find((symbol) => symbol.description === "body") ?? null;
  }
  if (key === null) return null;
  const inner = (response as unknown as Record<symbol, InnerBody | null | undefined>)[key];
  const kept = inner?.streamOrStatic;
  if (kept === undefined || kept.consumed !== false) return null;
  const { body } = kept;
  if (typeof body !== "string" && !(body instanceof Uint8Array)) return null;
  kept.consumed = true;
  return body;
}
