/**
 * What all servers have in common when their connections shall be carried: who is watched, who is waited for, and the
 * descriptors at the end. What a connection owes is the business of the {@linkcode Watched} connection itself.
 *
 * Happy path: {@linkcode ConnectionSet.add} each connection as it comes, {@linkcode ConnectionSet.review} it whenever
 * something may have changed, and the rest as in `connections.ts`.
 *
 * Unhappy path: a change that no event tells of: while something is waited for it is looked at every 10 ms.
 *
 * @module
 */

import type { Socket } from "node:net";
import { clearInterval, setInterval } from "node:timers";

import { monotonicNs } from "../../sys/clock.ts";
import { ERRNO, SysError } from "../../sys/errno.ts";
import { OwnedFd } from "../../sys/owned_fd.ts";
import type { Taken, Watched } from "./connections.ts";
import { handleOf, type StreamHandle } from "./runtime.ts";
import { isTakenOver } from "./taken_over.ts";

/** How often connections that owe are looked at again, for a change that nobody announces (ms). */
const LOOK_AGAIN_MS = 10;

/** Connections of which the server has not heard. */
interface Outside {
  takeWaiting(most: number): Taken[];
}

/** A server's connections, with the rules that do not depend on what they speak. */
export class ConnectionSet<C extends Watched> {
  readonly #all = new Map<Socket, C>();
  /** Those that owed when they were last looked at; kept during a pause only. */
  readonly #waiting = new Set<C>();
  #pausedNs: bigint | null = null;
  #poll: ReturnType<typeof setInterval> | null = null;
  #change: PromiseWithResolvers<void> | null = null;

  /** How many there are. One that somebody else goes on with is counted by him. */
  get size(): number {
    let count = 0;
    for (const socket of this.#all.keys()) if (!isTakenOver(socket)) count++;
    return count;
  }

  /** True between {@linkcode ConnectionSet.pause} and {@linkcode ConnectionSet.resume}. */
  get paused(): boolean {
    return this.#pausedNs !== null;
  }

  /** All of them, in the order in which they came. */
  [Symbol.iterator](): IterableIterator<C> {
    return this.#all.values();
  }

  /** How many owe something. All are looked at: an application may write at any time. */
  get owing(): number {
    let count = 0;
    for (const connection of this.#all.values()) {
      if (connection.phase() === "owing") count++;
    }
    return count;
  }

  /**
   * Watches a connection until its socket closes.
   *
   * @param connection a connection that the server has just got
   */
  add(connection: C): void {
    const { socket } = connection;
    this.#all.set(socket, connection);
    socket.once("close", () => {
      this.#all.delete(socket);
      this.#waiting.delete(connection);
      this.#announce();
    });
    this.review(connection);
  }

  /**
   * Finds the connection of a socket.
   *
   * @param socket a socket of the server
   * @returns its connection, or undefined if it is closed or was never watched
   */
  get(socket: Socket): C | undefined {
    return this.#all.get(socket);
  }

  /**
   * Looks at a connection again, of which something may have changed. Does nothing without a pause.
   *
   * @param connection a connection of this set
   */
  review(connection: C): void {
    if (!this.paused) return;
    connection.hold();
    if (connection.phase() === "owing") {
      this.#waiting.add(connection);
      this.#poll ??= setInterval(() => this.#lookAgain(), LOOK_AGAIN_MS);
    } else {
      this.#waiting.delete(connection);
    }
    this.#announce();
  }

  /** See `Connections.pause`. A second call changes nothing. */
  pause(): void {
    if (this.paused) return;
    this.#pausedNs = monotonicNs();
    for (const connection of this.#all.values()) this.review(connection);
    this.#announce();
  }

  /** See `Connections.resume`. Without a pause it does nothing. */
  resume(): void {
    if (!this.paused) return;
    this.#pausedNs = null;
    this.#waiting.clear();
    this.#stopPolling();
    for (const connection of this.#all.values()) connection.release();
  }

  /**
   * See `Connections.settled`.
   *
   * @returns when, during a pause, nothing owes; pending for as long as there is no pause
   */
  async settled(): Promise<void> {
    while (!this.paused || this.#gather() > 0) {
      this.#change ??= Promise.withResolvers();
      await this.#change.promise;
    }
  }

  /**
   * See `Connections.stalledSinceNs`.
   *
   * @returns nanoseconds on `CLOCK_MONOTONIC`, or null
   */
  stalledSinceNs(): bigint | null {
    return this.#pausedNs;
  }

  /**
   * See `Connections.closeOwing`.
   *
   * @returns how many were closed
   */
  closeOwing(): number {
    let closed = 0;
    for (const connection of this.#all.values()) {
      if (connection.phase() !== "owing") continue;
      connection.socket.destroy();
      closed++;
      this.review(connection);
    }
    return closed;
  }

  /**
   * See `Connections.takeDescriptors`.
   *
   * @param most how many at most
   * @param outside those whom the server has not heard of yet, and who cross behind the others
   * @returns one descriptor per connection that is clean, in the order in which they came
   * @throws {SysError} EMFILE at the limit of open files; then none is taken
   */
  takeDescriptors(most = Infinity, outside: Outside | null = null): Taken[] {
    using owned = new DisposableStack();
    const taken: Taken[] = [];
    owned.defer(() => taken.forEach(({ fd }) => fd[Symbol.dispose]()));
    for (const connection of this.#all.values()) {
      if (taken.length >= most) break;
      if (connection.phase() !== "clean") continue;
      const handle = handleOf(connection.socket);
      if (handle === null) continue;
      taken.push({ fd: duplicateOf(handle), about: connection.about?.() ?? null });
    }
    if (outside !== null) taken.push(...outside.takeWaiting(most - taken.length));
    owned.move();
    return taken;
  }

  /** Waits for those, too, that have come to owe something without a sign. */
  #gather(): number {
    for (const connection of this.#all.values()) {
      if (connection.phase() === "owing" && !this.#waiting.has(connection)) this.review(connection);
    }
    return this.#waiting.size;
  }

  #lookAgain(): void {
    for (const connection of this.#waiting) this.review(connection);
  }

  /** Wakes those who wait for {@linkcode ConnectionSet.settled}, who then look for themselves. */
  #announce(): void {
    if (this.#waiting.size > 0 || !this.paused) return;
    this.#stopPolling();
    this.#change?.resolve();
    this.#change = null;
  }

  #stopPolling(): void {
    if (this.#poll !== null) clearInterval(this.#poll);
    this.#poll = null;
  }
}

/**
 * A duplicate that the runtime makes, which keeps the original as it is.
 *
 * @param handle the handle of a connected socket
 * @returns the duplicate, close-on-exec; the caller's
 * @throws {SysError} EMFILE at the limit of open files
 */
export function duplicateOf(handle: StreamHandle): OwnedFd {
  const fd = handle.fdForIpc();
  // dup(2): an open descriptor cannot be duplicated for this one reason.
  if (fd < 0) throw new SysError("dup", ERRNO.EMFILE, "a connection");
  const duplicate = OwnedFd.adopt(fd);
  if (fd > 2) return duplicate;
  // A closed standard stream left its number free; a client must not become one across the exec.
  using low = duplicate;
  return low.dup();
}
