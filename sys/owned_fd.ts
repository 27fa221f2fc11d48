/**
 * Ownership of a descriptor. Where code here takes or gives a plain `fd: number`, it is borrowed; an {@linkcode OwnedFd}
 * is closed by its holder, at the end of a `using` block.
 *
 * Happy path: `using file = openFile(path); read(file.fd, bytes);`
 *
 * Unhappy paths:
 * 1. Used after its end: {@linkcode OwnedFd.fd} throws, instead of naming a number that may be another file by now.
 * 2. Handed on: {@linkcode OwnedFd.release} gives the number away, and the disposal then closes nothing.
 *
 * @module
 */

import { check } from "./errno.ts";
import { closeFd } from "./fd.ts";
import { call } from "./symbols.ts";

const F_DUPFD_CLOEXEC = 1030;

/** A descriptor that is closed with its owner. */
export class OwnedFd implements Disposable {
  #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Takes over a descriptor. From now on nobody else may close it.
   *
   * @param fd descriptor number; that it is open is not checked here
   * @returns its owner
   * @throws {RangeError} if it is not a descriptor number
   */
  static adopt(fd: number): OwnedFd {
    if (!Number.isInteger(fd) || fd < 0 || fd > 0x7fffffff) {
      throw new RangeError(`Cannot adopt fd ${fd}: not a descriptor number`);
    }
    return new OwnedFd(fd);
  }

  /**
   * The number, to be borrowed.
   *
   * @throws {TypeError} after disposal or release
   */
  get fd(): number {
    if (this.#fd < 0) {
      throw new TypeError("Cannot use a descriptor: its owner has closed it or given it away");
    }
    return this.#fd;
  }

  /** True after disposal or release. */
  get disposed(): boolean {
    return this.#fd < 0;
  }

  /**
   * Duplicates the descriptor: the same open file under another number, close-on-exec.
   *
   * @param min lowest number to take; 3 by default, so that a closed standard stream is never filled
   * @returns the owner of the duplicate
   * @throws {TypeError} after disposal or release
   * @throws {SysError} EBADF; EMFILE at the limit; EINVAL if `min` is beyond the limit
   */
  dup(min = 3): OwnedFd {
    return dupFd(this.fd, min);
  }

  /**
   * Gives the descriptor away; the caller closes it now.
   *
   * @returns its number
   * @throws {TypeError} after disposal or release
   */
  release(): number {
    const fd = this.fd;
    this.#fd = -1;
    return fd;
  }

  /**
   * Closes the descriptor, once.
   *
   * @throws {SysError} EBADF if somebody else has closed it before: two owners, a fault in the program
   */
  [Symbol.dispose](): void {
    if (this.#fd >= 0) closeFd(this.release());
  }
}

/**
 * Duplicates a borrowed descriptor: the same open file under another number, close-on-exec (`F_DUPFD_CLOEXEC`).
 *
 * @param fd an open descriptor
 * @param min lowest number to take; 3 by default, so that a closed standard stream is never filled
 * @returns the owner of the duplicate
 * @throws {SysError} EBADF; EMFILE at the limit; EINVAL if `min` is beyond the limit
 */
export function dupFd(fd: number, min = 3): OwnedFd {
  return OwnedFd.adopt(check(call.fcntl(fd, F_DUPFD_CLOEXEC, min), "fcntl", fd));
}
