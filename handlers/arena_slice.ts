/**
 * A slice: a part of an arena, as bytes and as an open file.
 *
 * Happy path: `using slice = arena.allocate(4096)`; write to `slice.bytes`; `session.preserveFd(slice.fd, token)`.
 *
 * Unhappy paths: freeing a slice that LUO holds is `EBUSY`: of an outgoing session until it is unpreserved, of an incoming
 * one until it is finished. Using one that was freed is `EBADF`; views of it that were taken before show whatever lies
 * there next.
 *
 * @module
 */
import { LuoError } from "../luo/errors.ts";
import { type OwnedFd, sameOpenFile } from "../sys/mod.ts";
import type { SliceRange } from "./arena_record.ts";

/** What a slice needs of its arena. */
export interface SliceHome {
  /** All bytes of the arena. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Takes the units back. */
  release(slice: Slice): void;
}

/** Who of LUO holds a slice: a session that will cross, or one that did. */
export type SliceHolder = "outgoing" | "incoming";

/** A part of an arena. */
export class Slice implements Disposable {
  /** Its first byte in the arena, a multiple of 64. The same in every build. */
  readonly offset: number;
  /** Its size in bytes. */
  readonly size: number;
  /** Who of LUO holds it, or null. Set by the handler. */
  holder: SliceHolder | null = null;
  readonly #home: SliceHome;
  readonly #file: OwnedFd;
  #bytes: Uint8Array<ArrayBuffer> | null = null;

  /**
   * For the arena only.
   *
   * @param home the arena
   * @param range where it lies
   * @param file an open file description of its own; owned from here on
   */
  constructor(home: SliceHome, { offset, size }: SliceRange, file: OwnedFd) {
    this.#home = home;
    this.offset = offset;
    this.size = size;
    this.#file = file;
  }

  /**
   * The descriptor to preserve it with: the arena's memory, opened once more. The slice's; LUO keeps a duplicate. Its
   * position says which slice it is: leave it alone, and read and write through {@linkcode bytes}.
   *
   * @throws {LuoError} `EBADF` when it is freed
   */
  get fd(): number {
    this.#check("use");
    return this.#file.fd;
  }

  /**
   * Its memory, the same view each time.
   *
   * @throws {LuoError} `EBADF` when it is freed
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    this.#check("use");
    return this.#bytes ??= this.#home.bytes.subarray(this.offset, this.offset + this.size);
  }

  /** Was it freed? */
  get freed(): boolean {
    return this.#file.disposed;
  }

  /** Is this descriptor a duplicate of its own? */
  isOpenAs(fd: number): boolean {
    return !this.#file.disposed && sameOpenFile(this.#file.fd, fd);
  }

  /** Closes the descriptor without giving the memory back. For the arena only, at its end. */
  close(): void {
    this.#file[Symbol.dispose]();
  }

  /**
   * Frees it, once: the arena may give its memory to another slice.
   *
   * @throws {LuoError} `EBUSY` while LUO holds it
   */
  [Symbol.dispose](): void {
    if (this.#file.disposed) return;
    if (this.holder !== null) {
      const until = this.holder === "outgoing" ? "it is unpreserved" : "its session is finished";
      throw new LuoError("EBUSY", `Cannot free ${this.#name()}: LUO holds it until ${until}`);
    }
    this.#file[Symbol.dispose]();
    this.#home.release(this);
  }

  #check(action: string): void {
    if (this.#file.disposed) throw new LuoError("EBADF", `Cannot ${action} ${this.#name()}: it is freed`);
  }

  #name(): string {
    return `the slice at ${this.offset}`;
  }
}
