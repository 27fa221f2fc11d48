/**
 * Files and memfds as memory.
 *
 * Happy path: `using mapping = Mapping.map(fd, length, { writable: true }); mapping.bytes[0] = 1;`. All who map the file
 * share the bytes.
 *
 * Unhappy paths:
 * 1. The bytes are used after the mapping is gone. C would crash; here the `ArrayBuffer` is detached first, so every
 *    view of it has length 0, reads `undefined` and ignores writes.
 * 2. Somebody transferred the `ArrayBuffer` (to a `Worker`, or with `transfer()`): then it cannot be detached here, and
 *    its address range is filled with private zeros instead of being given back.
 * 3. The file shrinks under the mapping: the next access ends the process (SIGBUS). Nothing here can prevent that but
 *    `SEALS.SHRINK`.
 *
 * @module
 */

import { ERRNO, SysError } from "./errno.ts";
import { fstat } from "./stat.ts";
import { call, lastErrno } from "./symbols.ts";

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_NORESERVE = 0x4000;
const MADV_DONTNEED = 4;
const MAP_FAILED = 0xffffffffffffffffn;

/** How to map a file. */
export interface MappingOptions {
  /**
   * True: what is written to the bytes is written to the file. False: it changes a private copy of that page, which
   * nobody else sees; a mapping without the right to write would crash the process instead.
   */
  writable: boolean;
}

/** A file mapped into memory. */
export class Mapping implements Disposable {
  /** Length of the mapping in bytes. */
  readonly length: number;
  #bytes: Uint8Array<ArrayBuffer> | null;
  #address: Deno.PointerObject | null;
  readonly #writable: boolean;

  private constructor(address: Deno.PointerObject | null, length: number, writable: boolean) {
    this.length = length;
    this.#address = address;
    this.#writable = writable;
    this.#bytes = new Uint8Array(
      address === null ? new ArrayBuffer(0) : Deno.UnsafePointerView.getArrayBuffer(address, length),
    );
  }

  /**
   * Maps the first bytes of a file. The mapping lives on when the descriptor is closed.
   *
   * @param fd a descriptor open for reading, and for writing if `writable`
   * @param length how many bytes; 0 maps nothing and gives empty bytes
   * @param options shared or private
   * @returns the mapping
   * @throws {SysError} EBADF; EACCES if the descriptor is not open for what is asked; EPERM if sealed against writing;
   * ENODEV if the file cannot be mapped; ENOMEM
   * @throws {RangeError} if `length` is not a safe integer from 0 on, or beyond the end of a regular file: there an access
   * would end the process
   */
  static map(fd: number, length: number, options: MappingOptions): Mapping {
    if (!Number.isSafeInteger(length) || length < 0) {
      throw new RangeError(`Cannot map ${length} bytes of fd ${fd}: not a safe integer from 0 on`);
    }
    const { kind, size } = fstat(fd);
    if (kind === "file" && length > size) {
      throw new RangeError(`Cannot map ${length} bytes of fd ${fd}: the file has ${size}`);
    }
    if (length === 0) return new Mapping(null, 0, options.writable);
    const flags = options.writable ? MAP_SHARED : MAP_PRIVATE | MAP_NORESERVE;
    return new Mapping(mapMemory(null, length, flags, fd), length, options.writable);
  }

  /**
   * The mapped bytes, the same view each time.
   *
   * @throws {TypeError} after disposal
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    if (this.#bytes === null) throw new TypeError("Cannot use a mapping: it is disposed of");
    return this.#bytes;
  }

  /**
   * Takes the pages of a shared mapping out of this process. Their content stays in the file, and the next access
   * brings them back. An exec right after is shorter by what it would have spent on them, about 45 ms for each GiB. A
   * private mapping is left alone, because there it would undo what was written.
   *
   * @throws {TypeError} after disposal
   */
  releasePages(): void {
    if (this.bytes.length === 0 || !this.#writable) return;
    if (call.madvise(this.#address, BigInt(this.length), MADV_DONTNEED) === -1) {
      throw new SysError("madvise", lastErrno(), `${this.length} bytes`);
    }
  }

  /** Unmaps, once. All views of the bytes have length 0 from now on. */
  [Symbol.dispose](): void {
    const bytes = this.#bytes;
    const address = this.#address;
    this.#bytes = null;
    this.#address = null;
    if (bytes === null || address === null) return;
    if (bytes.buffer.detached) {
      // Somebody else has the memory now, maybe on another thread: it must stay readable.
      mapMemory(address, this.length, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1);
      return;
    }
    bytes.buffer.transfer();
    if (call.munmap(address, BigInt(this.length)) === -1) {
      throw new SysError("munmap", lastErrno(), `${this.length} bytes`);
    }
  }
}

function mapMemory(at: Deno.PointerValue, length: number, flags: number, fd: number): Deno.PointerObject {
  const address = call.mmap(at, BigInt(length), PROT_READ | PROT_WRITE, flags, fd, 0n);
  // Before anything is done with the result: a failure is about to be told by errno.
  const errno = lastErrno();
  if (address === null || BigInt(Deno.UnsafePointer.value(address)) === MAP_FAILED) {
    throw new SysError("mmap", address === null ? ERRNO.ENOMEM : errno, `${length} bytes of fd ${fd}`);
  }
  return address;
}
