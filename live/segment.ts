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
 * Whoever else has the descriptor may write, and may make the memory larger. It is sealed against becoming smaller: a page
 * that is gone ends every process that touches it (SIGBUS).
 *
 * @module
 */
import { LuoError } from "../luo/errors.ts";
import {
  addSeals,
  fstat,
  fstatfs,
  getSeals,
  HUGETLBFS_MAGIC,
  Mapping,
  type OwnedFd,
  SEALS,
  SysError,
  truncate,
} from "../sys/mod.ts";
import { checkFileSize } from "../sys/file.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { reportLate } from "./starter.ts";

/** How a segment is asked for. */
export interface SegmentOptions {
  /** Bytes that the application wants to see, 1 or more; on huge pages a multiple of the page. */
  size: number;
  /**
   * Memory on huge pages, which the administrator has set aside (`vm.nr_hugepages`); true for the machine's usual size.
   * They are promised to the segment when it is made, and cross with it.
   *
   * @default {ordinary pages}
   */
  hugePages?: true | "2MB" | "1GB";
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
   * @param memory the memory; owned from here on
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

  /** Grows the memory to what was asked for, and keeps it from shrinking. For `live` only, at the commit. */
  settle(): void {
    if (this.size < this.#wanted) truncate(this.#memory.fd, this.#wanted);
    this.fit();
    sealShrink(this.#memory.fd);
  }

  /** Gives the memory up: the name is free, views have length 0, and the memory goes with its last holder. */
  drop(): void {
    if (this.#memory.disposed) return;
    this.#drop();
    this.#mapping[Symbol.dispose]();
    this.#memory[Symbol.dispose]();
  }

  /** Shows what there is of what was asked for; another view, if it is another length. */
  protected fit(): void {
    const length = Math.min(this.#wanted, this.size);
    if (this.#mapping.length === length) return;
    const old = this.#mapping;
    this.#mapping = Mapping.map(this.#memory.fd, length, { writable: true });
    old[Symbol.dispose]();
  }
}

/**
 * Checks what is asked for.
 *
 * @param what what it is for, for the message
 * @param size bytes
 * @throws {RangeError} a size that is no positive safe integer
 */
export function checkSize(what: string, size: number): void {
  if (Number.isSafeInteger(size) && size >= 1) return;
  throw new RangeError(`Cannot take ${what}: size ${size} is no positive integer`);
}

/**
 * Checks before the commit that memory can be written and grown at the commit, when nothing leads back any more.
 *
 * @param name the name of the segment, for messages
 * @param fd the memory, borrowed
 * @param wanted bytes that the application wants to see
 * @param pageBytes bytes of the huge pages that it wants, or null for ordinary ones
 * @throws {LuoError} `EEXIST` when it is on other pages, `EPERM` when seals forbid writing or growing
 * @throws {SysError} EFBIG beyond `RLIMIT_FSIZE`
 */
export function checkMemory(name: string, fd: number, wanted: number, pageBytes: number | null): void {
  const { type, blockBytes } = fstatfs(fd);
  const found = type === HUGETLBFS_MAGIC ? blockBytes : null;
  if (found !== pageBytes) {
    const text = `on ${pagesOf(pageBytes)}: it was handed over on ${pagesOf(found)}`;
    throw new LuoError("EEXIST", `Cannot take segment "${name}" ${text}`);
  }
  const seals = sealsOf(fd);
  const forbidden = (what: string): LuoError =>
    new LuoError("EPERM", `Cannot take segment "${name}": its memory is sealed against ${what}`);
  if ((seals & (SEALS.WRITE | SEALS.FUTURE_WRITE)) !== 0) throw forbidden("writing");
  if (wanted > fstat(fd).size && (seals & SEALS.GROW) !== 0) {
    throw forbidden(`growing, and ${wanted} bytes are asked for`);
  }
  checkFileSize(fd, wanted, "ftruncate");
}

/** What does something at the commit, and ends with the application. */
export interface Settling {
  /** The update is committed, or the application is ready. */
  settle(): void;
  /** Gives it up. */
  drop(): void;
}

/** Who holds the segments of an application. */
export type SegmentHolder = Pick<Lifecycle, "resources" | "addSegment" | "removeSegment">;

/**
 * Puts memory into the hands of `live`. What goes wrong here leaves everything as it was.
 *
 * @param life the application
 * @param memory the memory under a name that was taken; owned from here on
 * @param handed was it handed over? Then it can be taken again after a failure
 * @param make makes the segment, which owns the memory
 * @returns the segment
 * @throws whatever `make` throws, and what mapping and growing the memory answer
 */
export function manage<Segment extends SharedSegment>(
  life: SegmentHolder,
  memory: { name: string; fd: OwnedFd },
  handed: boolean,
  make: (drop: () => void) => Segment,
): Segment {
  const { name, fd } = memory;
  using undo = new DisposableStack();
  undo.use(fd);
  undo.defer(() => handed ? life.resources.unclaim(name) : life.resources.drop(name));
  let managed = false;
  const segment = make(() => {
    if (!managed) return;
    life.resources.drop(name);
    life.removeSegment(segment);
  });
  undo.defer(() => segment.drop());
  life.addSegment(segment);
  managed = true;
  undo.move();
  return segment;
}

/**
 * Grows a segment at the commit. What can be known to fail was looked at before; if it does all the same, the service runs and
 * the memory keeps the size that it has.
 *
 * @param segment the segment
 */
export function settleAtCommit(segment: Settling): void {
  try {
    segment.settle();
  } catch (error) {
    reportLate(error);
  }
}

/** Seals memory against shrinking, where seals can be added at all. */
function sealShrink(fd: number): void {
  if ((sealsOf(fd) & (SEALS.SHRINK | SEALS.SEAL)) === 0) addSeals(fd, SEALS.SHRINK);
}

/** Seals; those of a file that knows none are sealed. */
function sealsOf(fd: number): number {
  try {
    return getSeals(fd);
  } catch (error) {
    if (error instanceof SysError && error.code === "EINVAL") return SEALS.SEAL;
    throw error;
  }
}

function pagesOf(bytes: number | null): string {
  return bytes === null ? "ordinary pages" : `pages of ${bytes / 1024} kB`;
}
