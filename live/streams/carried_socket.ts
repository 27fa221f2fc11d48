/**
 * A connection as a stream of `node:stream`, for whoever speaks a protocol on it (the package `ws`, an application), that can
 * cross an update at any moment: what was read and not taken yet, and what was written and is not the kernel's yet, crosses
 * with the descriptor. It looks like a `net.Socket`.
 *
 * Happy path: {@linkcode CarriedSocket.over} a socket that a server has accepted. At an update `hold()`, `carry()`, exec; the
 * next build makes the same stream with {@linkcode CarriedSocket.adopt}, and opens it with `release()`.
 *
 * Unhappy paths:
 * 1. The exec fails: `release()`. Nothing was taken out, so nothing has to be put back.
 * 2. The stream is corked, or somebody has written to the socket underneath: `owing`, until that is over.
 * 3. An encoding (`setEncoding`): refused, because half a character would be lost at an update.
 *
 * Not carried: what a consumer has taken out and not dealt with, which is its own affair.
 *
 * @module
 */
import type { Socket } from "node:net";
import { Duplex } from "node:stream";

import type { OwnedFd } from "../../sys/owned_fd.ts";
import { type About, streamOf } from "../http/connections.ts";
import { duplicateOf } from "../http/connection_set.ts";
import { handleOf } from "../http/runtime.ts";
import { Tap } from "../http/tap.ts";
import { untap } from "../http/untap.ts";
import { joinBytes } from "./bytes.ts";
import { HIGH_WATER_BYTES, Outlet } from "./outlet.ts";
import { SocketLook } from "./socket_look.ts";

/** How a connection is treated. */
export interface CarriedSocketOptions {
  /** May this end go on writing when the other end has finished? @default {false} */
  allowHalfOpen?: boolean;
}

/** What of a connection crosses an update. */
export interface CarriedAlong {
  /** The descriptor; the caller's. */
  fd: OwnedFd;
  /** What was read from the kernel and not taken by the consumer, in order. */
  input: Uint8Array;
  /** What was written and not taken by the kernel, in order. */
  output: Uint8Array;
  /** Was the end of what is written said already? Then the next build calls `end()`. */
  ended: boolean;
}

type Callback = (error?: Error | null) => void;

/** A connection that can cross an update. */
export class CarriedSocket extends SocketLook {
  readonly #outlet: Outlet;
  readonly #tap: Tap;
  /** What was given to the readable half last; its end is what the consumer has not taken. */
  #given: Uint8Array[] = [];
  /** What is to be read before anything else, once the connection is released. */
  #replay: Uint8Array | null = null;
  #held = false;
  #needsDrain = false;

