/**
 * The connections of a `node:net` server. What is spoken on them is the application's affair: nobody here knows whether
 * something is owed to the other end. What is known is whether bytes lie in user space, read but not taken by the
 * application, or written but not yet in the kernel; these would be lost, so such a connection is `owing`.
 *
 * Happy path: as in `connections.ts`. A pause shuts every connection at once; the application takes what it has got and
 * writes what it has to write, and then the connection is clean.
 *
 * Not carried: TLS. Such connections are ended politely, or refuse the update (`uncarried.ts`).
 *
 * Unhappy paths:
 * 1. The application does not read, or the other end does not: the connection owes until one of them goes on.
 * 2. The application keeps half a message of its protocol in a variable: it has to save that itself (`quiesce` event).
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Server, Socket } from "node:net";

import type { OwnedFd } from "../../sys/owned_fd.ts";
import { ConnectionSet } from "./connection_set.ts";
import { type About, type Connections, type Phase, streamOf, type Taken } from "./connections.ts";
import type { Leave, Leaver } from "./parting.ts";
import { handleOf } from "./runtime.ts";
import { Tap } from "./tap.ts";
import type { Uncarried } from "./uncarried.ts";

/** Watches the connections of one server that does not speak HTTP. */
export class RawConnections implements Connections {
  readonly #server: Server;
  readonly #set = new ConnectionSet<RawConnection>();
  /** Those that do not cross as they are; null where all do. */
  readonly uncarried: Uncarried<Leaver> | null;

  /**
   * Watches all connections that the server gets from now on.
   *
   * @param server a server that is not listening yet
   * @param uncarried takes care of those that do not cross as they are; null where all do
   */
  constructor(server: Server, uncarried: Uncarried<Leaver> | null = null) {
    this.#server = server;
    this.uncarried = uncarried;
    uncarried?.watch(this.#set);
    const event = uncarried?.isSecure ? "secureConnection" : "connection";
    server.on(event, (socket: Socket) => this.#set.add(new RawConnection(socket, uncarried)));
  }

  /** How many connections there are. */
  get size(): number {
    return this.#set.size + (this.uncarried?.waiting ?? 0);
  }

  /** How many of them have bytes in user space. */
  get owing(): number {
    return this.#set.owing;
  }

  /** Reads nothing more from any connection. */
  pause(): void {
    this.uncarried?.begin();
    this.#set.pause();
  }

  /** Reads again, where the application wants to. */
  resume(): void {
    this.#set.resume();
    this.uncarried?.end();
  }

  /**
   * Waits until, during a pause, no connection has bytes in user space. Look at {@linkcode RawConnections.owing} again in
   * the turn in which you rely on it.
   *
   * @returns at that moment; pending for as long as there is no pause
   */
  settled(): Promise<void> {
    return this.#set.settled();
  }

  /**
   * When the pause began.
   *
   * @returns nanoseconds on `CLOCK_MONOTONIC`, or null without a pause
   */
  stalledSinceNs(): bigint | null {
    return this.#set.stalledSinceNs();
  }

  /**
   * Ends the connections that have bytes in user space.
   *
   * @returns how many were closed
   */
  closeOwing(): number {
    return this.#set.closeOwing();
  }

  /**
   * Duplicates the descriptors of the clean connections. The originals stay as they are, and close at the exec.
   *
   * @param most how many at most; all of them if absent
   * @returns close-on-exec descriptors, in the order in which the connections came; the caller owns them
   * @throws {SysError} EMFILE at the limit of open files; then none is taken
   */
  takeDescriptors(most?: number): Taken[] {
    return this.#set.takeDescriptors(most, this.uncarried);
  }

  /**
   * Makes a connected socket a connection of this server, which owns the descriptor then.
   *
   * @param fd a connected stream socket
   * @param about bytes of a connection that was one of `live.listen` before: read, and written, before anything else
   * @throws {TypeError} if it is disposed, or no stream can be made of it; then it stays the caller's
   */
  adopt(fd: OwnedFd, about: About | null = null): void {
    const { allowHalfOpen } = this.#server as Server & { allowHalfOpen?: boolean };
    const socket = streamOf(fd, allowHalfOpen === true);
    const { input, output } = about ?? {};
    if (output !== undefined && output.byteLength > 0) socket.write(output);
    if (input !== undefined && input.byteLength > 0) socket.unshift(Buffer.from(input));
    this.#server.emit("connection", socket);
  }
}

/** A connection of which only its buffers are known. */
class RawConnection implements Leaver {
  readonly socket: Socket;
  readonly bowed = false;
  readonly #tap: Tap | null;
  readonly #uncarried: Uncarried<Leaver> | null;
  /** How many bytes had gone in and out when it was asked to leave last. */
  #moved = -1;

  constructor(socket: Socket, uncarried: Uncarried<Leaver> | null) {
    this.socket = socket;
    this.#uncarried = uncarried;
    const handle = handleOf(socket);
    this.#tap = handle === null ? null : new Tap(socket, handle);
  }

  phase(): Phase {
    const { socket } = this;
    if (socket.destroyed) return "gone";
    const ending = socket.writableEnded && !socket.writableFinished;
    const owing = ending || socket.writableLength > 0 || socket.readableLength > 0;
    return owing || this.#uncarried?.blocks(socket) ? "owing" : "clean";
  }

  hold(): void {
    if (!this.#uncarried?.blocks(this.socket)) this.#tap?.close();
  }

  release(): void {
    this.#tap?.open();
  }

  /** What was read is still to be dealt with; of what was dealt with, nobody knows whether an answer follows. */
  bow(): Leave {
    const { bytesRead, bytesWritten, readableLength, writableLength } = this.socket;
    const moved = bytesRead + bytesWritten;
    const still = moved === this.#moved && writableLength === 0;
    this.#moved = moved;
    return readableLength > 0 ? "owes" : still ? "idle" : "unclear";
  }

  stay(): void {
    this.#moved = -1;
  }

  deafen(): void {
    this.#tap?.close();
    this.socket.pause();
  }
}
