/**
 * An arena: one memfd, mapped once, in which many slices lie.
 *
 * Happy path: `arena.allocate(size)` gives a {@linkcode Slice} of zeros; disposing it gives the memory back. Slices are
 * placed first fit, each on a multiple of 64 bytes.
 *
 * Unhappy paths: no room in one piece is `ENOSPC`; an arena that an update holds cannot be disposed of (`EBUSY`).
 *
 * @module
 */
import { HandoverError } from "../kho/errors.ts";
import { LuoError } from "../luo/errors.ts";
import { type OwnedFd, seek } from "../sys/mod.ts";
import { ArenaMemory, asLuo } from "./arena_memfd.ts";
import { checkSize, MAX_ARENA_BYTES, MAX_SLICE_BYTES, type SliceRange } from "./arena_record.ts";
import type { Run } from "./arena_runs.ts";
import { Slice } from "./arena_slice.ts";
import { ArenaSpace } from "./arena_space.ts";

/** Shared memory for many slices. */
export class Arena implements Disposable {
  readonly #memory: ArenaMemory;
  readonly #space: ArenaSpace;
  readonly #slices = new Map<number, Slice>();
  #holders = 0;

  /**
   * For `createArena` and the FLB only.
   *
   * @param memory its memory; owned from here on
   * @param held the units in which slices lie that were handed over
   */
  constructor(memory: ArenaMemory, held: readonly Run[] = []) {
    this.#memory = memory;
    this.#space = new ArenaSpace(memory.size, held);
  }

  /** Makes a new one; see `createArena`. */
  static create(size: number): Arena {
    const action = `Cannot create an arena of ${size} bytes`;
    checkSize(size, MAX_ARENA_BYTES, action);
    return new Arena(asLuo(action, () => ArenaMemory.create(size)));
  }

  /** Its size in bytes, a multiple of 64. */
  get size(): number {
    return this.#memory.size;
  }

  /** What makes it different from every other file. */
  get id(): string {
    return this.#memory.id;
  }

  /** All its bytes. Slices are the way to share them out. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#memory.bytes;
  }

  /** Its descriptor, for handing to other processes. It stays the arena's, and it cannot be preserved: slices can. */
  get fd(): number {
    return this.#memory.fd;
  }

  /** Bytes that can be allocated, in however many pieces. */
  get free(): number {
    return this.#space.free;
  }

  /** Was it disposed of? */
  get disposed(): boolean {
    return this.#memory.disposed;
  }

  /** Does LUO hold slices of it? */
  get held(): boolean {
    return this.#holders > 0;
  }

  /** The slices, by offset. */
  slices(): Slice[] {
    return [...this.#slices.values()].sort((a, b) => a.offset - b.offset);
  }

  /**
   * Takes memory for a slice.
   *
   * @param size bytes, 1 to 4 GiB - 1
   * @returns a slice of zeros
   * @throws {LuoError} `EBADF` when the arena is disposed of, `EINVAL` for another size, `ENOSPC` when there is no room in
   * one piece, `EMFILE`
   */
  allocate(size: number): Slice {
    const action = `Cannot allocate ${size} bytes in the arena`;
    if (this.disposed) throw new LuoError("EBADF", `${action}: it is disposed of`);
    checkSize(size, MAX_SLICE_BYTES, action);
    const offset = this.#space.take(size);
    if (offset === null) {
      throw new LuoError("ENOSPC", `${action}: ${this.free} of ${this.size} are free, not in one piece`);
    }
    using undo = new DisposableStack();
    undo.defer(() => this.#space.give({ offset, size }));
    const slice = asLuo(action, () => this.#open({ offset, size }));
    slice.bytes.fill(0);
    undo.move();
    return slice;
  }

  /**
   * The slice behind a descriptor that `retrieveFd` gave, or behind any duplicate of a slice's own.
   *
   * @param fd the descriptor; it stays the caller's and may be closed, for the slice has its own
   * @throws {LuoError} `ENOENT` when it is no slice of this arena, `EBADF` when it is closed
   */
  slice(fd: number | OwnedFd): Slice {
    const number = typeof fd === "number" ? fd : fd.disposed ? -1 : fd.fd;
    const action = `Cannot find the slice of fd ${number}`;
    const slice = asLuo(action, () => this.find(number));
    if (slice === undefined) throw new LuoError("ENOENT", `${action}: it is none of this arena`);
    return slice;
  }

  /** The same without an error where there is none. For the handler only. */
  find(fd: number): Slice | undefined {
    if (this.disposed || !this.#memory.owns(fd)) return undefined;
    // The position is where the slice was opened, unless somebody moved it.
    const near = this.#slices.get(seek(fd, 0, "cur"));
    if (near?.isOpenAs(fd)) return near;
    return this.#slices.values().find((slice) => slice.isOpenAs(fd));
  }

  /** The slice that begins there. For the handler only. */
  at(offset: number): Slice | undefined {
    return this.#slices.get(offset);
  }

  /**
   * Takes a slice of the previous build back. For the handler only.
   *
   * @throws {HandoverError} `CORRUPT` when it left none there
   */
  restore(offset: number, size: number): Slice {
    const range = { offset, size };
    if (!this.#space.claim(range)) {
      const state = `the previous build left no ${size} bytes there`;
      throw new HandoverError("CORRUPT", `Cannot take back the slice at ${offset}: ${state}`);
    }
    using undo = new DisposableStack();
    undo.defer(() => this.#space.unclaim(range));
    const slice = this.#open(range);
    undo.move();
    return slice;
  }

  /** Says that a side of LUO holds it. For the FLB only. */
  hold(): void {
    this.#holders++;
  }

  /** The inverse of {@linkcode hold}. */
  unhold(): void {
    this.#holders--;
  }

  /** The handover is over: what nobody took back is free. For the FLB only. */
  settle(): void {
    this.#space.settle();
  }

  /** Takes the memory of a slice back. For slices only. */
  release(slice: Slice): void {
    this.#slices.delete(slice.offset);
    this.#space.give(slice);
  }

  /**
   * Gives it up with all its slices; views of it have length 0. The memory goes with its last holder.
   *
   * @throws {LuoError} `EBUSY` while an update holds slices of it
   */
  [Symbol.dispose](): void {
    if (this.disposed) return;
    if (this.held) {
      throw new LuoError("EBUSY", "Cannot dispose of the arena: LUO holds slices of it");
    }
    for (const slice of this.#slices.values()) slice.close();
    this.#slices.clear();
    this.#memory[Symbol.dispose]();
  }

  #open(range: SliceRange): Slice {
    const slice = new Slice(this, range, this.#memory.open(range.offset));
    this.#slices.set(range.offset, slice);
    return slice;
  }
}
