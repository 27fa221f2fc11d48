/**
 * The beginning of a request that has not come in whole: the bytes that the parser has read since the last answer, so that
 * the next build can read them again. A client that writes slowly then does not hold up an update.
 *
 * The runtime reads natively from the kernel into its parser; nobody sees the bytes. So each connection reads into a buffer
 * of its own, in which the last chunk can be found afterwards, and a connection whose head takes more than one chunk is
 * read through JavaScript from the second chunk on. A request that comes in one chunk, as nearly all do, costs nothing but
 * a look at two counters.
 *
 * Happy path: {@linkcode HeadKeeper.began} at the first byte of a message, {@linkcode HeadKeeper.ended} at its end,
 * {@linkcode HeadKeeper.bytes} in between.
 *
 * Unhappy paths: a message that begins in a chunk behind the end of a body that began before it, more than a head may have,
 * or a runtime that does not let itself be looked at: `bytes` is null, and the connection owes until its head is whole.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { setImmediate } from "node:timers";

import {
  countBegins,
  type ReadBuffer,
  readBufferOf,
  type RequestParser,
  type StreamHandle,
} from "./runtime.ts";

/** More than the runtime accepts as a head; what is longer is answered with an error anyway. */
const MAX_HEAD_BYTES = 64 * 1024;

/** Keepers whose message has begun in this turn of the event loop. */
let begun: HeadKeeper[] = [];

/** Whose parser is fed by JavaScript at this moment, and with what. */
const keepers = new WeakMap<Socket, HeadKeeper>();
const wrapped = new WeakSet<RequestParser>();

/** Keeps the head of the request that a connection is receiving. */
export class HeadKeeper {
  readonly #socket: Socket;
  readonly #handle: StreamHandle;
  readonly #parser: RequestParser;
  readonly #buffer: ReadBuffer | null;
  /** Where the last message began and ended: numbers of the chunk. */
  #beganIn = 0;
  #endedIn = 0;
  /** How many messages began in the chunks that are kept before this one; -1 where it begins cannot be found. */
  #before = 0;
  /** The chunks since one that begins with a message; null while there is only that one, which was read natively. */
  #chunks: Uint8Array[] | null = null;
  /** Those of a message that ended in a later chunk than it began in: the next one begins behind it. */
  #past: Uint8Array[] | null = null;
  /** The chunk that JavaScript gives to the parser now. */
  #feeding: Uint8Array | null = null;
  #fed = 0;
  #native = true;
  #open = false;

  /**
   * @param socket a connection that was just accepted
   * @param handle its handle
   * @param parser its parser
   */
  constructor(socket: Socket, handle: StreamHandle, parser: RequestParser) {
    this.#socket = socket;
    this.#handle = handle;
    this.#parser = parser;
    this.#buffer = readBufferOf(socket, handle, parser);
    keepers.set(socket, this);
  }

