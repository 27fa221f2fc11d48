/**
 * The memory of an arena: a memfd of fixed size, mapped once, and opened once more for each slice.
 *
 * Happy path: `create` or `adopt`, then `bytes`; `open` gives an open file description of its own, by which a slice is
 * known again.
 *
 * Unhappy path: what the kernel refuses is a `SysError`. The memory is sealed against growing and shrinking, so that no
 * access can end the process.
 *
 * @module
 */
import { HandoverError } from "../kho/errors.ts";
import { LuoError } from "../luo/errors.ts";
import {
  addSeals,
  createMemfd,
  dupFd,
  fstat,
  getSeals,
  Mapping,
  openFile,
  type OwnedFd,
  SEALS,
  seek,
  SysError,
} from "../sys/mod.ts";
import { ARENA_UNIT, unitsOf } from "./arena_record.ts";
import { ARENA_MEMFD, isArenaMemfd } from "./memfd.ts";

const SIZE_SEALS = SEALS.SHRINK | SEALS.GROW;

/** A mapped memfd. */
export class ArenaMemory implements Disposable {
  /** Its size in bytes. */
  readonly size: number;
  /** What makes it different from every other file: `device:inode`. */
  readonly id: string;
  readonly #memfd: OwnedFd;
  readonly #mapping: Mapping;

  private constructor(memfd: OwnedFd, size: number) {
    this.size = size;
    this.id = identityOf(memfd.fd);
    this.#memfd = memfd;
    this.#mapping = Mapping.map(memfd.fd, size, { writable: true });
  }

  /** Makes memory of zeros, of at least that many bytes. */
  static create(bytes: number): ArenaMemory {
    const size = unitsOf(bytes) * ARENA_UNIT;
    using undo = new DisposableStack();
    const memfd = undo.use(createMemfd(ARENA_MEMFD, { size }));
    addSeals(memfd.fd, SIZE_SEALS | SEALS.SEAL);
    const memory = new ArenaMemory(memfd, size);
    undo.move();
    return memory;
  }

  /**
   * Takes memory over.
   *
   * @param fd its descriptor, borrowed
   * @param size what size it should have
   * @throws {HandoverError} `WRONG_DESCRIPTOR` when it is no such memory
   */
  static adopt(fd: number, size: number): ArenaMemory {
    const wrong = (state: string): HandoverError =>
      new HandoverError("WRONG_DESCRIPTOR", `Cannot take over the arena in fd ${fd}: ${state}`);
    if (!isArenaMemfd(fd)) throw wrong(`it is no memfd "${ARENA_MEMFD}"`);
    const found = fstat(fd).size;
    if (found !== size) throw wrong(`it has ${found} bytes instead of ${size}`);
    if ((getSeals(fd) & SIZE_SEALS) !== SIZE_SEALS) throw wrong("its size is not sealed");
    using undo = new DisposableStack();
    const memory = new ArenaMemory(undo.use(dupFd(fd)), size);
    undo.move();
    return memory;
  }

  /** All its bytes. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#mapping.bytes;
  }

  /** Its descriptor, borrowed. */
  get fd(): number {
    return this.#memfd.fd;
  }

  /** Was it given up? */
  get disposed(): boolean {
    return this.#memfd.disposed;
  }

  /** Is this descriptor of the same memory? */
  owns(fd: number): boolean {
    return identityOf(fd) === this.id;
  }

  /** Opens it once more, at a position. */
  open(position: number): OwnedFd {
    using undo = new DisposableStack();
    const file = undo.use(openFile(`/proc/self/fd/${this.#memfd.fd}`, { read: true, write: true }));
    seek(file.fd, position, "set");
    undo.move();
    return file;
  }

  /** Unmaps and closes, once. */
  [Symbol.dispose](): void {
    if (this.disposed) return;
    this.#mapping[Symbol.dispose]();
    this.#memfd[Symbol.dispose]();
  }
}

/** Gives what the kernel refused as an error of LUO. */
export function asLuo<T>(action: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new LuoError(error.code, `${action}: ${error.message}`, { cause: error });
  }
}

function identityOf(fd: number): string {
  const { dev, ino } = fstat(fd);
  return `${dev}:${ino}`;
}
