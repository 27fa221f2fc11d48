/**
 * The writing half of a connection that may have to cross an update in the middle of what it writes: at every moment it is
 * known which bytes the kernel has, and which it has not.
 *
 * A stream of the runtime does not tell: what it has been given counts as waiting until all of it is written. So bytes go to
 * the kernel directly, by send(2) on a duplicate of the descriptor; what the kernel does not take waits here. To hear when it
 * takes more, one byte is lent to the runtime's socket, whose length then says whether that byte is still here.
 *
 * Happy path: {@linkcode Outlet.write} sends at once, and nothing is kept.
 *
 * Unhappy paths:
 * 1. The other end does not read: bytes wait, `write` answers false, and `onDrain` is called when all of them are sent.
 * 2. The other end is gone: what waits is dropped and `onError` is called; by default the socket is destroyed.
 * 3. An update: {@linkcode Outlet.hold}, {@linkcode Outlet.pending} and {@linkcode Outlet.take} give what crosses. If the
 *    exec fails, {@linkcode Outlet.release} goes on as if nothing had been.
 *
 * @module
 */
import type { Socket } from "node:net";
import { clearTimeout, setTimeout } from "node:timers";

import type { OwnedFd } from "../../sys/owned_fd.ts";
import { sendNow } from "../../sys/socket.ts";
import { duplicateOf } from "../http/connection_set.ts";
import { handleOf } from "../http/runtime.ts";
import { joinBytes } from "./bytes.ts";

/** So many bytes may wait before `write` answers false. */
export const HIGH_WATER_BYTES = 64 * 1024;

/** Small pieces that wait are sent together, up to so many bytes at once. */
const BATCH_BYTES = 64 * 1024;

/** First and longest pause between two attempts where no byte can be lent (ms). */
const RETRY_MS = 5;
const LONGEST_RETRY_MS = 160;

/** The writing half of a connected socket. */
export class Outlet implements Disposable {
  readonly #socket: Socket;
  /** Null once it is closed. */
  #fd: OwnedFd | null;
  #queue: Uint8Array[] = [];
  #queued = 0;
  /** The byte that was lent to the runtime, until it says that it is written. */
  #lent: Uint8Array | null = null;
  #held = false;
  #ending = false;
  #disposed = false;
  #needsDrain = false;
  /** Since the last progress; 0 while nothing is retried. */
  #retryMs = 0;
  #retry: ReturnType<typeof setTimeout> | null = null;
  /** How many bytes were written here, and who waits until so many of them are the kernel's. */
  #written = 0;
  #waiting: { until: number; done: (error: Error | null) => void }[] = [];
  /** Called when all that waited is sent, after a `write` that answered false. */
  onDrain: (() => void) | null = null;
  /** Called once, when the connection turns out to be broken. By default the socket is destroyed. */
  onError: ((error: Error) => void) | null = null;

  /**
   * @param socket a connected socket; nobody else writes to it from now on
   * @param fd a duplicate of its descriptor; the outlet's from now on
   * @param pending bytes to be sent before all others; they wait for the first `write`, `end` or `release`
   */
  constructor(socket: Socket, fd: OwnedFd, pending?: Uint8Array) {
    this.#socket = socket;
    this.#fd = fd;
    if (pending !== undefined && pending.byteLength > 0) this.#put(pending);
    socket.once("close", () => this[Symbol.dispose]());
  }

  /**
   * Makes the outlet of a socket.
   *
   * @param socket a connected socket
   * @returns its outlet, or null if it has no descriptor that can be duplicated (TLS, closed)
   * @throws {SysError} EMFILE at the limit of open files
   */
  static of(socket: Socket): Outlet | null {
    const handle = handleOf(socket);
    return handle === null ? null : new Outlet(socket, duplicateOf(handle));
  }

  /** How many bytes wait here. */
  get queued(): number {
    return this.#queued + (this.#lentWaits() ? 1 : 0);
  }