  private constructor(socket: Socket, outlet: Outlet, tap: Tap, options: CarriedSocketOptions) {
    super(socket, { allowHalfOpen: options.allowHalfOpen ?? false });
    this.#outlet = outlet;
    this.#tap = tap;
    // The end of the other side is the end of this one only when all that waits is sent.
    socket.allowHalfOpen = true;
    outlet.onDrain = () => this.#drained();
    outlet.onError = (error) => this.destroy(error);
    socket.on("data", (chunk: Uint8Array) => {
      this.#lively();
      if (!this.#give(chunk)) socket.pause();
    });
    socket.on("end", () => this.push(null));
    socket.on("error", (error) => this.destroy(error));
    socket.on("close", () => this.destroy());
    const show = (name: string, get: () => unknown): void => {
      Object.defineProperty(this, name, { get, configurable: true });
    };
    show("writableLength", () => this.#corked() + outlet.queued);
    show("writableNeedDrain", () => this.#needsDrain && !this.destroyed && !this.writableEnded);
  }

  /**
   * Makes the stream of a connection. Nobody else uses the socket from then on.
   *
   * @param socket a connected socket of the runtime
   * @param options how it is treated
   * @returns the stream, which reads and writes at once
   * @throws {TypeError} if the socket is closed or is none that can be carried (TLS)
   * @throws {SysError} EMFILE at the limit of open files
   */
  static over(socket: Socket, options: CarriedSocketOptions = {}): CarriedSocket {
    const handle = handleOf(socket);
    if (handle === null) {
      throw new TypeError("Cannot carry a connection: it is closed, or none of the kernel's");
    }
    const outlet = new Outlet(socket, duplicateOf(handle));
    // In an update, a server that gives the connection up may have closed its tap.
    untap(handle);
    const carried = new CarriedSocket(socket, outlet, new Tap(socket, handle), options);
    socket.resume();
    return carried;
  }

  /**
   * Makes the stream of a connection that was handed over. It is held: nothing is read, given or sent until it is released.
   *
   * @param fd its descriptor; the stream's if this returns
   * @param about what crossed beside it: `input` is read before anything else, `output` is sent before anything else
   * @param options how it is treated
   * @throws {TypeError} if no stream can be made of it
   * @throws {SysError} EMFILE at the limit of open files
   */
  static adopt(fd: OwnedFd, about: About | null, options: CarriedSocketOptions = {}): CarriedSocket {
    using undo = new DisposableStack();
    const duplicate = undo.use(fd.dup());
    const socket = streamOf(fd, true);
    const handle = handleOf(socket);
    if (handle === null) throw new TypeError("Cannot carry a connection: the runtime gives it no handle");
    const outlet = new Outlet(socket, duplicate, about?.output);
    undo.move();
    const carried = new CarriedSocket(socket, outlet, new Tap(socket, handle), options);
    carried.hold();
    if (about?.input !== undefined && about.input.byteLength > 0) carried.#replay = about.input;
    return carried;
  }

  /** Could it not cross at this moment? */
  get owing(): boolean {
    return this.#outlet.owing || this.#corked() > 0;
  }

  /** How many bytes were written and are not the kernel's yet. */
  get queued(): number {
    return this.#outlet.queued;
  }

  /** Neither reads nor sends from now on. What was read already is still given to the consumer. */
  hold(): void {
    this.#held = true;
    this.#tap.close();
    this.#outlet.hold();
    this.rest();
    // What the runtime's socket has read comes to this side, where it can be looked at.
    while (!this.socket.destroyed && this.socket.readableLength > 0 && this.socket.read() !== null);
  }

  /** Reads and sends again. */
  release(): void {
    if (!this.#held) return;
    this.#held = false;
    const replay = this.#replay;
    this.#replay = null;
    if (replay !== null) this.#give(replay);
    this.#outlet.release();
    if (this.destroyed) return;
    this.#tap.open();
    this.#lively();
  }

  /**
   * What would cross beside the descriptor at this moment. Changes nothing.
   *
   * @returns `input`, `output` and `ended` as {@linkcode CarriedSocket.carry} gives them
   */
  describe(): Omit<CarriedAlong, "fd"> {
    return { input: this.#input(), output: this.#outlet.pending(), ended: this.writableEnded };
  }

  /**
   * Takes what crosses, of a connection that is held and owes nothing. Changes nothing: if the exec fails, `release()` goes on
   * as before.
   *
   * @returns the descriptor and what crosses beside it
   * @throws {TypeError} if it is closed
   */
  carry(): CarriedAlong {
    return { ...this.describe(), fd: this.duplicate() };
  }

  /**
   * Duplicates the descriptor, for whoever has described the rest already.
   *
   * @returns the duplicate, the caller's
   * @throws {TypeError} if it is closed
   */
  duplicate(): OwnedFd {
    return this.#outlet.take();
  }

  /** @throws {TypeError} always */
  override setEncoding(_encoding: string): this {
    throw new TypeError(
      "Cannot set an encoding: half a character would be lost at an update; decode what is read",
    );
  }

  /** Puts back what was taken too much. */
  override unshift(chunk: Uint8Array): void {
    this.#trim();
    this.#given.unshift(chunk);
    super.unshift(chunk);
  }

  /** Writes, like any stream; the callback comes when the kernel has it all. */
  override write(chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
    const done = (typeof encoding === "function" ? encoding : callback) as Callback | undefined;
    const coding = (typeof encoding === "string" ? encoding : "utf8") as BufferEncoding;
    if (this.writableEnded || this.destroyed || done === undefined) super.write(chunk, coding, done);
    else super.write(chunk, coding, (error) => error ? done(error) : this.#outlet.whenSent(done));
    if (this.#outlet.queued <= HIGH_WATER_BYTES) return !this.writableEnded && !this.destroyed;
    this.#needsDrain = true;
    return false;
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, callback: Callback): void {
    this.#lively();
    this.#outlet.write(chunk);
    // What waits, waits in the outlet: there it can be looked at.
    callback();
  }

  override _final(callback: Callback): void {
    const socket = this.socket;
    const ended = (): void => callback();
    if (socket.destroyed) return callback();
    socket.once("finish", ended);
    this.#outlet.end();
  }

  override _read(): void {
    this.socket.resume();
  }

  override _destroy(error: Error | null, callback: Callback): void {
    this.rest();
    this.#given = [];
    this.#outlet.destroy();
    callback(error);
  }

  #give(chunk: Uint8Array): boolean {
    this.#given.push(chunk);
    const more = this.push(chunk);
    this.#trim();
    return more;
  }

  /** Forgets what the consumer has taken. */
  #trim(): void {
    let size = this.#given.reduce((sum, { byteLength }) => sum + byteLength, 0);
    while (this.#given.length > 0 && size - this.#given[0]!.byteLength >= this.readableLength) {
      size -= this.#given.shift()!.byteLength;
    }
  }

  #input(): Uint8Array {
    const given = joinBytes(this.#given);
    const waiting = given.subarray(given.byteLength - this.readableLength);
    return this.#replay === null ? waiting : joinBytes([waiting, this.#replay]);
  }

  /** What is written while the stream is corked. */
  #corked(): number {
    return Reflect.get(Duplex.prototype, "writableLength", this) as number;
  }

  #lively(): void {
    if (!this.#held) this.touch();
  }

  #drained(): void {
    if (!this.#needsDrain || this.destroyed || this.writableEnded) return;
    this.#needsDrain = false;
    this.emit("drain");
  }
}
