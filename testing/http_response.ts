/**
 * Reads HTTP/1.1 answers off a raw connection, piece by piece. The load generator and the control calls use it instead of
 * `fetch` because it shows what `fetch` hides: which connection an answer came on, how much of it had arrived when the
 * connection broke, and bytes that nobody asked for.
 *
 * 1. {@linkcode ResponseParser.push} takes the bytes as they come.
 * 2. {@linkcode ResponseParser.next} gives each answer once it is complete: by `Content-Length`, by chunks, or at once
 *    for a status that has no body. Interim answers (1xx) are skipped.
 * 3. {@linkcode ResponseParser.end} says that the other side closed: it completes an answer whose length is given by that.
 *
 * What breaks the rules of RFC 9112 is a SyntaxError from `push`, and the connection is then of no more use.
 *
 * @module
 */

/** A complete answer. */
export interface HttpAnswer {
  /** The status code. */
  readonly status: number;
  /** The header fields. */
  readonly headers: Headers;
  /** The body, chunks put together. */
  readonly body: Uint8Array<ArrayBuffer>;
}

/** The longest head and the longest chunk or trailer line, in bytes. */
const MAX_HEAD = 64 * 1024;

/** The largest body, in bytes. */
const MAX_BODY = 1024 * 1024 * 1024;

/** Where the parser stands within an answer. */
type State =
  | { readonly kind: "head" }
  | { readonly kind: "fixed"; left: number }
  | { readonly kind: "chunk-size" }
  | { readonly kind: "chunk"; left: number }
  | { readonly kind: "chunk-end" }
  | { readonly kind: "trailer" }
  | { readonly kind: "until-close" };

const decoder = new TextDecoder();

/** Reads the answers of one connection, in order. */
export class ResponseParser {
  #pending: Uint8Array<ArrayBuffer> = new Uint8Array();
  #state: State = { kind: "head" };
  #status = 0;
  #headers = new Headers();
  #body: Uint8Array<ArrayBuffer>[] = [];
  #bodySize = 0;
  #complete: HttpAnswer[] = [];

  /** True in the middle of an answer: something of it has arrived, but not all. */
  get partial(): boolean {
    return this.#state.kind !== "head" || this.#pending.length > 0;
  }

