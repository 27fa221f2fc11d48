/**
 * A `Request` that is cheap to make. The runtime's own constructor takes longer than all the rest of answering a small
 * request, and most handlers look at nothing but the URL and the method. So {@linkcode servedRequest} gives an object
 * that answers these itself, and makes a real request behind it when anything else is asked of it.
 *
 * It is a `Request` to whoever has it: its prototype is, `instanceof` says so, and the symbols under which the runtime
 * keeps the inside of a request lead to the real one. So `fetch`, `clone` and the constructor take it like any other.
 *
 * Happy path: the handler reads `url` and `method`, and nothing is made. It reads `headers` or the body: a real request
 * is made, once. It reads `signal`: an `AbortSignal` is made, once.
 *
 * Unhappy path: a runtime that keeps the inside of a request elsewhere. That is tried once, on the first request; then
 * each request is made with the runtime's constructor, in full.
 *
 * @module
 */

import type { IncomingMessage } from "node:http";

/** What a request is made of. */
export interface RequestParts {
  /** The URL, complete. */
  readonly url: URL;
  /** The method, as the web's `Request` accepts it. */
  readonly method: string;
  /** Names and values in turn. */
  readonly rawHeaders: readonly string[];
  /** The body, or null. */
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  /** The request of `node:http` that it stands for. */
  readonly incoming: IncomingMessage;
  /** Makes the signal that aborts when the client leaves. Called once at most. */
  readonly makeSignal: () => AbortSignal;
}

/** Not a subclass: that would have to construct the request at once. */
class ServedRequest {
  readonly #parts: RequestParts;
  #real: Request | null = null;
  #signal: AbortSignal | null = null;

  constructor(parts: RequestParts) {
    this.#parts = parts;
  }

  get url(): string {
    return this.#parts.url.href;
  }

  get method(): string {
    return this.#parts.method;
  }

  get signal(): AbortSignal {
    return this.#signal ??= this.#parts.makeSignal();
  }

  static incoming(request: object): IncomingMessage | undefined {
    return #parts in request ? request.#parts.incoming : undefined;
  }

  static inside(request: ServedRequest): Record<symbol, unknown> {
    const real = request.#real ??= realRequest(request.#parts, null);
    return real as unknown as Record<symbol, unknown>;
  }
}

/** What was made in full, the way back. */
const inFull = new WeakMap<object, IncomingMessage>();

/**
 * Makes the request for a handler.
 *
 * @param parts what it is made of
 * @returns a request
 * @throws {TypeError} if the web knows no such request, at the latest when the handler asks for more than URL and method
 */
export function servedRequest(parts: RequestParts): Request {
  const { incoming } = parts;
  if (lazyWorks(incoming)) return new ServedRequest(parts) as unknown as Request;
  const request = realRequest(parts, parts.makeSignal());
  inFull.set(request, incoming);
  return request;
}

/**
 * The request of `node:http` behind the one that a handler was given.
 *
 * @param request what the handler was given; a copy of it will not do
 * @returns the request that it stands for, or undefined if it was not made here
 */
export function incomingOf(request: Request): IncomingMessage | undefined {
  return ServedRequest.incoming(request) ?? inFull.get(request);
}

function realRequest(parts: RequestParts, signal: AbortSignal | null): Request {
  const { url, method, rawHeaders, body } = parts;
  const headers: [string, string][] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    headers.push([rawHeaders[index]!, rawHeaders[index + 1]!]);
  }
  const init: RequestInit = { method, headers };
  if (body !== null) init.body = body;
  if (signal !== null) init.signal = signal;
  return new Request(url, init);
}

/** Runtimes with which the tests beside this file have passed: the trial below takes milliseconds of the first answer. */
const TRIED = ["2.9.6"];

let works: boolean | undefined;

/** Does the runtime see in our request what it sees in its own? */
function lazyWorks(incoming: IncomingMessage): boolean {
  works ??= disguise() && (TRIED.includes(Deno.version.deno) || passesForReal(incoming));
  return works;
}

/**
 * The runtime keeps the inside of a request under own symbols, and looks for its signal at a getter of the prototype.
 * Both lead to the right place from now on. Done at the first request, for an import shall do nothing.
 */
function disguise(): boolean {
  const prototype = ServedRequest.prototype;
  Object.setPrototypeOf(prototype, Request.prototype);
  Object.defineProperty(prototype, "constructor", { value: Request });
  for (const symbol of Object.getOwnPropertySymbols(new Request("http://localhost/"))) {
    Object.defineProperty(prototype, symbol, {
      get(this: ServedRequest): unknown {
        return ServedRequest.inside(this)[symbol];
      },
      set(this: ServedRequest, value: unknown): void {
        ServedRequest.inside(this)[symbol] = value;
      },
    });
  }
  const signal = Object.getOwnPropertySymbols(Request.prototype).find((symbol) =>
    symbol.description === "signal"
  );
  if (signal === undefined) return false;
  Object.defineProperty(prototype, signal, {
    get(this: ServedRequest): AbortSignal {
      return this.signal;
    },
  });
  return true;
}

function passesForReal(incoming: IncomingMessage): boolean {
  const controller = new AbortController();
  const parts: RequestParts = {
    url: new URL("http://localhost/a?b"),
    method: "PUT",
    rawHeaders: ["X-Probe", "1"],
    body: new ReadableStream({ type: "bytes" }),
    incoming,
    makeSignal: () => controller.signal,
  };
  try {
    const request = new ServedRequest(parts) as unknown as Request;
    const seen = [request.clone(), new Request(request)];
    controller.abort();
    return request instanceof Request && request.bodyUsed &&
      seen.every((copy) =>
        copy.url === "http://localhost/a?b" && copy.method === "PUT" && copy.headers.get("x-probe") === "1" &&
        copy.body !== null && copy.signal.aborted
      );
  } catch {
    return false;
  }
}
