/**
 * What eventfds and timers have in common: a descriptor that counts, read by a callback or by hand.
 *
 * Happy path: until `ready()` one that was handed over is left alone; what the application wants to change is done when the
 * tap opens. Then the callback gets each count, or {@linkcode Counter.take} does.
 *
 * Unhappy paths: those of a {@linkcode Tap}. While an update lets the taps stand still, nothing is taken: what is counted
 * then is for the next build.
 *
 * @module
 */
import { takeCount } from "../../sys/eventfd.ts";
import type { OwnedFd } from "../../sys/mod.ts";
import type { OverduePolicy } from "../port.ts";
import { Tap } from "../streams/tap.ts";

/** What a counter needs. */
export interface CounterParts {
  /** The name of the resource. */
  name: string;
  /** The descriptor, owned from here on. */
  fd: OwnedFd;
  /** Was nothing of that name handed over? */
  isNew: boolean;
  /** Is the descriptor this build's alone, so that it may be touched before the tap opens? */
  isOwn: boolean;
  /** What is done with a count, if the application does not take it by hand. */
  counted: ((count: bigint) => unknown) | undefined;
  /** What happens to handlers that are late when an update quiesces. @default {"refuse"} */
  overdue: OverduePolicy | undefined;
  /** Forgets the resource. */
  drop(): void;
}

/** A descriptor that counts. */
export abstract class Counter extends Tap {
  readonly #parts: CounterParts;
  #isOpen = false;
  #isPaused = false;
  #closed: Promise<void> | null = null;

  /** @param parts what it needs */
  constructor(parts: CounterParts) {
    super(parts.name, parts.overdue ?? "refuse");
    this.#parts = parts;
  }

  /** The descriptor, borrowed; -1 after the end. */
  get fd(): number {
    return this.#closed === null ? this.#parts.fd.fd : -1;
  }

  /** Did this build make it, rather than take it back? */
  get isNew(): boolean {
    return this.#parts.isNew;
  }

  /** Takes what is counted; null where it is nothing, or not the time to take it. */
  take(): bigint | null {
    const fd = this.use();
    return this.isHeld || this.#isPaused ? null : takeCount(fd);
  }

  override open(): void {
    if (this.#closed !== null || this.#isOpen) return;
    this.#isOpen = true;
    this.settle(this.#parts.fd.fd);
    if (this.#parts.counted !== undefined) this.watch(this.#parts.fd.fd);
  }

  override pause(): void {
    this.#isPaused = true;
    super.pause();
  }

  override resume(): void {
    this.#isPaused = false;
    super.resume();
  }

  /**
   * Gives the resource up.
   *
   * @returns resolves when its descriptor is closed
   */
  override close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  /** Does what was put off until the tap opened. */
  protected abstract settle(fd: number): void;

  /** Is it to be left alone yet, because the build before may come back to it? */
  protected get isHeld(): boolean {
    return !this.#isOpen && !this.#parts.isOwn;
  }

  /**
   * The descriptor, to be used.
   *
   * @throws {TypeError} after the end
   */
  protected use(): number {
    if (this.#closed === null) return this.#parts.fd.fd;
    throw new TypeError(`Cannot use "${this.name}": it is closed`);
  }

  protected override receive(): boolean {
    if (!this.isOn) return true;
    const count = takeCount(this.#parts.fd.fd);
    if (count === null) return false;
    this.await(this.#parts.counted?.(count));
    return true;
  }

  async #close(): Promise<void> {
    this.#parts.drop();
    this.closeOwing();
    await this.unwatch();
    this.#parts.fd[Symbol.dispose]();
  }
}
