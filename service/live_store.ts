/**
 * The segments of the built-in service, in live resources: what was there before an update is there after it.
 *
 * @module
 */
import type { Live } from "../live/live.ts";
import type { SharedSegment } from "../live/segment.ts";
import type { SegmentInfo, SegmentStore } from "./segments/mod.ts";

/** Which segments there are is a state of the service; each segment is a live resource of the same name. */
const STATE = "segments";

/** Named shared memory. */
export class LiveStore implements SegmentStore {
  readonly #live: Live;
  readonly #segments = new Map<string, SharedSegment>();

  private constructor(live: Live) {
    this.#live = live;
  }

  /** Takes back all segments that were handed over. */
  static async open(live: Live): Promise<LiveStore> {
    const store = new LiveStore(live);
    let handed: SegmentInfo[] = [];
    live.state(STATE, {
      version: 1,
      save: () => store.list().map(({ name, size }) => ({ name, size })),
      load: (value) => void (handed = value as unknown as SegmentInfo[]),
    });
    for (const { name, size } of handed) store.#segments.set(name, await live.segment(name, { size }));
    return store;
  }

  /** All segments, in the order of their creation. */
  list(): SegmentInfo[] {
    return [...this.#segments.values()].map(({ name, size }) => ({ name, size }));
  }

  /** The memory of a segment. */
  get(name: string): { bytes: Uint8Array } | undefined {
    return this.#segments.get(name);
  }

  /**
   * Creates a segment, filled with zeros.
   *
   * @throws {LuoError} `EEXIST` when the name is in use
   * @throws {SysError} `ENOMEM`, `EMFILE`
   */
  async create(name: string, size: number): Promise<SegmentInfo> {
    this.#segments.set(name, await this.#live.segment(name, { size }));
    return { name, size };
  }

  /** Removes a segment; views of its memory have length 0 from then on. */
  // deno-lint-ignore require-await -- the store is asynchronous for others
  async remove(name: string): Promise<boolean> {
    const segment = this.#segments.get(name);
    if (segment === undefined) return false;
    this.#segments.delete(name);
    segment.drop();
    return true;
  }
}
