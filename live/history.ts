/**
 * The updates of a service, newest last, across all its images.
 *
 * @module
 */
import type { UpdateRecord } from "../control/types.ts";
import { encodeHistory, type HistoryRecord } from "../kho/abi/live.ts";
import { monotonicNs } from "../sys/mod.ts";
import type { PendingUpdate } from "./pending.ts";

/** How many updates are remembered. */
export const MAX_UPDATES = 50;

/** The history of a service. */
export class History {
  /** `CLOCK_MONOTONIC` of the cold start, in nanoseconds. */
  readonly started: bigint;
  readonly #updates: UpdateRecord[];

  /** @param handed what was handed over, or null at a cold start */
  constructor(handed: HistoryRecord | null) {
    this.started = handed?.started ?? monotonicNs();
    this.#updates = (handed?.updates ?? []).map((text) => JSON.parse(text) as UpdateRecord);
  }

  /** All updates, oldest first. */
  list(): readonly UpdateRecord[] {
    return this.#updates;
  }

  /** The last update, or null. */
  last(): UpdateRecord | null {
    return this.#updates.at(-1) ?? null;
  }

  /** An update by its id. */
  find(id: string): UpdateRecord | undefined {
    return this.#updates.find((record) => record.id === id);
  }

  /** Remembers an update that has ended. */
  add(record: UpdateRecord): void {
    this.#updates.push(record);
    this.#updates.splice(0, this.#updates.length - MAX_UPDATES);
  }

  /**
   * The subtree for the next image.
   *
   * @param pending the update under way
   * @param graphs the modules of both builds, encoded, or null
   */
  encode(pending: PendingUpdate, graphs: Uint8Array | null = null): Uint8Array {
    return encodeHistory({
      ...(graphs === null ? {} : { graphs }),
      pending: JSON.stringify(pending),
      started: this.started,
      updates: this.#updates.map((record) => JSON.stringify(record)),
    });
  }
}
