/**
 * The body of a request: as a web stream, or all of it at once, which is what most handlers want and takes a fraction of
 * the time. It is lazy: nothing is taken from the connection before the handler reads, and the stream takes no more than it
 * reads, but for a buffer of 64 KiB. Chunks are handed on without a copy.
 *
 * Happy path: the handler reads to the end.
 *
 * Unhappy paths:
 * 1. The client leaves in the middle: the stream, or the promise, fails with what the connection says.
 * 2. The handler does not read, or cancels: {@linkcode RequestBody.abandon} throws the rest away, so that the next request
 *    of the connection can be read.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";

/** How much may wait for a handler that reads more slowly than the client sends (bytes). */
const BUFFERED = 65_536;

/** Bytes in a buffer of their own. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** One request's body. */
export class RequestBody {
  readonly #request: IncomingMessage;
  #stream: ReadableStream<Bytes> | null = null;
  #started = false;
  #collected = false;
  #over = false;

  /**
   * The body of a request that may have one.
   *
   * @param request a request of which nothing was read yet
   */
  constructor(request: IncomingMessage) {
    this.#request = request;
  }

  /** The body as a stream. Behind {@linkcode RequestBody.collect} there is nothing left in it. */
  get stream(): ReadableStream<Bytes> {
    return this.#stream ??= new ReadableStream({
      type: "bytes",
      pull: (controller) => this.#pull(controller),
      cancel: () => this.#discard(),
    }, { highWaterMark: 0 });
  }

  /**
   * Reads all of it. Only before anybody has looked at the stream, and only once.
   *
   * @param make makes the result of the bytes, which may share their buffer with others: see {@linkcode ownBytes}
   * @returns the result
   * @throws what the connection says when the client leaves in the middle, or what `make` throws
   */
  collect<T>(make: (bytes: Uint8Array) => T): Promise<T> {
    this.#collected = true;
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      this.#listen({
        data: (chunk) => void chunks.push(chunk),
        end: () => {
          try {
            resolve(make(joined(chunks)));
          } catch (error) {
            reject(error);
          }
        },
        fail: reject,
      });
      if (!this.#over) this.#request.resume();
    });
  }

  /** The answer is complete: what the handler has not begun to read, nobody will. */
  abandon(): void {
    if (!this.#started || (this.#stream !== null && !this.#stream.locked)) this.#discard();
  }

  #pull(controller: ReadableByteStreamController): void {
    if (this.#collected) {
      controller.close();
      return controller.byobRequest?.respond(0);
    }
    if (!this.#started) {
      this.#listen({
        data: (chunk) => {
          controller.enqueue(ownBytes(chunk));
          if ((controller.desiredSize ?? 0) <= -BUFFERED) this.#request.pause();
        },
        end: () => {
          controller.close();
          controller.byobRequest?.respond(0);
        },
        fail: (error) => controller.error(error),
      });
    }
    if (!this.#over) this.#request.resume();
  }

  #listen({ data, end, fail }: Listeners): void {
    if (this.#over) return fail(new TypeError("Cannot read the body: the request is over"));
    this.#started = true;
    const request = this.#request;
    const close = (error: Error | null): void => {
      if (this.#over) return;
      this.#over = true;
      fail(error ?? new DOMException("The client left before the body was complete", "AbortError"));
    };
    const finish = (): void => {
      if (this.#over) return;
      this.#over = true;
      end();
    };
    if (request.readableEnded) return finish();
    if (request.destroyed) return close(request.errored);
    request.on("data", (chunk: Buffer) => {
      if (!this.#over) data(chunk);
    });
    // Not `once`, which makes more of each: only the first of them counts anyway.
    request.on("end", finish);
    request.on("error", close);
    request.on("close", () => close(null));
  }

  #discard(): void {
    this.#over = true;
    this.#request.resume();
  }
}

/** Who is told of a body. Of `end` and `fail` one comes, once. */
interface Listeners {
  data(chunk: Buffer): void;
  end(): void;
  fail(error: unknown): void;
}

/**
 * The bytes in a buffer of their own, which a byte stream takes away from whoever else looks at it.
 *
 * @param chunk some bytes
 * @returns the same bytes, a copy where they share their buffer with others
 */
export function ownBytes(chunk: Uint8Array): Bytes {
  const { buffer, byteOffset, byteLength } = chunk;
  const whole = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
  return whole ? new Uint8Array(buffer, byteOffset, byteLength) : new Uint8Array(chunk);
}

function joined(chunks: readonly Buffer[]): Uint8Array {
  const [only] = chunks;
  if (only !== undefined && chunks.length === 1) return only;
  const all = new Uint8Array(chunks.reduce((length, { byteLength }) => length + byteLength, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.byteLength;
  }
  return all;
}