  /**
   * Takes bytes as they came.
   *
   * @param bytes Not kept: the caller may use the buffer again.
   * @throws {SyntaxError} If they are not HTTP/1.1.
   */
  push(bytes: Uint8Array): void {
    this.#pending = concat([this.#pending, bytes]);
    while (this.#step());
  }

  /**
   * The next complete answer.
   *
   * @returns Undefined if none is complete.
   */
  next(): HttpAnswer | undefined {
    return this.#complete.shift();
  }

  /** Says that no more bytes come. Completes an answer that lasts until the connection closes. */
  end(): void {
    if (this.#state.kind === "until-close") this.#finish();
  }

  /** Takes one step; false when it needs more bytes. */
  #step(): boolean {
    const state = this.#state;
    switch (state.kind) {
      case "head":
        return this.#head();
      case "fixed":
      case "chunk":
        return this.#take(state);
      case "chunk-size":
        return this.#chunkSize();
      case "chunk-end": {
        const line = this.#line();
        if (line === undefined) return false;
        if (line !== "") throw new SyntaxError(`Cannot read the answer: a chunk is longer than it says`);
        this.#state = { kind: "chunk-size" };
        return true;
      }
      case "trailer": {
        const line = this.#line();
        if (line === undefined) return false;
        if (line === "") this.#finish();
        return true;
      }
      case "until-close":
        this.#keep(this.#pending.length);
        return false;
    }
  }

  #head(): boolean {
    const end = indexOf(this.#pending, "\r\n\r\n");
    if (end < 0) {
      if (this.#pending.length > MAX_HEAD) {
        throw new SyntaxError(`Cannot read the answer: its head is longer than ${MAX_HEAD} bytes`);
      }
      // The first bytes already show whether this is HTTP at all; waiting for a head that never ends would not.
      const start = decoder.decode(this.#pending.subarray(0, 7));
      if (!"HTTP/1.".startsWith(start)) {
        throw new SyntaxError(`Cannot read the answer: it begins with ${quote(start)}`);
      }
      return false;
    }
    const [first = "", ...lines] = decoder.decode(this.#pending.subarray(0, end)).split("\r\n");
    this.#pending = this.#pending.slice(end + 4);
    const match = /^HTTP\/1\.[01] ([1-5]\d\d)(?: .*)?$/.exec(first);
    if (match === null) throw new SyntaxError(`Cannot read the answer: it begins with ${quote(first)}`);
    this.#status = Number(match[1]);
    this.#headers = parseFields(lines);
    if (this.#status < 200) return true;
    this.#state = this.#framing();
    if (this.#state.kind === "fixed" && this.#state.left === 0) this.#finish();
    return true;
  }

  /** How the end of the body is told, RFC 9112 section 6.3. */
  #framing(): State {
    if (this.#status === 204 || this.#status === 304) return { kind: "fixed", left: 0 };
    const coding = this.#headers.get("transfer-encoding");
    if (coding !== null) {
      if (coding.toLowerCase() === "chunked") return { kind: "chunk-size" };
      throw new SyntaxError(`Cannot read the answer: unknown transfer-encoding ${quote(coding)}`);
    }
    const length = this.#headers.get("content-length");
    if (length === null) return { kind: "until-close" };
    const left = /^\d{1,15}$/.test(length) ? Number(length) : Number.NaN;
    if (!(left <= MAX_BODY)) {
      throw new SyntaxError(`Cannot read the answer: bad content-length ${quote(length)}`);
    }
    return { kind: "fixed", left };
  }

  #chunkSize(): boolean {
    const line = this.#line();
    if (line === undefined) return false;
    const match = /^([0-9a-fA-F]{1,8})[ \t]*(?:;.*)?$/.exec(line);
    if (match === null) throw new SyntaxError(`Cannot read the answer: bad chunk size ${quote(line)}`);
    const left = Number.parseInt(match[1]!, 16);
    this.#state = left === 0 ? { kind: "trailer" } : { kind: "chunk", left };
    return true;
  }

  #take(state: { kind: "fixed" | "chunk"; left: number }): boolean {
    if (this.#pending.length === 0) return false;
    const size = Math.min(state.left, this.#pending.length);
    this.#keep(size);
    state.left -= size;
    if (state.left > 0) return false;
    if (state.kind === "fixed") this.#finish();
    else this.#state = { kind: "chunk-end" };
    return true;
  }

  /** Moves bytes from what is pending to the body. */
  #keep(size: number): void {
    this.#bodySize += size;
    if (this.#bodySize > MAX_BODY) {
      throw new SyntaxError(`Cannot read the answer: it is longer than ${MAX_BODY} bytes`);
    }
    this.#body.push(this.#pending.slice(0, size));
    this.#pending = this.#pending.slice(size);
  }

  /** Takes a line off what is pending, without its end. */
  #line(): string | undefined {
    const end = indexOf(this.#pending, "\r\n");
    if (end < 0) {
      if (this.#pending.length > MAX_HEAD) {
        throw new SyntaxError(`Cannot read the answer: a line is longer than ${MAX_HEAD} bytes`);
      }
      return undefined;
    }
    const line = decoder.decode(this.#pending.subarray(0, end));
    this.#pending = this.#pending.slice(end + 2);
    return line;
  }

  #finish(): void {
    this.#complete.push({ status: this.#status, headers: this.#headers, body: concat(this.#body) });
    this.#body = [];
    this.#bodySize = 0;
    this.#state = { kind: "head" };
  }
}

function parseFields(lines: string[]): Headers {
  const headers = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon <= 0) throw new SyntaxError(`Cannot read the answer: bad header field ${quote(line)}`);
    try {
      headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
    } catch (cause) {
      throw new SyntaxError(`Cannot read the answer: bad header field ${quote(line)}`, { cause });
    }
  }
  return headers;
}

function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

function indexOf(bytes: Uint8Array, text: string): number {
  const first = text.charCodeAt(0);
  for (let at = bytes.indexOf(first); at >= 0; at = bytes.indexOf(first, at + 1)) {
    let same = 1;
    while (same < text.length && bytes[at + same] === text.charCodeAt(same)) same++;
    if (same === text.length) return at;
  }
  return -1;
}

function concat(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
