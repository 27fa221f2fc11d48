/**
 * How connections that do not cross an update are ended so that nobody takes it for a failure: what is owed is answered,
 * HTTP says that this answer is the last one, and then comes the end, in order.
 *
 * Happy path: {@linkcode Parting.run} looks every few milliseconds. A connection that is silent for a while, with nothing in
 * its queue, is told the end (for TLS, a `close_notify` first); what the other end may have sent in that very moment is
 * read and thrown away, so that it gets an end and no reset; and when the other end says its own, or after a short while, the
 * descriptor is closed.
 *
 * Unhappy paths:
 * 1. A connection owes until the deadline: `run` returns, and the caller does with it what the application has said.
 * 2. The update is refused meanwhile ({@linkcode Parting.stop}): who was not told yet stays.
 * 3. No descriptor is left for a duplicate: `run` rejects, and everybody who was not told yet stays.
 *
 * @module
 */
import { setTimeout } from "node:timers";

import { read } from "../../sys/file.ts";
import { SysError } from "../../sys/errno.ts";
import type { OwnedFd } from "../../sys/owned_fd.ts";
import { POLLERR, POLLHUP, POLLIN, pollNow } from "../../sys/poll.ts";
import { shutdownSocket } from "../../sys/socket.ts";
import type { Arrivals } from "./arrivals.ts";
import { duplicateOf } from "./connection_set.ts";
import type { Watched } from "./connections.ts";
import { bottomOf, handleOf } from "./runtime.ts";

/** How long a connection is silent before it is ended, and how long the end of the other side is waited for (ms). */
const SHORT_WHILE_MS = 250;

/** After how long a connection is ended of which nobody knows whether something is owed (ms). */
const LONG_WHILE_MS = 1000;

/** How often all of them are looked at (ms). */
const STEP_MS = 5;

/** What is read and thrown away at a time. */
const WASTE = new Uint8Array(64 * 1024);

/**
 * What a connection says when it shall leave: it `owes` something; it is `idle`; or it is in the middle of something of which
 * nobody knows what is owed (`unclear`).
 */
export type Leave = "owes" | "idle" | "unclear";

/** A connection that can be ended politely. */
export interface Leaver extends Watched {
  /** Was the other end told, within an answer, that this is the last one? */
  readonly bowed: boolean;
  /** Tells it, where that can be told, and says what is owed. Called again and again. */
  bow(): Leave;
  /** Takes back what can be taken back: the connection stays. */
  stay(): void;
  /** Reads nothing more. */
  deafen(): void;
}

/** Who leaves. */
export interface Guests<C extends Leaver> {
  /** All that shall leave, at this moment. */
  leavers(): Iterable<C>;
  /** The handshakes that are under way, or null. */
  readonly arrivals: Arrivals | null;
  /** Called for each that was ended. */
  ended(): void;
}

/** One that leaves. */
interface Leaving {
  /** Keeps the connection when the runtime closes it, until the other end has heard. */
  fd: OwnedFd;
  /** When it was first looked at. */
  begun: number;
  /** Since when it is silent. */
  silent: number;
  /** Has it gone on for a long while without anybody knowing what is owed? */
  endless: boolean;
  /** Was the end said? */
  told: boolean;
}

/** The polite end of the connections of one server. */
export class Parting<C extends Leaver> {
  readonly #guests: Guests<C>;
  readonly #leaving = new Map<C, Leaving>();
  /** Ended, and until when the other end is waited for. */
  #lingering: { fd: OwnedFd; until: number }[] = [];
  #stopped = false;

  /** @param guests who leaves */
  constructor(guests: Guests<C>) {
    this.#guests = guests;
  }

