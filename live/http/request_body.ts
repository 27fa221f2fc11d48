/**
 * The body of a request as a web stream. It is lazy: nothing is taken from the connection before the handler reads, and
 * then no more than it reads, but for a buffer of 64 KiB. Chunks are handed on without a copy.
 *
 * Happy path: the handler reads to the end, and the stream closes.
 *
 * Unhappy paths:
 * 1. The client leaves in the middle: the stream fails with what the connection says.
 * 2. The handler does not read, or cancels: {@linkcode RequestBody.abandon} throws the rest away, so that the next request
 *    of the connection can be read.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";

/** How much may wait for a handler that reads more slowly than the client sends (bytes). */
const BUFFERED = 65_536;

/** One request's body. */
export class RequestBody {
  /** What the handler reads. */
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly #request: IncomingMessage;
  #started = false;
  #over = false;

  /**
   * The body of a request that has one.
   *
   * @param request a request of which nothing was read yet
   */
  constructor(request: IncomingMessage) {
    this.#request = request;
    this.stream = new ReadableStream({
      type: "bytes",
      pull: (controller) => this.#pull(controller),
      cancel: () => this.#discard(),
    }, { highWaterMark: 0 });
  }

  /** The answer is complete: what the handler has not begun to read, nobody will. */
  abandon(): void {
    if (!this.#started || !this.stream.locked) this.#discard();
  }

  #pull(controller: ReadableByteStreamController): void {
    if (this.#over) return controller.error(new TypeError("Cannot read the body: the request is over"));
    if (!this.#started) this.#start(controller);
    this.#request.resume();
  }

  #start(controller: ReadableByteStreamController): void {
    this.#started = true;
    const request = this.#request;
    if (request.destroyed) return this.#fail(controller, request.errored);
    request.on("data", (chunk: Buffer) => {
      if (this.#over) return;
      controller.enqueue(ownBytes(chunk));
      if ((controller.desiredSize ?? 0) <= -BUFFERED) request.pause();
    });
    request.once("end", () => {
      if (this.#over) return;
      this.#over = true;
      controller.close();
      controller.byobRequest?.respond(0);
    });
    request.once("error", (error) => this.#fail(controller, error));
    request.once("close", () => this.#fail(controller, null));
  }

  #fail(controller: ReadableByteStreamController, error: Error | null): void {
    if (this.#over) return;
    this.#over = true;
    controller.error(error ?? new DOMException("The client left before the body was complete", "AbortError"));
  }

  #discard(): void {
    this.#over = true;
    this.#request.resume();
  }
}

/** The bytes in a buffer of their own, which a byte stream takes away from whoever else looks at it. */
function ownBytes(chunk: Buffer): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, byteLength } = chunk;
  const whole = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
  return whole ? new Uint8Array(buffer, byteOffset, byteLength) : new Uint8Array(chunk);
}
