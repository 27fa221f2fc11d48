/**
 * Something that is started once: when it is time, or when nobody said so for long enough.
 *
 * @module
 */

/** Starts one thing, at most once. */
export class Starter {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #load: (() => Promise<void>) | undefined;

  /**
   * Says what is to be started, and when at the latest.
   *
   * @param patienceMs milliseconds after which it is started in any case
   * @param load starts it; a failure is reported on stderr
   */
  schedule(patienceMs: number, load: () => Promise<void>): void {
    this.#load = load;
    this.#timer = setTimeout(() => this.start(), patienceMs);
    // A program that has nothing else to do may end.
    Deno.unrefTimer(this.#timer as unknown as number);
  }

  /** Starts it now; does nothing when it was started, or when nothing was scheduled. */
  start(): void {
    const load = this.#load;
    this.#load = undefined;
    clearTimeout(this.#timer);
    load?.().catch(reportLate);
  }
}

/** Says on stderr what failed where nobody waits for it. */
export function reportLate(error: unknown): void {
  console.error(`heirloom: ${error instanceof Error ? error.message : error}`);
}
