/**
 * Creating and removing segments, one change after the other. A change waits for the store, and the quotas are about
 * all segments together; so the changes queue up, and each sees the outcome of those before it. Two requests that
 * create the same name make one segment, and no two together exceed a quota that each alone keeps.
 *
 * Happy path: {@linkcode SegmentChanges.create} checks the quotas and asks the store.
 *
 * Unhappy paths: the name exists with another size (409); a quota is used up (507); the store fails, which ends that
 * change and not the queue.
 *
 * @module
 */

import { errnoNameOf, HttpError, toHttpError } from "./errors.ts";
import { type Quotas, usageOf } from "./quotas.ts";
import type { SegmentInfo, SegmentStore } from "./store.ts";

/** What came of a request to create a segment. */
export interface Creation {
  /** The segment. */
  readonly info: SegmentInfo;
  /** False when it was there already. */
  readonly created: boolean;
}

/** The queue of changes to a store. */
export class SegmentChanges {
  readonly #store: SegmentStore;
  readonly #quotas: Quotas;
  #last: Promise<unknown> = Promise.resolve();

  /**
   * @param store the holder of the segments.
   * @param quotas the limits.
   */
  constructor(store: SegmentStore, quotas: Quotas) {
    this.#store = store;
    this.#quotas = quotas;
  }

  /**
   * Creates a segment, or finds that it is there.
   *
   * @param name a valid name.
   * @param size bytes, within the quota for one segment.
   * @returns the segment, and whether it is new.
   * @throws {HttpError} 409 EEXIST when it has another size; 507 EDQUOT when a quota is used up; what
   * {@linkcode toHttpError} makes of an error of the store.
   */
  create(name: string, size: number): Promise<Creation> {
    return this.#enqueue(async () => {
      const found = this.#find(name, size);
      if (found !== undefined) return found;
      this.#checkQuotas(name, size);
      try {
        return { info: await this.#store.create(name, size), created: true };
      } catch (error) {
        // The store has other users, the device socket among them: one may have taken the name meanwhile.
        const late = errnoNameOf(error) === "EEXIST" ? this.#find(name, size) : undefined;
        if (late !== undefined) return late;
        throw toHttpError(error, `Cannot create segment "${name}"`);
      }
    });
  }

  /**
   * Removes a segment.
   *
   * @param name a valid name.
   * @returns false when there was none.
   * @throws {HttpError} what {@linkcode toHttpError} makes of an error of the store.
   */
  remove(name: string): Promise<boolean> {
    return this.#enqueue(async () => {
      try {
        return await this.#store.remove(name);
      } catch (error) {
        throw toHttpError(error, `Cannot remove segment "${name}"`);
      }
    });
  }

  #enqueue<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#last.then(change);
    // The next one waits for the end of this one, whatever that end is.
    this.#last = result.catch(() => {});
    return result;
  }

  #find(name: string, size: number): Creation | undefined {
    const found = this.#store.get(name);
    if (found === undefined) return undefined;
    const actual = found.bytes.byteLength;
    if (actual === size) return { info: { name, size }, created: false };
    throw new HttpError(`Cannot create segment "${name}" with ${size} bytes: it exists with ${actual}`, {
      status: 409,
      code: "EEXIST",
      allowed: `size=${actual}, or another name, or DELETE first`,
    });
  }

  #checkQuotas(name: string, size: number): void {
    const { maxSegments, maxTotalBytes } = this.#quotas;
    const used = usageOf(this.#store.list());
    if (used.segments >= maxSegments) {
      throw quotaExceeded(name, `there are ${used.segments} segments`, `At most ${maxSegments} segments`);
    }
    if (used.bytes + size > maxTotalBytes) {
      const free = Math.max(0, maxTotalBytes - used.bytes);
      const state = `${free} bytes of the quota are left`;
      throw quotaExceeded(name, state, `At most ${maxTotalBytes} bytes in all segments together`);
    }
  }
}

function quotaExceeded(name: string, state: string, allowed: string): HttpError {
  return new HttpError(`Cannot create segment "${name}": ${state}`, { status: 507, code: "EDQUOT", allowed });
}
