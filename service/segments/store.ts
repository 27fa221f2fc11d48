/**
 * What the segment API needs of whoever holds the segments: a small interface, so that the routes are tested on
 * plain memory and run on mappings that cross an update.
 *
 * Happy path: `create` makes a segment of zeroes, `get` hands its memory out, `remove` gives it back.
 *
 * Unhappy paths: `create` and `remove` reject with an error whose `code` is an errno's name (`ENOMEM`, `EMFILE`,
 * `EEXIST`, `EBUSY`); the routes turn that into an answer. A segment that is removed while a request reads or
 * writes it must detach its `ArrayBuffer` before the memory is unmapped (a `Mapping` does): the length of the
 * view falls to 0, which is how a running transfer notices.
 *
 * @module
 */

/** One segment as a list shows it. */
export interface SegmentInfo {
  /** The name, see {@linkcode parseSegmentName}. */
  readonly name: string;
  /** The size in bytes, at least 1. */
  readonly size: number;
}

/** The holder of the segments. */
export interface SegmentStore {
  /** Every segment, in any order. */
  list(): SegmentInfo[];
  /**
   * The memory of a segment.
   *
   * @param name a valid name.
   * @returns the segment's shared bytes, or undefined when there is none of that name.
   */
  get(name: string): { bytes: Uint8Array } | undefined;
  /**
   * Makes a segment, filled with zeroes.
   *
   * @param name a valid name that is free.
   * @param size bytes, at least 1.
   * @returns the new segment.
   */
  create(name: string, size: number): Promise<SegmentInfo>;
  /**
   * Removes a segment.
   *
   * @param name a valid name.
   * @returns false when there was none.
   */
  remove(name: string): Promise<boolean>;
}
