/**
 * The tap of one socket: closed, what arrives stays in the kernel, where it survives an exec, and no timer closes the
 * connection for its silence. The stream above notices nothing: whether it flows, is paused or has no listener yet is
 * the same before and after, because only the way from the kernel to the handle is shut. (`socket.pause()` would not do:
 * `node:http` resumes a socket on its own after a request, and `socket.resume()` makes a stream flow that the
 * application had not started.)
 *
 * Happy path: {@linkcode Tap.close}, then either an exec or {@linkcode Tap.open}.
 *
 * Unhappy path: the socket is destroyed meanwhile: {@linkcode Tap.open} does nothing.
 *
 * @module
 */

import type { Socket } from "node:net";

import type { StreamHandle } from "./runtime.ts";

/** Stops and restarts what a socket reads from the kernel. */
export class Tap {
  readonly #socket: Socket;
  readonly #handle: StreamHandle;
  readonly #readStart: () => number;
  #closed = false;
  #timeout = 0;

  /**
   * An open tap.
   *
   * @param socket a connected socket
   * @param handle its handle
   */
  constructor(socket: Socket, handle: StreamHandle) {
    this.#socket = socket;
    this.#handle = handle;
    this.#readStart = handle.readStart;
  }

  /** True between {@linkcode Tap.close} and {@linkcode Tap.open}. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Reads nothing from now on, not even the rest of what this turn of the event loop would have read. Called again, it
   * also disarms a timer that was armed since.
   */
  close(): void {
    if (!this.#closed) {
      this.#closed = true;
      // An own property shadows the method of the prototype: whoever wants to read finds a tap that gives nothing.
      this.#handle.readStart = giveNothing;
      if (!this.#socket.destroyed) this.#handle.readStop();
    }
    const timeout = this.#socket.timeout ?? 0;
    if (timeout > 0) {
      this.#timeout = timeout;
      this.#socket.setTimeout(0);
    }
  }

  /**
   * Sets how long the socket may be silent before its `timeout` event; with a closed tap, from its opening on.
   *
   * @param milliseconds 0 for ever
   */
  setTimeout(milliseconds: number): void {
    if (this.#closed) this.#timeout = milliseconds;
    else this.#socket.setTimeout(milliseconds);
  }

  /** Reads again if the stream wants to, and gives an idle connection its full time anew. */
  open(): void {
    if (!this.#closed) return;
    this.#closed = false;
    this.#handle.readStart = this.#readStart;
    const timeout = this.#timeout;
    this.#timeout = 0;
    const socket = this.#socket;
    if (socket.destroyed) return;
    if (timeout > 0) socket.setTimeout(timeout);
    if (this.#handle.reading && !socket.readableEnded && this.#handle.readStart() !== 0) socket.destroy();
  }
}

function giveNothing(): number {
  return 0;
}
