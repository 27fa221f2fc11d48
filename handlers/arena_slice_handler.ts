/**
 * `arena-slice-v1`: slices of the arena, which itself crosses as the FLB `arena-v1`.
 *
 * Preserved:
 * - content, offset and size of the slice
 * - views of other processes that have mapped the arena
 *
 * Not preserved:
 * - the open file description: the new build gets one of its own, at the beginning of the slice, open for reading and
 *   writing
 * - views of this process: the new build takes `arena.slice(fd).bytes`
 * - undoing what a new build wrote before it failed
 *
 * Taken with: `@heirloom/heirloom/arena`.
 *
 * No descriptor of a slice crosses, and no blob: where it lies is its `serializedData`. A descriptor is known as a slice by
 * its open file description, so a duplicate is one as well, and the arena's own is not.
 *
 * @module
 */
import { HandoverError } from "../kho/errors.ts";
import type { CheckArgs, FileHandler, IncomingArgs, OutgoingArgs } from "../luo/handler.ts";
import type { ArenaKeeper } from "./arena_keeper.ts";
import type { Arena } from "./arena_memory.ts";
import { ARENA_UNIT, packRange, unitsOf, unpackRange } from "./arena_record.ts";
import { Runs } from "./arena_runs.ts";
import type { Slice } from "./arena_slice.ts";

/** Carries slices of the arena of a process. */
export class ArenaSliceHandler implements FileHandler {
  readonly compatible = "arena-slice-v1";
  readonly #keeper: ArenaKeeper;

  /** @param keeper who knows the arena of the process */
  constructor(keeper: ArenaKeeper) {
    this.#keeper = keeper;
  }

  /** Is it a slice? */
  canPreserve({ fd }: { fd: number }): boolean {
    return this.#keeper.arena?.find(fd) !== undefined;
  }

  /** Slices differ by where they lie: all have the inode of the arena. */
  getId({ fd }: { fd: number }): string {
    const { arena, slice } = this.#find(fd);
    return `arena:${arena.id}:${slice.offset}`;
  }

  /** Holds the slice, and packs where it lies. */
  preserve(args: OutgoingArgs): void {
    const { slice } = this.#find(args.fd);
    slice.holder = "outgoing";
    args.privateData = slice;
    args.serializedData = packRange(slice);
    this.#keeper.flb.change();
  }

  /** The inverse of {@linkcode preserve}. */
  unpreserve(args: OutgoingArgs): void {
    (args.privateData as Slice).holder = null;
    this.#keeper.flb.change();
  }

  /** The arena has to say which slices cross. */
  freeze(args: OutgoingArgs): void {
    this.#keeper.flb.freeze(args.kho);
  }

  /** Opens the arena once more, at the slice. The arena owns what is opened. */
  retrieve(args: IncomingArgs): number {
    const { offset, size } = unpackRange(args.serializedData);
    using undo = new DisposableStack();
    const arena = args.flbs.getIncoming(this.#keeper.flb);
    undo.defer(() => args.flbs.putIncoming(this.#keeper.flb));
    const slice = arena.restore(offset, size);
    slice.holder = "incoming";
    undo.move();
    return slice.fd;
  }

  /** From now on the slice is the application's, which may free it or preserve it again. */
  finish(args: IncomingArgs): void {
    if (args.retrieveStatus !== 1) return;
    const slice = this.#keeper.arena?.at(unpackRange(args.serializedData).offset);
    if (slice !== undefined) slice.holder = null;
    args.flbs.putIncoming(this.#keeper.flb);
  }

  /**
   * Could the slice be taken back? A check asks this of all files before the application begins.
   *
   * @throws {HandoverError} when its record is none, or it overlaps another slice
   */
  check(args: CheckArgs): undefined {
    const { offset, size } = unpackRange(args.serializedData);
    this.#keeper.check ??= new Runs();
    try {
      this.#keeper.check.give(offset / ARENA_UNIT, unitsOf(size));
    } catch (error) {
      throw new HandoverError("CORRUPT", `Cannot read the slice at ${offset}: it overlaps another one`, {
        cause: error,
      });
    }
  }

  /** In a check: a slice of an arena of zeros. */
  standIn(args: CheckArgs): number {
    const arena = this.#keeper.incoming();
    if (arena === null) {
      throw new HandoverError("ENOENT", "Cannot take a slice back: no arena was handed over");
    }
    const { offset, size } = unpackRange(args.serializedData);
    return arena.restore(offset, size).fd;
  }

  #find(fd: number): { arena: Arena; slice: Slice } {
    const { arena } = this.#keeper;
    const slice = arena?.find(fd);
    if (arena === null || slice === undefined) {
      throw new TypeError(`Cannot preserve fd ${fd}: it is no slice`);
    }
    return { arena, slice };
  }
}
