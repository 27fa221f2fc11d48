/**
 * How connections that were handed over come back to life: those first on which somebody waits for an answer, the others a
 * few at a time, between which the event loop turns. To make a stream of a descriptor takes tens of microseconds; a service
 * with thousands of idle connections would answer nobody meanwhile.
 *
 * Happy path: {@linkcode Adoption.begin} goes on with every connection on which something has arrived, before it returns;
 * the rest follows, and before each part whoever has something waiting is moved to the front again.
 *
 * Unhappy paths: an update that begins before all are back: {@linkcode Adoption.finish} takes the rest at once. A connection
 * that cannot be adopted is closed, with a line on stderr; the others are not concerned.
 *
 * @module
 */
import { POLLERR, POLLHUP, POLLIN, pollNow } from "../sys/poll.ts";
import type { Connections, Taken } from "./http/connections.ts";

/** How many idle connections come back in one turn of the event loop. */
const PART = 32;

/** The connections of one server that are not back yet. */
export class Adoption {
  readonly #connections: Connections;
  #waiting: Taken[];

  /**
   * @param connections what goes on with them
   * @param waiting connections that were handed over; owned from here on
   */
  constructor(connections: Connections, waiting: Taken[]) {
    this.#connections = connections;
    this.#waiting = waiting;
  }

  /** How many are not back yet. */
  get size(): number {
    return this.#waiting.length;
  }

  /** Goes on with those that have something waiting, and begins with the rest. */
  begin(): void {
    if (this.#waiting.length > PART) this.#adoptUrgent();
    this.#adopt(PART);
    if (this.#waiting.length > 0) setTimeout(() => this.begin(), 0);
  }

  /** Goes on with all of them, at once. */
  finish(): void {
    this.#adopt(this.#waiting.length);
  }

  /** Gives them up: the caller's. */
  takeAll(): Taken[] {
    const all = this.#waiting;
    this.#waiting = [];
    return all;
  }

  #adoptUrgent(): void {
    const happened = pollNow(this.#waiting.map(({ fd }) => fd.fd), POLLIN);
    const urgent: Taken[] = [];
    const idle: Taken[] = [];
    this.#waiting.forEach((taken, index) => {
      // One with bytes of its own is in the middle of something, whether more has come or not.
      const bits = (happened[index] ?? 0) & (POLLIN | POLLHUP | POLLERR);
      (bits !== 0 || taken.about !== null ? urgent : idle).push(taken);
    });
    this.#waiting = idle;
    for (const taken of urgent) this.#adoptOne(taken);
  }

  #adopt(count: number): void {
    for (const taken of this.#waiting.splice(0, count)) this.#adoptOne(taken);
  }

  #adoptOne({ fd, about }: Taken): void {
    try {
      this.#connections.adopt(fd, about);
    } catch (error) {
      console.error("heirloom: a connection could not be taken back:", error);
      fd[Symbol.dispose]();
    }
  }
}
