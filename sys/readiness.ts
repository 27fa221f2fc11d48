/**
 * Waiting for descriptors without holding up JavaScript: one `poll(2)` for all of them, on a thread of the runtime's pool.
 *
 * Happy path: `const watch = watchReadable(fd, () => …)` calls back in a turn of its own whenever there is something to
 * read, again and again until it is read. {@linkcode Watch.off} and {@linkcode Watch.on} stop that and go on.
 *
 * Unhappy paths:
 * 1. The callback throws: that is reported as an uncaught error, like one of an event listener, and the others are called.
 * 2. It reads nothing although it was called, again and again: it is called less and less often, up to 50 ms apart.
 * 3. The descriptor is closed before {@linkcode Watch.end}: the callback is called, and its first read says so.
 *
 * As long as something is watched, one thread of the pool waits, and the program does not end by itself. An exec ends the
 * waiting; nothing is read by it.
 *
 * @module
 */

import { setImmediate } from "node:timers";

import { addCount, createEventfd, takeCount } from "./eventfd.ts";
import { forOwnUse } from "./own_use.ts";
import type { OwnedFd } from "./owned_fd.ts";
import { POLLIN, POLLOUT } from "./poll.ts";

/** Not in `symbols.ts`: there, a call is over when it returns. */
const functions = {
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true }, // int poll(struct pollfd *fds, nfds_t count, int timeout)
} as const satisfies Deno.ForeignLibraryInterface;

const ENTRY_BYTES = 8;
/** How often in a row a callback may read nothing before it is called less often. */
const PATIENCE = 3;
/** Milliseconds between two such calls, or two attempts to wait, at most. */
const LONGEST_PAUSE_MS = 50;
/** Milliseconds that callbacks may take together before everything else has a turn. */
const LONGEST_BUSY_MS = 2;

/** The watch over one descriptor. */
export interface Watch {
  /** Is the callback called? True in the beginning. */
  readonly isOn: boolean;
  /** Calls back when there is something to read, also if it came while the watch was off. */
  on(): void;
  /** Does not call back any more from now on. */
  off(): void;
  /**
   * Ends the watch.
   *
   * @returns resolves when no thread holds the descriptor any more: closing it then frees its address at once
   */
  end(): Promise<void>;
}

/**
 * Watches a descriptor.
 *
 * @param fd borrowed until {@linkcode Watch.end} resolves
 * @param readable called when there is something to read, an error, or the end; answers whether it has read something
 * @returns the watch, which is on
 * @throws {SysError} EMFILE
 */
export function watchReadable(fd: number, readable: () => boolean): Watch {
  waiting ??= new Waiting();
  return waiting.watch(fd, readable, POLLIN);
}

/**
 * Watches a descriptor for room to write.
 *
 * @param fd borrowed until {@linkcode Watch.end} resolves
 * @param writable called when writing will not wait, or fails; answers whether it has written something
 * @returns the watch, which is on
 * @throws {SysError} EMFILE
 */
export function watchWritable(fd: number, writable: () => boolean): Watch {
  waiting ??= new Waiting();
  return waiting.watch(fd, writable, POLLOUT);
}

let waiting: Waiting | null = null;
let library: Deno.DynamicLibrary<typeof functions> | undefined;

class Entry implements Watch {
  readonly fd: number;
  readonly events: number;
  readonly #readable: () => boolean;
  readonly #waiting: Waiting;
  /** How often in a row nothing was read. */
  #idle = 0;
  #rest: ReturnType<typeof setTimeout> | undefined;
  #ended: Promise<void> | null = null;
  isOn = true;

  constructor(fd: number, readable: () => boolean, events: number, waiting: Waiting) {
    this.fd = fd;
    this.events = events;
    this.#readable = readable;
    this.#waiting = waiting;
  }

  /** Is it to be waited for now? */
  get isWaiting(): boolean {
    return this.isOn && this.#rest === undefined;
  }

