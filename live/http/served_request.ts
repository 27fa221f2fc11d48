/**
 * A `Request` that is cheap to make. The runtime's own constructor takes longer than all the rest of answering a small
 * request, and most handlers look at nothing but the URL and the method. So {@linkcode servedRequest} gives an object
 * that answers these itself, and what else is asked for often; and it makes a real request behind it for all the rest.
 *
 * It is a `Request` to whoever has it: its prototype is, `instanceof` says so, and the symbols under which the runtime
 * keeps the inside of a request lead to the real one. So `fetch`, `clone` and the constructor take it like any other.
 *
 * Happy path: the handler reads `url` and `method`, and nothing is made. It reads `headers`, `text()` or `json()`: these
 * are made, once. It looks at the body as a stream, clones, forwards: a real request is made, once, of what is there then.
 *
 * Unhappy path: a runtime that keeps the inside of a request elsewhere. That is tried once, on the first request; then
 * each request is made with the runtime's constructor, in full.
 *
 * @module
 */

import type { IncomingMessage } from "node:http";

import { type Bytes, ownBytes } from "./request_body.ts";
import { quickHeaders, shareHeaders } from "./request_headers.ts";

/** What a request is made of. Each part is asked for when it is needed. */
export interface RequestParts {
  /** The URL, complete. */
  readonly url: string;
  /** The method, as the web's `Request` accepts it. */
  readonly method: string;
  /** Names and values in turn. */
  readonly rawHeaders: readonly string[];
  /** The body, or null. */
  readonly body: BodySource | null;
  /** The request of `node:http` that it stands for. */
  readonly incoming: IncomingMessage;
  /** Makes the signal that aborts when the client leaves. Called once at most. */
  makeSignal(): AbortSignal;
}

/** A body, which is read in one way or the other. */
export interface BodySource {
  /** As a stream. */
  readonly stream: ReadableStream<Bytes>;
  /** All of it, at once; what is left is an empty stream. */
  collect<T>(make: (bytes: Uint8Array) => T): Promise<T>;
}

const decoder = new TextDecoder();

/** Not a subclass: that would have to construct the request at once. */
class ServedRequest {
  readonly #parts: RequestParts;
  #url: string | null = null;
  #headers: Headers | null = null;
  #signal: AbortSignal | null = null;
  #bodyUsed = false;
  #real: Request | null = null;

  constructor(parts: RequestParts) {
    this.#parts = parts;
  }

  get url(): string {
    return this.#url ??= this.#parts.url;
  }

  get method(): string {
    return this.#parts.method;
  }

  get headers(): Headers {
    if (this.#headers === null && this.#real === null) this.#headers = quickHeaders(this.#parts.rawHeaders);
    return this.#headers ??= ServedRequest.real(this).headers;
  }

  get signal(): AbortSignal {
    return this.#signal ??= this.#parts.makeSignal();
  }

  get body(): ReadableStream<Bytes> | null {
    return this.#parts.body === null ? null : ServedRequest.real(this).body;
  }

  get bodyUsed(): boolean {
    return this.#real?.bodyUsed ?? this.#bodyUsed;
  }

  text(): Promise<string> {
    return this.#collect((bytes) => decoder.decode(bytes)) ?? ServedRequest.real(this).text();
  }

  json(): Promise<unknown> {
    return this.#collect((bytes) => JSON.parse(decoder.decode(bytes))) ?? ServedRequest.real(this).json();
  }

  bytes(): Promise<Bytes> {
    return this.#collect(ownBytes) ?? ServedRequest.real(this).bytes();
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return this.#collect((bytes) => ownBytes(bytes).buffer) ?? ServedRequest.real(this).arrayBuffer();
  }

  static incoming(request: object): IncomingMessage | undefined {
    return #parts in request ? request.#parts.incoming : undefined;
  }

  static real(request: ServedRequest): Request {
    if (request.#real !== null) return request.#real;
    const headers = request.#headers;
    const real = realRequest(request.#parts, null, headers);
    if (headers !== null) shareHeaders(headers, real);
    // What was read here was read of that one.
    if (request.#bodyUsed) void real.bytes().catch(() => {});
    return request.#real = real;
  }

  /** Null once somebody may have looked at the body. */
  #collect<T>(make: (bytes: Uint8Array) => T): Promise<T> | null {
    const { body } = this.#parts;
    if (body === null || this.#real !== null || this.#bodyUsed) return null;
    this.#bodyUsed = true;
    return body.collect(make);
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
  const request = realRequest(parts, parts.makeSignal(), null);
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

function realRequest(parts: RequestParts, signal: AbortSignal | null, headers: Headers | null): Request {
  const { url, method, rawHeaders, body } = parts;
  const init: RequestInit = { method, headers: headers ?? pairs(rawHeaders) };
  if (body !== null) init.body = body.stream;
  if (signal !== null) init.signal = signal;
  return new Request(url, init);
}

function pairs(rawHeaders: readonly string[]): [string, string][] {
  const found: [string, string][] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    found.push([rawHeaders[index]!, rawHeaders[index + 1]!]);
  }
  return found;
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
        return insideOf(this)[symbol];
      },
      set(this: ServedRequest, value: unknown): void {
        insideOf(this)[symbol] = value;
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

function insideOf(request: ServedRequest): Record<symbol, unknown> {
  return ServedRequest.real(request) as unknown as Record<symbol, unknown>;
}

function passesForReal(incoming: IncomingMessage): boolean {
  const controller = new AbortController();
  const parts: RequestParts = {
    url: "http://localhost/a?b",
    method: "PUT",
    rawHeaders: ["X-Probe", "1"],
    body: { stream: new ReadableStream({ type: "bytes" }), collect: () => Promise.reject() },
    incoming,
    makeSignal: () => controller.signal,
  };
  try {
    const request = new ServedRequest(parts) as unknown as Request;
    request.headers.set("x-probe", "2");
    const seen = [request.clone(), new Request(request)];
    controller.abort();
    return request instanceof Request && request.bodyUsed &&
      seen.every((copy) =>
        copy.url === "http://localhost/a?b" && copy.method === "PUT" && copy.headers.get("x-probe") === "2" &&
        copy.body !== null && copy.signal.aborted
      );
  } catch {
    return false;
  }
}