  /**
   * Ends all of them.
   *
   * @param deadline until when, in milliseconds since the epoch
   * @returns when all are gone, or the deadline has come
   * @throws {SysError} EMFILE when no descriptor is left
   * @throws what is thrown by who says who leaves
   */
  async run(deadline: number): Promise<void> {
    try {
      for (;;) {
        if (!this.#stopped) this.#look();
        this.#linger();
        if (this.#lingering.length === 0 && this.#isThrough()) return;
        if (!this.#stopped && Date.now() >= deadline) return;
        await later(STEP_MS);
      }
    } finally {
      this.stop();
      for (const { fd } of this.#lingering) fd[Symbol.dispose]();
      this.#lingering = [];
    }
  }

  /** Those who were not told yet stay. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    for (const [connection, { fd, told }] of this.#leaving) {
      fd[Symbol.dispose]();
      if (!told) connection.stay();
    }
    this.#leaving.clear();
  }

  #isThrough(): boolean {
    return this.#leaving.size === 0 && (this.#stopped || (this.#guests.arrivals?.size ?? 0) === 0);
  }

  #look(): void {
    for (let late = this.#guests.arrivals?.turnAway() ?? 0; late > 0; late--) this.#guests.ended();
    for (const connection of this.#guests.leavers()) {
      if (!this.#leaving.has(connection)) this.#admit(connection);
    }
    const now = performance.now();
    const ready = [...this.#leaving].filter(([connection, leaving]) => isReady(connection, leaving, now));
    const happened = pollNow(ready.map(([, { fd }]) => fd.fd), POLLIN);
    ready.forEach(([connection, leaving], index) => {
      // Something has come in the last moment: the runtime reads it in its next turn.
      const unread = ((happened[index] ?? 0) & POLLIN) !== 0;
      if (!unread || leaving.endless) tell(connection, leaving);
    });
  }

  #admit(connection: C): void {
    const { socket } = connection;
    const handle = handleOf(bottomOf(socket));
    // It is about to close by itself.
    if (handle === null) return;
    const now = performance.now();
    const fd = duplicateOf(handle);
    this.#leaving.set(connection, { fd, begun: now, silent: now, endless: false, told: false });
    socket.once("close", () => this.#gone(connection));
  }

  /** The runtime has closed it: the other end hears that, and is listened to for a while. */
  #gone(connection: C): void {
    const leaving = this.#leaving.get(connection);
    if (leaving === undefined) return;
    this.#leaving.delete(connection);
    const { fd, told } = leaving;
    if (told || connection.bowed) this.#guests.ended();
    try {
      shutdownSocket(fd.fd, "write");
    } catch {
      // The other end was faster.
    }
    this.#lingering.push({ fd, until: performance.now() + SHORT_WHILE_MS });
  }

  #linger(): void {
    const now = performance.now();
    const happened = pollNow(this.#lingering.map(({ fd }) => fd.fd), POLLIN);
    this.#lingering = this.#lingering.filter(({ fd, until }, index) => {
      const bits = (happened[index] ?? 0) & (POLLIN | POLLHUP | POLLERR);
      if (now < until && (bits === 0 || !isAtEnd(fd.fd))) return true;
      fd[Symbol.dispose]();
      return false;
    });
  }
}

/** May this one be told the end now? */
function isReady(connection: Leaver, leaving: Leaving, now: number): boolean {
  if (leaving.told) return false;
  const leave = connection.bow();
  if (leave !== "idle") leaving.silent = now;
  leaving.endless = leave === "unclear" && now - leaving.begun >= LONG_WHILE_MS;
  return leaving.endless || (leave === "idle" && now - leaving.silent >= SHORT_WHILE_MS);
}

/** Nothing that comes from now on is dealt with: it would have no answer. */
function tell(connection: Leaver, leaving: Leaving): void {
  leaving.told = true;
  const { socket } = connection;
  // An application that still writes is told so, but must not fail of it.
  socket.on("error", () => {});
  connection.deafen();
  if (socket.writableFinished) return void socket.destroy();
  socket.once("finish", () => socket.destroy());
  socket.end();
}

/** Reads what has come. Has the other end finished, or failed? */
function isAtEnd(fd: number): boolean {
  try {
    return read(fd, WASTE) === 0;
  } catch (error) {
    return !(error instanceof SysError && error.code === "EAGAIN");
  }
}

function later(milliseconds: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, milliseconds));
}
