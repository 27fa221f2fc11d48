/**
 * The servers and channels of an application, and whether their taps are open.
 *
 * @module
 */
import type { Carrier } from "./port.ts";

/** Servers and channels. */
export class Carriers {
  readonly #all: Carrier[] = [];
  #open = false;

  /** All of them, in the order in which they came. */
  get all(): readonly Carrier[] {
    return this.#all;
  }

  /**
   * Adds one. Its tap opens with the others; also before the commit: with a time for it, what comes late must not wait.
   *
   * @param carrier a server or a channel
   */
  add(carrier: Carrier): void {
    this.#all.push(carrier);
    if (this.#open) carrier.open();
  }

  /**
   * Forgets one that was given up.
   *
   * @param carrier a server or a channel
   */
  remove(carrier: Carrier): void {
    const at = this.#all.indexOf(carrier);
    if (at >= 0) this.#all.splice(at, 1);
  }

  /** Opens all taps. */
  open(): void {
    this.#open = true;
    for (const carrier of this.#all) carrier.open();
  }

  /** Ends all of them. */
  close(): void {
    for (const carrier of [...this.#all]) carrier.close();
  }
}
