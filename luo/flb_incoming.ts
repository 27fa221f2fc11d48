/**
 * FLBs on the incoming side: known by their records, taken back when somebody asks, finished with the last file.
 *
 * Happy path: `get` retrieves once and gives the object; every file that is finished, and every `put`, takes one from the
 * count that crossed; at zero the FLB is finished.
 *
 * Unhappy paths: a failed `retrieve` is remembered; one that nobody asked for is retrieved for its `finish`; a `finish` that
 * throws, which it must not, is a line on stderr.
 *
 * The kernel loads the count with the first `retrieve`, so that without one the last file does not finish it. Here the
 * count is loaded with the record, as its documentation intends (section 12.1 of the reference).
 *
 * @module
 */
import type { FlbRecord } from "../kho/abi/luo.ts";
import { codeOf, LuoError, reasonOf } from "./errors.ts";
import type { Flb } from "./flb.ts";
import type { IncomingHandover } from "./handler.ts";

interface State {
  readonly data: bigint;
  object: unknown;
  /** Files that are not finished, references that crossed, and objects that were given out here. */
  count: bigint;
  /** Objects that were given out here. */
  references: number;
  /** Not asked for, there, or the error of the first try. */
  status: "pending" | "retrieved" | "finished" | LuoError;
}

/** The FLBs that were handed over. */
export class IncomingFlbs {
  readonly #kho: IncomingHandover | null;
  readonly #states = new Map<string, State>();

  /** @param kho where descriptors and blobs are taken back, or null at a cold start */
  constructor(kho: IncomingHandover | null) {
    this.#kho = kho;
  }

  /**
   * Takes note of what was handed over.
   *
   * @throws {LuoError} `EINVAL` for a name that is there twice, or a count of zero
   */
  receive(records: readonly FlbRecord[]): void {
    for (const { compatible, count, data } of records) {
      const action = `Cannot read FLB "${compatible}" of the handover`;
      if (this.#states.has(compatible)) throw new LuoError("EINVAL", `${action}: the name is there twice`);
      if (count === 0n) throw new LuoError("EINVAL", `${action}: nothing depends on it`);
      this.#states.set(compatible, { data, object: null, count, references: 0, status: "pending" });
    }
  }

  /** What was handed over, in its order. */
  records(): { compatible: string; data: bigint }[] {
    return [...this.#states].map(([compatible, { data }]) => ({ compatible, data }));
  }

  /** The object of an FLB; see `FlbAccess.getIncoming`. */
  get<T>(flb: Flb<T>): T {
    const state = this.#find(flb as Flb);
    this.#retrieve(flb as Flb, state);
    state.count++;
    state.references++;
    return state.object as T;
  }

  /** Gives an object back; see `FlbAccess.putIncoming`. */
  put(flb: Flb): void {
    const state = this.#states.get(flb.compatible);
    if (state === undefined || state.references === 0) {
      throw new LuoError("EINVAL", `Cannot put FLB "${flb.compatible}": nobody got it`);
    }
    state.references--;
    this.#drop(flb, state);
  }

  /** A file that depends on these was finished. */
  fileFinished(flbs: readonly Flb[]): void {
    for (const flb of flbs.toReversed()) {
      const state = this.#states.get(flb.compatible);
      // A handler may have come to an FLB only in this build, so that its files never were in the count.
      if (state !== undefined && state.count > BigInt(state.references)) this.#drop(flb, state);
    }
  }

  #find(flb: Flb): State {
    const action = `Cannot get FLB "${flb.compatible}"`;
    if (this.#kho === null) throw new LuoError("ENODATA", `${action}: nothing was handed over`);
    const state = this.#states.get(flb.compatible);
    if (state === undefined) throw new LuoError("ENOENT", `${action}: none of that name was handed over`);
    if (state.status === "finished") throw new LuoError("ENODATA", `${action}: it is finished`);
    return state;
  }

  #retrieve(flb: Flb, state: State): void {
    if (typeof state.status === "object") throw state.status;
    if (state.status !== "pending") return;
    const args = { flb, data: state.data, object: null, kho: this.#kho as IncomingHandover };
    try {
      flb.retrieve(args);
    } catch (error) {
      // As with files: what retrieve consumed cannot be consumed again.
      state.status = new LuoError(
        codeOf(error),
        `Cannot retrieve FLB "${flb.compatible}": ${reasonOf(error)}`,
        { cause: error },
      );
      throw state.status;
    }
    state.object = args.object;
    state.status = "retrieved";
  }

  #drop(flb: Flb, state: State): void {
    state.count--;
    if (state.count > 0n) return;
    try {
      this.#retrieve(flb, state);
      flb.finish({ flb, data: state.data, object: state.object, kho: this.#kho as IncomingHandover });
    } catch (error) {
      console.error(`heirloom: FLB "${flb.compatible}" failed to finish: ${reasonOf(error)}`);
    }
    state.status = "finished";
    state.object = null;
  }
}
