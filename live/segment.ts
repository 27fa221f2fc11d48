/**
 * Shared memory that survives updates: a memfd under a name, mapped into the process.
 *
 * Happy path: `const hits = await live.segment("hits", { size: 4096 })`, then `hits.bytes` is a `Uint8Array` over the
 * memory, in the old build and in the new.
 *
 * Unhappy paths: a build that asks for more than there is sees the old size until the update is committed, and the new
 * one after it; a build that asks for less keeps the size and sees the beginning. What a new build wrote before it
 * failed stays written.
 *
 * @module
 */
import { fstat, Mapping, type OwnedFd, truncate } from "../sys/mod.ts";

/** How a segment is asked for. */
export interface SegmentOptions {
  /** Bytes that the application wants to see, 1 or more. */
  size: number;
}

/** Shared memory under a name. */
export class SharedSegment {
  /** Its name. */
  readonly name: string;
  readonly #memory: OwnedFd;
  readonly #wanted: number;
  readonly #drop: () => void;
  #mapping: Mapping;

  /**
   * For `live` only.
   *
   * @param name its name
   * @param memory the memfd; owned from here on
   * @param wanted bytes that the application wants to see
   * @param drop takes the name out of the table
   */
  constructor(name: string, memory: OwnedFd, wanted: number, drop: () => void) {
    this.name = name;
    this.#memory = memory;
    this.#wanted = wanted;
    this.#drop = drop;
    this.#mapping = Mapping.map(memory.fd, Math.min(wanted, this.size), { writable: true });
  }

  /** The memory. Take it anew after `ready()` when the segment was asked for larger than it was. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#mapping.bytes;
  }

  /** The descriptor, for handing to other processes; it stays the segment's. */
  get fd(): number {
    return this.#memory.fd;
  }

  /** Bytes that the memory has, whatever part of it is shown. */
  get size(): number {
    return Number(fstat(this.#memory.fd).size);
  }

  /** Grows the memory to what was asked for. For `live` only, at the commit. */
  settle(): void {
    if (this.size < this.#wanted) truncate(this.#memory.fd, this.#wanted);
    if (this.#mapping.length >= this.#wanted) return;
    const old = this.#mapping;
    this.#mapping = Mapping.map(this.#memory.fd, this.#wanted, { writable: true });
    old[Symbol.dispose]();
  }

  /** Gives the memory up: the name is free, views have length 0, and the memory goes with its last holder. */
  drop(): void {
    if (this.#memory.disposed) return;
    this.#drop();
    this.#mapping[Symbol.dispose]();
    this.#memory[Symbol.dispose]();
  }
}
