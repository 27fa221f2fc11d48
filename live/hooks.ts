/**
 * The hooks of an application into an update: `quiesce` before anything stands still, `resume` when it did not happen.
 *
 * Happy path: every `quiesce` listener is called; what they pass to `waitUntil` is awaited, up to the deadline.
 *
 * Unhappy paths: a listener that throws, a promise that rejects, a call of `refuse`, or the deadline refuse the update
 * with that reason; every `resume` listener is told.
 *
 * @module
 */

/** An update is about to begin. */
export interface QuiesceEvent {
  /** The update's id. */
  readonly id: string;
  /** Milliseconds that are left until the deadline. */
  readonly timeoutMs: number;
  /** Lets the update wait for something. */
  waitUntil(promise: PromiseLike<unknown>): void;
  /** Refuses the update. */
  refuse(reason: string): void;
}

/** The update did not happen: the service goes on. */
export interface ResumeEvent {
  /** The update's id. */
  readonly id: string;
  /** Why. */
  readonly reason: string;
}

/** The events and their listeners. */
export interface HookListeners {
  /** Before anything stands still. */
  quiesce: (event: QuiesceEvent) => void;
  /** After an update that was refused. */
  resume: (event: ResumeEvent) => void;
}

/** The listeners of an application. */
export class Hooks {
  readonly #quiesce: HookListeners["quiesce"][] = [];
  readonly #resume: HookListeners["resume"][] = [];

  /** Adds a listener. */
  on<K extends keyof HookListeners>(event: K, listener: HookListeners[K]): void {
    if (event === "quiesce") this.#quiesce.push(listener as HookListeners["quiesce"]);
    else if (event === "resume") this.#resume.push(listener as HookListeners["resume"]);
    else throw new TypeError(`Cannot listen for "${String(event)}": events are quiesce and resume`);
  }

  /**
   * Asks all listeners.
   *
   * @param id the update's id
   * @param timeoutMs how long they may take together
   * @throws {Error} with the reason of the first that refuses
   */
  async quiesce(id: string, timeoutMs: number): Promise<void> {
    const waits: PromiseLike<unknown>[] = [];
    let refusal: string | null = null;
    for (const listener of this.#quiesce) {
      listener({
        id,
        timeoutMs,
        waitUntil(promise) {
          waits.push(promise);
          // Where another listener refuses, nobody waits for it any more; its failure must not end the service.
          Promise.resolve(promise).catch(() => {});
        },
        refuse: (reason) => void (refusal ??= reason),
      });
    }
    if (refusal === null && waits.length > 0) await withDeadline(allOf(waits), timeoutMs);
    if (refusal !== null) throw new Error(`the application refused: ${refusal}`);
  }

  /** Tells all listeners; one that throws does not keep the others from hearing it. */
  resume(id: string, reason: string): void {
    for (const listener of this.#resume) {
      try {
        listener({ id, reason });
      } catch (error) {
        console.error("heirloom: a resume listener threw:", error);
      }
    }
  }
}

/** Waits for all promises, those included that are added meanwhile. */
async function allOf(waits: readonly PromiseLike<unknown>[]): Promise<void> {
  for (let done = 0; done < waits.length;) {
    const until = waits.length;
    await Promise.all(waits.slice(done));
    done = until;
  }
}

async function withDeadline(promise: Promise<unknown>, timeoutMs: number): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`the application was not quiet after ${timeoutMs} ms`)),
    timeoutMs,
  );
  try {
    await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
