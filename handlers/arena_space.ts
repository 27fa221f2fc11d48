/**
 * The account of an arena: which bytes are free, and which the previous build left for slices that nobody has taken back
 * yet. Those are not free: the previous build may come back for them.
 *
 * Happy path: `take`, `give`; after a handover `claim` for each slice that is taken back, and `settle` at its end.
 *
 * Unhappy paths: no room in one piece is null; a claim to what was not left is false.
 *
 * @module
 */
import { ARENA_UNIT, type SliceRange, unitsOf } from "./arena_record.ts";
import { type Run, Runs } from "./arena_runs.ts";

/** Who has which bytes. */
export class ArenaSpace {
  readonly #free = new Runs();
  readonly #left = new Runs();

  /**
   * @param size bytes of the arena
   * @param held the units that the previous build left
   */
  constructor(size: number, held: readonly Run[]) {
    this.#free.give(0, size / ARENA_UNIT);
    for (const { start, end } of held) {
      this.#free.takeAt(start, end - start);
      this.#left.give(start, end - start);
    }
  }

  /** Bytes that are free, in however many pieces. */
  get free(): number {
    return this.#free.units * ARENA_UNIT;
  }

  /** Takes that many bytes, first fit. Gives where they begin, or null. */
  take(size: number): number | null {
    const start = this.#free.take(unitsOf(size));
    return start === null ? null : start * ARENA_UNIT;
  }

  /** Gives the bytes of a slice back. */
  give({ offset, size }: SliceRange): void {
    this.#free.give(offset / ARENA_UNIT, unitsOf(size));
  }

  /** Takes what the previous build left. False when it did not. */
  claim({ offset, size }: SliceRange): boolean {
    return this.#left.takeAt(offset / ARENA_UNIT, unitsOf(size));
  }

  /** The inverse of {@linkcode claim}. */
  unclaim({ offset, size }: SliceRange): void {
    this.#left.give(offset / ARENA_UNIT, unitsOf(size));
  }

  /** The handover is over: what nobody claimed is free. */
  settle(): void {
    for (const { start, end } of this.#left.list()) {
      this.#left.takeAt(start, end - start);
      this.#free.give(start, end - start);
    }
  }
}