  /** The parser has begun a message. */
  began(): void {
    if (this.#buffer === null) return;
    const chunk = this.#chunk();
    if (chunk === this.#beganIn) {
      if (this.#before >= 0) this.#before++;
    } else if (chunk === this.#endedIn) {
      this.#before = this.#past === null ? -1 : this.#before + 1;
    } else {
      this.#before = 0;
      this.#past = null;
    }
    this.#beganIn = chunk;
    this.#chunks = this.#past ?? (this.#feeding === null ? null : [this.#feeding]);
    this.#open = true;
    if (this.#native && begun.push(this) === 1) setImmediate(lookAtBegun);
  }

  /** The parser has completed a message. */
  ended(): void {
    if (this.#buffer === null) return;
    const chunk = this.#chunk();
    if (chunk !== this.#beganIn) this.#past = this.#before < 0 ? null : this.#chunks;
    this.#open = false;
    this.#chunks = null;
    this.#endedIn = chunk;
  }

  /** The bytes since the message began, or null where they are not known. */
  bytes(): Uint8Array | null {
    this.#look();
    // A message behind the end of another one: nothing tells where it begins.
    if (!this.#open || this.#chunks === null || this.#before < 0) return null;
    const all = Buffer.concat(this.#chunks);
    const start = this.#before === 0 ? 0 : startOf(this.#parser, all, this.#before + 1);
    const head = start === null ? null : all.subarray(start);
    return head !== null && head.byteLength > MAX_HEAD_BYTES ? null : head;
  }

  /**
   * Reads bytes as if they had just come.
   *
   * @param bytes the beginning of a request
   */
  replay(bytes: Uint8Array): void {
    this.#readByHand();
    this.#socket.emit("data", Buffer.from(bytes));
  }

  /** Takes part in what JavaScript gives to the parser. */
  feed<T>(chunk: Uint8Array, execute: () => T): T {
    this.#feeding = chunk;
    this.#fed--;
    if (this.#open) this.#chunks?.push(chunk);
    try {
      return execute();
    } finally {
      this.#feeding = null;
      // The head is whole: what comes now is the body, which is nobody's to keep.
      if (!isInHead(this.#parser)) this.#chunks = null;
      else if (this.#open && this.#past !== null) this.#forgetPast();
      this.#past = null;
    }
  }

  /** A client whose requests never end where a chunk ends must not make the chunks pile up. */
  #forgetPast(): void {
    const head = this.bytes();
    this.#chunks = head === null ? null : [Uint8Array.from(head)];
    this.#before = head === null ? -1 : 0;
  }

  /** Is the message of this turn still incomplete? Then the chunk that has come is kept, and what follows is read by hand. */
  look(isHead: (parser: RequestParser) => boolean): void {
    if (this.#open && isHead(this.#parser)) this.#look();
  }

  #look(): void {
    if (!this.#open || !this.#native || this.#buffer === null || this.#socket.destroyed) return;
    // Something more has been read since: the beginning is gone.
    if (this.#handle.getBytesRead() === this.#beganIn) this.#chunks = [this.#buffer.lastChunk()];
    this.#readByHand();
  }

  /** Each chunk has a number: the bytes that were read up to its end, or a negative one for those that are fed. */
  #chunk(): number {
    return this.#feeding === null ? this.#handle.getBytesRead() : this.#fed;
  }

  #readByHand(): void {
    if (!this.#native || this.#buffer === null) return;
    this.#native = false;
    wrapExecute(this.#parser);
    this.#parser.unconsume();
  }
}

/** At the end of the turn: whose head is not whole? */
function lookAtBegun(): void {
  const all = begun;
  begun = [];
  for (const keeper of all) keeper.look(isInHead);
}

/**
 * Is a parser in the middle of a head? It makes the message when the head is whole.
 *
 * @param parser a parser that has begun a message and not completed it
 */
export function isInHead(parser: RequestParser): boolean {
  return parser.incoming?.complete ?? true;
}

/** The runtime's parsers are pooled: one that is wrapped stays so, and finds its keeper by the socket that it serves. */
function wrapExecute(parser: RequestParser): void {
  if (wrapped.has(parser)) return;
  wrapped.add(parser);
  const original = parser.execute;
  parser.execute = function (this: RequestParser, chunk: Uint8Array): unknown {
    const keeper = this.socket === null ? undefined : keepers.get(this.socket);
    if (keeper === undefined) return original.call(this, chunk);
    return keeper.feed(chunk, () => original.call(this, chunk));
  };
}

/** Where message number `wanted` begins: the shortest beginning in which a parser finds so many messages ends there. */
function startOf(parser: RequestParser, bytes: Uint8Array, wanted: number): number | null {
  let low = 1;
  let high = bytes.byteLength;
  if ((countBegins(parser, bytes) ?? 0) < wanted) return null;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((countBegins(parser, bytes.subarray(0, middle)) ?? 0) >= wanted) high = middle;
    else low = middle + 1;
  }
  return low - 1;
}