  on(): void {
    if (this.isOn || this.#ended !== null) return;
    this.isOn = true;
    this.#waiting.wake();
  }

  off(): void {
    this.isOn = false;
  }

  end(): Promise<void> {
    this.isOn = false;
    clearTimeout(this.#rest);
    return this.#ended ??= this.#waiting.remove(this);
  }

  /** Tells that there is something to read. */
  call(): void {
    try {
      this.#idle = this.#readable() ? 0 : this.#idle + 1;
    } catch (error) {
      reportError(error);
    }
    if (this.#idle <= PATIENCE || this.#ended !== null) return;
    this.#rest = setTimeout(() => {
      this.#rest = undefined;
      this.#waiting.wake();
    }, Math.min(2 ** (this.#idle - PATIENCE), LONGEST_PAUSE_MS));
  }
}

/** All watches of this thread, and the one call that waits for them. */
class Waiting {
  readonly #entries = new Set<Entry>();
  readonly #poll: (entries: Uint8Array<ArrayBuffer>, count: bigint, timeout: number) => Promise<number>;
  readonly #wakeUp: OwnedFd;
  #isRunning = false;
  #woken = false;
  #failures = 0;
  /** The round under way: the call that waits, until it is back. */
  #round: Promise<void> = Promise.resolve();
  /** Referenced here, because the thread writes into it. */
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(new ArrayBuffer(ENTRY_BYTES));

  constructor() {
    library ??= Deno.dlopen("libc.so.6", functions);
    this.#poll = library.symbols.poll;
    this.#wakeUp = forOwnUse(createEventfd(), "wake-up of what waits");
  }

  watch(fd: number, readable: () => boolean, events: number): Watch {
    const entry = new Entry(fd, readable, events, this);
    this.#entries.add(entry);
    if (this.#isRunning) this.wake();
    else void this.#run();
    return entry;
  }

  async remove(entry: Entry): Promise<void> {
    this.#entries.delete(entry);
    const round = this.#round;
    this.wake();
    await round;
  }

  /** Lets the call that waits come back and begin anew with what is watched now. */
  wake(): void {
    if (this.#woken) return;
    this.#woken = true;
    addCount(this.#wakeUp.fd, 1n);
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    let busyMs = 0;
    while (this.#entries.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#round = promise;
      const ready = await this.#wait([...this.#entries].filter(({ isWaiting }) => isWaiting));
      resolve();
      const begun = performance.now();
      for (const entry of ready) {
        if (entry.isWaiting) entry.call();
      }
      busyMs += performance.now() - begun;
      if (busyMs < LONGEST_BUSY_MS) continue;
      // Where there is always something to read, waiting for it is over at once, and gives nobody else a turn.
      busyMs = 0;
      await new Promise<void>((resolve) => void setImmediate(resolve));
    }
    if (waiting === this) waiting = null;
    this.#wakeUp[Symbol.dispose]();
  }

  /** One call: those on which something happened. */
  async #wait(watched: readonly Entry[]): Promise<Entry[]> {
    const count = watched.length + 1;
    if (this.#bytes.byteLength < count * ENTRY_BYTES) {
      this.#bytes = new Uint8Array(new ArrayBuffer(2 * count * ENTRY_BYTES));
    }
    const view = new DataView(this.#bytes.buffer);
    [{ fd: this.#wakeUp.fd, events: POLLIN }, ...watched].forEach(({ fd, events }, index) => {
      view.setInt32(index * ENTRY_BYTES, fd, true);
      view.setInt32(index * ENTRY_BYTES + 4, events, true);
    });
    const result = await this.#poll(this.#bytes, BigInt(count), -1);
    if (result < 0) {
      // A signal, or no memory. Which of them is known only in the other thread, and does not matter.
      await new Promise((resolve) => setTimeout(resolve, Math.min(this.#failures++, LONGEST_PAUSE_MS)));
      return [];
    }
    this.#failures = 0;
    const happened = (index: number): boolean => view.getInt16(index * ENTRY_BYTES + 6, true) !== 0;
    if (happened(0)) {
      this.#woken = false;
      takeCount(this.#wakeUp.fd);
    }
    return watched.filter((_, index) => happened(index + 1));
  }
}
