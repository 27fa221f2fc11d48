/**
 * The connection under an event stream. One that was handed over is only a descriptor at first: to make a socket of the
 * runtime takes tens of microseconds, and a service has thousands of clients to whom there is nothing to say at that moment.
 * It becomes a socket when something is to be sent, or when its turn comes, a few in each turn of the event loop.
 *
 * Happy path: {@linkcode EventLine.write}; {@linkcode EventLine.end}, and then it is the client's turn to close.
 *
 * Unhappy paths:
 * 1. The client leaves, or the connection breaks: `onLeft`, then `onClosed`.
 * 2. A client that has all there is, and does not close its end: it is closed after some seconds.
 * 3. No descriptor is left to make a socket of a connection: it is ended.
 *
 * @module
 */
import type { Socket } from "node:net";
import { clearTimeout, setTimeout } from "node:timers";

import type { OwnedFd } from "../../sys/owned_fd.ts";
import { streamOf } from "../http/connections.ts";
import { handleOf } from "../http/runtime.ts";
import { Tap } from "../http/tap.ts";
import { endConnection } from "../port.ts";
import { joinBytes } from "./bytes.ts";
import { HIGH_WATER_BYTES, Outlet } from "./outlet.ts";

/** A client that has all there is may take so long to close its end (ms). */
const LINGER_MS = 5000;

/** So many connections become sockets in one turn of the event loop. */
const PART = 32;

/** A connection that is a socket. */
interface Awake {
  socket: Socket;
  outlet: Outlet;
  tap: Tap | null;
}

/** A connection that is only a descriptor, and what is to be sent on it. */
interface Asleep {
  fd: OwnedFd;
  output: Uint8Array[];
}

/** A connection on which only one end has something to say. */
export class EventLine {
  #awake: Awake | null = null;
  #asleep: Asleep | null = null;
  #held = false;
  #isEnding = false;
  #isDestroyed = false;
  #linger: ReturnType<typeof setTimeout> | null = null;
  /** Called when the client has left, or the connection is broken. */
  onLeft: () => void = () => {};
  /** Called when the connection is closed. */
  onClosed: () => void = () => {};

  private constructor() {}

  /**
   * Goes on with a connection.
   *
   * @param socket the connection; nobody else uses it from then on
   * @param duplicate a duplicate of its descriptor; the line's
   */
  static over(socket: Socket, duplicate: OwnedFd): EventLine {
    const line = new EventLine();
    line.#listen(socket, new Outlet(socket, duplicate));
    return line;
  }

  /**
   * Goes on with a connection that was handed over; held.
   *
   * @param fd its descriptor; the line's
   * @param output what is to be sent before all else
   */
  static of(fd: OwnedFd, output: Uint8Array | undefined): EventLine {
    const line = new EventLine();
    line.#asleep = { fd, output: output === undefined || output.byteLength === 0 ? [] : [output] };
    line.#held = true;
    return line;
  }

  /** How many bytes wait. */
  get queued(): number {
    return this.#awake?.outlet.queued ?? sizeOf(this.#asleep?.output ?? []);
  }

  /** Could it not cross at this moment? */
  get owing(): boolean {
    if (this.#isDestroyed) return true;
    return this.#awake !== null && (this.#awake.socket.destroyed || this.#awake.outlet.owing);
  }

  /** The other end, for messages. */
  get peer(): string {
    const { remoteAddress, remotePort } = this.#awake?.socket ?? {};
    return remoteAddress === undefined ? "" : `${remoteAddress} port ${remotePort}`;
  }

  /** Sends bytes; false if more waits now than is good. */
  write(bytes: Uint8Array): boolean {
    if (!this.#held) this.wake();
    if (this.#awake !== null) return this.#awake.outlet.write(bytes);
    this.#asleep?.output.push(bytes);
    return this.queued <= HIGH_WATER_BYTES;
  }

  /** All that the kernel has not taken. */
  pending(): Uint8Array {
    return this.#awake?.outlet.pending() ?? joinBytes(this.#asleep?.output ?? []);
  }

  /** Ends the connection when all is sent. */
  end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    if (!this.#held) this.wake();
    if (this.#awake !== null) this.#end(this.#awake);
  }

  /** Neither reads nor sends from now on. */
  hold(): void {
    this.#held = true;
    this.#awake?.outlet.hold();
    this.#awake?.tap?.close();
  }

  /** Reads and sends again. */
  release(): void {
    if (!this.#held) return;
    this.#held = false;
    if (this.#asleep !== null && (this.#isEnding || this.#asleep.output.length > 0)) this.wake();
    else if (this.#asleep !== null) wakeSoon(this);
    this.#awake?.outlet.release();
    if (!this.#isDestroyed) this.#awake?.tap?.open();
  }

  /** Duplicates the descriptor, for the caller. */
  take(): OwnedFd {
    if (this.#asleep !== null) return this.#asleep.fd.dup();
    if (this.#awake === null) throw new TypeError("Cannot use a connection: it is closed");
    return this.#awake.outlet.take();
  }

  /** Ends the connection at once. */
  destroy(): void {
    if (this.#isDestroyed) return;
    this.#isDestroyed = true;
    const asleep = this.#asleep;
    this.#asleep = null;
    this.#awake?.outlet.destroy();
    if (asleep === null) return;
    endConnection(asleep.fd);
    this.onClosed();
  }

  /** Makes a socket of the descriptor, if it is not held. */
  wake(): void {
    if (this.#asleep === null || this.#held) return;
    const { fd, output } = this.#asleep;
    try {
      using undo = new DisposableStack();
      const duplicate = undo.use(fd.dup());
      const socket = streamOf(fd, false);
      undo.move();
      this.#asleep = null;
      this.#listen(socket, new Outlet(socket, duplicate, joinBytes(output)));
    } catch (error) {
      console.error("heirloom: an event stream could not be taken back:", error);
      this.onLeft();
      return this.destroy();
    }
    const { outlet } = this.#awake!;
    outlet.hold();
    outlet.release();
    if (this.#isEnding) this.#end(this.#awake!);
  }

  #listen(socket: Socket, outlet: Outlet): void {
    const handle = handleOf(socket);
    this.#awake = { socket, outlet, tap: handle === null ? null : new Tap(socket, handle) };
    outlet.onError = () => this.#leave();
    // A client has nothing to say here. That it leaves is heard only by reading.
    socket.on("data", () => {});
    socket.on("end", () => this.#leave());
    socket.on("error", () => this.#leave());
    socket.on("close", () => this.#close());
    socket.resume();
  }

  /** The end is said when all is sent; then it is the client's turn to close. */
  #end({ socket, outlet }: Awake): void {
    socket.once("finish", () => {
      this.#linger = setTimeout(() => this.destroy(), LINGER_MS);
    });
    outlet.end();
  }

  #leave(): void {
    this.onLeft();
    this.destroy();
  }

  #close(): void {
    if (this.#linger !== null) clearTimeout(this.#linger);
    this.#isDestroyed = true;
    this.onClosed();
  }
}

let sleepers: EventLine[] = [];

/** It becomes a socket when its turn comes. */
function wakeSoon(line: EventLine): void {
  if (sleepers.push(line) === 1) setTimeout(wakeSome, 0);
}

function wakeSome(): void {
  const now = sleepers.slice(0, PART);
  sleepers = sleepers.slice(PART);
  // One that is held again meanwhile comes back with its next release.
  for (const line of now) line.wake();
  if (sleepers.length > 0) setTimeout(wakeSome, 0);
}

function sizeOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
}