  /**
   * Has something been given to the runtime's socket that cannot be taken along: bytes that somebody wrote there before, an
   * end that is under way?
   */
  get owing(): boolean {
    const socket = this.#socket;
    if (socket.destroyed) return false;
    return socket.writableLength > (this.#lent === null ? 0 : 1) ||
      (socket.writableEnded && !socket.writableFinished);
  }

  /** Was {@linkcode Outlet.end} called? */
  get ending(): boolean {
    return this.#ending;
  }

  /**
   * Sends bytes, in order, as soon as the kernel takes them. They must stay as they are until then.
   *
   * @param bytes what to send
   * @returns false if more waits now than {@linkcode HIGH_WATER_BYTES}, or the connection is closed
   */
  write(bytes: Uint8Array): boolean {
    if (this.#disposed || this.#ending) return false;
    this.#put(bytes);
    this.#flush();
    if (this.#disposed) return false;
    this.#needsDrain ||= this.#queued > HIGH_WATER_BYTES;
    return this.#queued <= HIGH_WATER_BYTES;
  }

  /**
   * Waits until all that is written so far is the kernel's.
   *
   * @param done called then with null, or with an error if it never will be
   */
  whenSent(done: (error: Error | null) => void): void {
    if (this.#disposed) return done(closed());
    this.#waiting.push({ until: this.#written, done });
    this.#tell();
  }

  /** All bytes that the kernel has not taken, in order. */
  pending(): Uint8Array {
    const lent = this.#lentWaits() && this.#lent !== null ? [this.#lent] : [];
    return joinBytes([...lent, ...this.#queue]);
  }

  /** Sends what waits, then says to the other end that nothing more comes. */
  end(): void {
    if (this.#disposed || this.#ending) return;
    this.#ending = true;
    this.#flush();
  }

  /** Sends nothing from now on; what is written waits. A byte that is lent may still go. */
  hold(): void {
    this.#held = true;
    this.#stopRetrying();
  }

  /** Sends again, first what waits. */
  release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#flush();
  }

  /**
   * Duplicates the descriptor, for an update. Changes nothing.
   *
   * @returns a duplicate, the caller's
   * @throws {TypeError} if the connection is closed
   * @throws {SysError} EMFILE at the limit of open files
   */
  take(): OwnedFd {
    if (this.#fd === null) throw new TypeError("Cannot use a connection: it is closed");
    return this.#fd.dup();
  }

  /** Drops what waits and destroys the socket. */
  destroy(): void {
    this[Symbol.dispose]();
    this.#socket.destroy();
  }

  /** Drops what waits and closes the duplicate; the socket stays as it is. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#stopRetrying();
    this.#queue = [];
    this.#queued = 0;
    this.#lent = null;
    this.#fd?.[Symbol.dispose]();
    this.#fd = null;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { done } of waiting) done(closed());
  }

  #put(bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return;
    this.#queue.push(bytes);
    this.#queued += bytes.byteLength;
    this.#written += bytes.byteLength;
  }

  #lentWaits(): boolean {
    return this.#lent !== null && this.#socket.writableLength > 0;
  }

  #flush(): void {
    if (this.#held || this.#lent !== null || this.#retry !== null || this.#disposed || this.#fd === null) {
      return;
    }
    // What somebody else wrote to the socket goes first, and a byte that is lent goes behind it.
    let isBlocked = this.#socket.writableLength > 0;
    try {
      while (!isBlocked && this.#queued > 0) isBlocked = !this.#send(this.#fd);
    } catch (error) {
      return this.#fail(error);
    }
    if (isBlocked && this.#queued > 0) this.#wait();
    this.#tell();
  }

  /** Sends one batch; false if the kernel did not take all of it. */
  #send(fd: OwnedFd): boolean {
    let count = 1;
    let size = this.#queue[0]?.byteLength ?? 0;
    while (count < this.#queue.length && size + this.#queue[count]!.byteLength <= BATCH_BYTES) {
      size += this.#queue[count++]!.byteLength;
    }
    const batch = joinBytes(this.#queue.slice(0, count));
    const sent = sendNow(fd.fd, batch);
    if (sent > 0) this.#retryMs = 0;
    this.#queued -= sent;
    if (sent === size) this.#queue.splice(0, count);
    else if (sent > 0) this.#queue.splice(0, count, batch.subarray(sent));
    return sent === size;
  }

  /** The kernel's buffer is full: waits until it takes more. */
  #wait(): void {
    // Without having read anything, the runtime takes the other end's half-close for the end of the connection, and
    // destroys what it has been given to write. Such a socket gets nothing to write.
    if (this.#socket.allowHalfOpen && this.#socket.bytesRead === 0 && this.#socket.writableLength === 0) {
      this.#retryMs = Math.min(Math.max(RETRY_MS, this.#retryMs * 2), LONGEST_RETRY_MS);
      this.#retry = setTimeout(() => {
        this.#retry = null;
        this.#flush();
      }, this.#retryMs);
      return;
    }
    const first = this.#queue[0]!;
    // A copy: this byte is the runtime's now.
    const lent = new Uint8Array(first.slice(0, 1));
    if (first.byteLength === 1) this.#queue.shift();
    else this.#queue[0] = first.subarray(1);
    this.#queued--;
    this.#lent = lent;
    this.#socket.write(lent, (error) => {
      if (this.#disposed) return;
      this.#lent = null;
      if (error) this.#fail(error);
      else this.#flush();
    });
  }

  /** Tells those who wait that their bytes are sent, and ends the connection if that was asked for. */
  #tell(): void {
    const sent = this.#written - this.#queued - (this.#lent === null ? 0 : 1);
    while (this.#waiting.length > 0 && this.#waiting[0]!.until <= sent) this.#waiting.shift()!.done(null);
    if (this.#queued > 0 || this.#lent !== null || this.#held || this.#disposed) return;
    if (this.#ending && !this.#socket.writableEnded) this.#socket.end();
    if (!this.#needsDrain) return;
    this.#needsDrain = false;
    this.onDrain?.();
  }

  #fail(reason: unknown): void {
    if (this.#disposed) return;
    const error = reason instanceof Error ? reason : new Error(String(reason));
    this[Symbol.dispose]();
    if (this.onError === null) this.#socket.destroy();
    else this.onError(error);
  }

  #stopRetrying(): void {
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = null;
  }
}

function closed(): Error {
  return new Error("Cannot write to a connection: it is closed");
}
