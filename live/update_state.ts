/**
 * One update that is under way in the old build.
 *
 * @module
 */
import type { BuildInfo, UpdateRecord, UpgradeRequest } from "../control/types.ts";
import { Journal } from "../kho/journal.ts";
import { monotonicNs } from "../sys/mod.ts";
import type { Guarding } from "./guarding.ts";

/** One update. */
export class Update {
  /** Its id. */
  readonly id: string = crypto.randomUUID().slice(0, 8);
  /** What was asked for. */
  readonly request: UpgradeRequest;
  /** Its stamps. */
  readonly journal: Journal = Journal.create();
  /** `CLOCK_MONOTONIC` in nanoseconds at which it must have ended. */
  readonly deadline: bigint;
  /** Resolved when it was refused. */
  readonly verdict: PromiseWithResolvers<UpdateRecord> = Promise.withResolvers();
  /** What is to be undone when it is refused. */
  readonly undo: DisposableStack = new DisposableStack();
  /** The build that runs. */
  from: BuildInfo;
  /** The build that was asked for. */
  to: BuildInfo;
  /** Its guardian, or null. */
  guarding: Guarding | null = null;
  /** Where its end is written down by whoever cannot tell it otherwise. */
  lastWords: { path: string; text: string } | null = null;
  /** What an operator should know. */
  readonly warnings: string[] = [];
  /** Was it ended because the service is asked to stop, or was that asked before its end was told? */
  stopping = false;
  /** Ends the watch for signals that ask the service to stop. */
  unwatch: () => Promise<void> = () => Promise.resolve();
  /** Connections that were ended for it. */
  closed = 0;
  /** Preserved files. */
  files = 0;
  /** Descriptors that cross. */
  fds = 0;
  /** Size of the segment. */
  segmentBytes = 0;
  readonly #abort = new AbortController();

  /**
   * @param request what was asked for
   * @param from the build that runs
   * @param timeoutMs its deadline
   */
  constructor(request: UpgradeRequest, from: BuildInfo, timeoutMs: number) {
    this.request = request;
    this.from = from;
    this.to = { path: request.build ?? from.path, version: null, id: null };
    this.deadline = monotonicNs() + BigInt(Math.round(timeoutMs * 1e6));
  }

  /** Aborted when it ends: what was started for it ends as well. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Was it refused? */
  get ended(): boolean {
    return this.#abort.signal.aborted;
  }

  /** The last phase that began. */
  get phase(): string {
    return this.#phase;
  }

  #phase = "requested";

  /** A phase begins. */
  enter(phase: string): void {
    this.#phase = phase;
    this.journal.append(phase);
  }

  /** Milliseconds until the deadline; 0 when it has passed. */
  leftMs(): number {
    return Math.max(0, Number((this.deadline - monotonicNs()) / 1_000_000n));
  }

  /** Undoes what was done for it. The guardian stays until {@linkcode dismiss}. */
  end(): void {
    this.#abort.abort();
    this.undo.dispose();
    this.journal[Symbol.dispose]();
  }

  /** Sends the guardian away. */
  async dismiss(): Promise<void> {
    const { guarding } = this;
    this.guarding = null;
    await guarding?.[Symbol.asyncDispose]();
  }
}
