/**
 * `live.eventfd`: a counter with which processes wake each other, and which survives updates with what is in it.
 *
 * Happy path: `const work = await live.eventfd("work", { signalled: (count) => … })`; who shares `work.fd` adds to it.
 *
 * Unhappy paths: what was handed over under the name is no eventfd, or one of the other mode: `EEXIST`. What a build adds
 * before it is ready to a counter that was handed over, nobody sees before it is ready.
 *
 * @module
 */
import { isSemaphore } from "../../handlers/eventfd.ts";
import { LuoError } from "../../luo/errors.ts";
import { addCount, createEventfd, MAX_COUNT } from "../../sys/eventfd.ts";
import type { OwnedFd } from "../../sys/mod.ts";
import type { Lifecycle } from "../lifecycle.ts";
import type { OverduePolicy } from "../port.ts";
import { Counter, type CounterParts } from "./counter.ts";
import { takeCounter } from "./take_counter.ts";

/** How an eventfd is asked for. */
export interface LiveEventfdOptions {
  /** What is in it when it is made, 0 to 2^64 - 2; of no account for one that was handed over. @default {0} */
  initial?: bigint | number;
  /** Does each read take one instead of all (`EFD_SEMAPHORE`)? @default {false} */
  semaphore?: boolean;
  /**
   * Called with what was in it, as soon as there is something and the application is ready. While a promise that it gives
   * is not settled, an update waits. Without it, nobody reads but {@linkcode LiveEventfd.take}.
   *
   * @param value the count; always 1 for a semaphore, which calls once for each
   */
  signalled?(value: bigint): unknown;
  /**
   * What happens to promises of `signalled` that are not settled when quiescing has taken too long: `refuse` the update, or
   * `close`: the update goes on without them. @default {"refuse"}
   */
  overdue?: OverduePolicy;
}

/** An eventfd under a name. */
export interface LiveEventfd {
  /** Its name. */
  readonly name: string;
  /**
   * The descriptor, borrowed, to be given to other processes; -1 after the end. It is nonblocking, and so is every
   * duplicate of it: who waits for it does so with poll(2).
   */
  readonly fd: number;
  /** Did this build make it, rather than take it back? */
  readonly isNew: boolean;
  /**
   * Adds to the counter, and wakes who waits for it. What is added before `ready()` to one that was handed over, is there
   * from `ready()` on.
   *
   * @param value 0 to 2^64 - 2
   * @returns false where the counter has no room for it: nothing was added then
   * @throws {RangeError} for another value
   * @throws {TypeError} after the end
   */
  add(value: bigint | number): boolean;
  /**
   * Takes what is in the counter, or one of it where it is a semaphore; never waits.
   *
   * @returns what was taken; null where the counter is 0, where it was handed over and the application is not ready yet, or
   * where an update lets everything stand still: then it is for the next build
   * @throws {TypeError} after the end
   */
  take(): bigint | null;
  /**
   * Gives it up and frees the name; other processes keep what they have of it.
   *
   * @returns resolves when the descriptor is closed
   */
  close(): Promise<void>;
}

/** An eventfd, as `live` holds it. */
export class EventfdCounter extends Counter implements LiveEventfd {
  /** What waits to be added. */
  #early = 0n;

  /** @param parts what it needs */
  constructor(parts: CounterParts) {
    super(parts);
  }

  add(value: bigint | number): boolean {
    const amount = amountOf(value);
    const fd = this.use();
    if (!this.isHeld) return this.#flush(fd) && addCount(fd, amount);
    if (this.#early + amount > MAX_COUNT) return false;
    this.#early += amount;
    return true;
  }

  protected override settle(fd: number): void {
    this.#flush(fd);
  }

  /** Where there is no room, it goes on waiting. */
  #flush(fd: number): boolean {
    if (this.#early === 0n) return true;
    if (!addCount(fd, this.#early)) return false;
    this.#early = 0n;
    return true;
  }
}

/**
 * Takes back an eventfd, or makes one.
 *
 * @param life the application
 * @param name 1 to 63 bytes without `#` and `@`
 * @param options how it is made, and what is done with what it counts
 * @throws {LuoError} `EEXIST` name in use, of another kind or of the other mode; `EINVAL` bad name
 * @throws {RangeError} for an initial value that no counter holds
 * @throws {SysError} EMFILE, ENFILE
 */
export async function openEventfd(
  life: Pick<Lifecycle, "addPort" | "removePort" | "resources">,
  name: string,
  options: LiveEventfdOptions,
): Promise<LiveEventfd> {
  const initial = amountOf(options.initial ?? 0);
  const semaphore = options.semaphore ?? false;
  const { signalled } = options;
  return await takeCounter(life, {
    name,
    kind: "eventfd",
    anonymous: "eventfd",
    create() {
      using undo = new DisposableStack();
      const eventfd = undo.use(createEventfd({ semaphore }));
      addCount(eventfd.fd, initial);
      undo.move();
      return eventfd;
    },
    check: (fd) => checkMode(name, fd, semaphore),
    counted: signalled === undefined ? undefined : (value) => signalled.call(options, value),
    overdue: options.overdue,
    make: (parts) => new EventfdCounter(parts),
  });
}

function checkMode(name: string, { fd }: OwnedFd, semaphore: boolean): void {
  const found = isSemaphore(fd);
  if (found === null || found === semaphore) return;
  const mode = (is: boolean): string => is ? "a semaphore" : "a plain counter";
  throw new LuoError(
    "EEXIST",
    `Cannot take "${name}" as ${mode(semaphore)}: the eventfd that was handed over is ${mode(found)}`,
  );
}

function amountOf(value: bigint | number): bigint {
  if (typeof value === "bigint" || Number.isSafeInteger(value)) {
    const amount = BigInt(value);
    if (amount >= 0n && amount <= MAX_COUNT) return amount;
  }
  throw new RangeError(`Cannot add ${value} to an eventfd: not a whole number from 0 to ${MAX_COUNT}`);
}
