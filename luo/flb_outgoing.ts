/**
 * FLBs on the outgoing side: preserved with the first file that depends on them, unpreserved with the last.
 *
 * Happy path: `take` for each file, `records` at the freeze.
 *
 * Unhappy path: one that cannot be preserved: those that were taken before it for the same file are dropped again, in
 * reverse order.
 *
 * @module
 */
import type { FlbRecord } from "../kho/abi/luo.ts";
import { codeOf, LuoError, reasonOf } from "./errors.ts";
import type { Flb } from "./flb.ts";
import type { OutgoingHandover } from "./handler.ts";

interface State {
  data: bigint;
  object: unknown;
  /** Files that depend on it. */
  files: number;
  /** Objects that were given out and not given back. */
  references: number;
}

/** The FLBs that will cross. */
export class OutgoingFlbs {
  readonly #kho: OutgoingHandover;
  readonly #states = new Map<Flb, State>();

  /** @param kho where descriptors and blobs are preserved */
  constructor(kho: OutgoingHandover) {
    this.#kho = kho;
  }

  /**
   * Takes all FLBs of a file, first to last.
   *
   * @throws {LuoError} the errno of the one that could not be preserved; nothing is taken then
   */
  take(flbs: readonly Flb[]): void {
    for (const [index, flb] of flbs.entries()) {
      try {
        this.#take(flb);
      } catch (error) {
        this.drop(flbs.slice(0, index));
        throw new LuoError(
          codeOf(error),
          `Cannot preserve FLB "${flb.compatible}": ${reasonOf(error)}`,
          { cause: error },
        );
      }
    }
  }

  /** The inverse of {@linkcode take}, last to first. */
  drop(flbs: readonly Flb[]): void {
    for (const flb of flbs.toReversed()) {
      const state = this.#states.get(flb);
      if (state === undefined) continue;
      state.files--;
      this.#settle(flb, state);
    }
  }

  /** The object of a preserved FLB; see `FlbAccess.getOutgoing`. */
  get<T>(flb: Flb<T>): T {
    const state = this.#states.get(flb as Flb);
    if (state === undefined) {
      throw new LuoError("ENOENT", `Cannot get FLB "${flb.compatible}": no preserved file depends on it`);
    }
    state.references++;
    return state.object as T;
  }

  /** Gives an object back; see `FlbAccess.putOutgoing`. */
  put(flb: Flb): void {
    const state = this.#states.get(flb);
    if (state === undefined || state.references === 0) {
      throw new LuoError("EINVAL", `Cannot put FLB "${flb.compatible}": nobody got it`);
    }
    state.references--;
    this.#settle(flb, state);
  }

  /** The records of those that are preserved, in the given order; a reference counts as a file does, as in the kernel. */
  records(order: readonly Flb[]): FlbRecord[] {
    // One that was unregistered while files depend on it crosses all the same, behind the others.
    const all = new Set([...order.filter((flb) => this.#states.has(flb)), ...this.#states.keys()]);
    return [...all].map((flb) => {
      const { data, files, references } = this.#states.get(flb) as State;
      return { compatible: flb.compatible, count: BigInt(files + references), data };
    });
  }

  #take(flb: Flb): void {
    const state = this.#states.get(flb);
    if (state !== undefined) {
      state.files++;
      return;
    }
    const args = { flb, data: 0n, object: null, kho: this.#kho };
    flb.preserve(args);
    this.#states.set(flb, { data: args.data, object: args.object, files: 1, references: 0 });
  }

  #settle(flb: Flb, state: State): void {
    if (state.files + state.references > 0) return;
    this.#states.delete(flb);
    flb.unpreserve({ flb, data: state.data, object: state.object, kho: this.#kho });
  }
}
