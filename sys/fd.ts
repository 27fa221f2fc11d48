/**
 * Descriptors and their flags. Every `fd` here is borrowed: nothing but {@linkcode closeFd} ends one. Who owns a
 * descriptor holds an `OwnedFd`.
 *
 * Happy path: {@linkcode closeOnExecFrom} marks everything, {@linkcode setCloexec} takes the mark off what shall cross
 * an exec.
 *
 * Unhappy path: the number is not open: `SysError` with code EBADF from each function but {@linkcode isOpenFd}.
 *
 * @module
 */

import { check, checkRetrying, ERRNO, SysError } from "./errno.ts";
import { call, lastErrno } from "./symbols.ts";

const F_GETFD = 1;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const FD_CLOEXEC = 1;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const CLOSE_RANGE_CLOEXEC = 4;

/**
 * Closes a descriptor.
 *
 * @param fd an open descriptor that the caller owns
 * @throws {SysError} EBADF if it is not open; EIO, ENOSPC or EDQUOT if an earlier write failed late: it is closed all
 * the same
 */
export function closeFd(fd: number): void {
  if (call.close(fd) !== -1) return;
  const errno = lastErrno();
  // close(2): on Linux the descriptor is gone even then. A second try could close somebody else's.
  if (errno !== ERRNO.EINTR) throw new SysError("close", errno, `fd ${fd}`);
}

/**
 * Is there a descriptor of this number?
 *
 * @param fd any number
 * @returns true if it is open
 */
export function isOpenFd(fd: number): boolean {
  return call.fcntl(fd, F_GETFD, 0) !== -1;
}

/**
 * Is there a descriptor of this number that an exec leaves open?
 *
 * @param fd any number
 * @returns true if it is open and not marked close-on-exec
 */
export function isInheritable(fd: number): boolean {
  return call.fcntl(fd, F_GETFD, 0) === 0;
}

/**
 * Is this descriptor closed by an exec?
 *
 * @param fd an open descriptor
 * @returns the close-on-exec flag
 * @throws {SysError} EBADF
 */
export function getCloexec(fd: number): boolean {
  return (check(call.fcntl(fd, F_GETFD, 0), "fcntl", fd) & FD_CLOEXEC) !== 0;
}

/**
 * Decides whether this descriptor is closed by an exec. The flag belongs to the number, not to its duplicates.
 *
 * @param fd an open descriptor
 * @param on true to close it
 * @throws {SysError} EBADF
 */
export function setCloexec(fd: number, on: boolean): void {
  check(call.fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0), "fcntl", fd);
}

/**
 * Makes a number refer to the same open file as a descriptor, close-on-exec (`dup3(2)`). What the number referred to
 * before is closed in the same step.
 *
 * @param fd an open descriptor, borrowed
 * @param number where to; not `fd` itself
 * @throws {SysError} EBADF if `fd` is closed or `number` is beyond the limit; EINVAL if both are the same
 */
export function dupOnto(fd: number, number: number): void {
  checkRetrying(() => call.dup3(fd, number, O_CLOEXEC), "dup3", `fd ${fd} onto ${number}`);
}

/**
 * The status flags and the access mode of an open file (`F_GETFL`).
 *
 * @param fd an open descriptor
 * @returns `O_*` bits; `O_LARGEFILE` and others that the kernel adds are in it
 * @throws {SysError} EBADF
 */
export function getFlags(fd: number): number {
  return check(call.fcntl(fd, F_GETFL, 0), "fcntl", fd);
}

/**
 * Sets the status flags of an open file (`F_SETFL`): O_APPEND, O_ASYNC, O_DIRECT, O_NOATIME and O_NONBLOCK; the kernel
 * ignores the other bits. All duplicates of the descriptor share these flags, also those in other processes.
 *
 * @param fd an open descriptor
 * @param flags `O_*` bits
 * @throws {SysError} EBADF; EPERM for an append-only file; EINVAL if the file cannot do O_DIRECT
 */
export function setFlags(fd: number, flags: number): void {
  check(call.fcntl(fd, F_SETFL, flags), "fcntl", fd);
}

/**
 * Sets or clears O_NONBLOCK, which all duplicates of the descriptor share.
 *
 * @param fd an open descriptor
 * @param on true for nonblocking
 * @throws {SysError} EBADF
 */
export function setNonblocking(fd: number, on: boolean): void {
  const flags = getFlags(fd);
  const wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  if (wanted !== flags) setFlags(fd, wanted);
}

/**
 * Marks a whole range of descriptors close-on-exec with one call (`close_range(2)`, Linux 5.11). Numbers that are not
 * open are skipped.
 *
 * @param first lowest number
 * @param last highest number, inclusive; by default all there are
 * @throws {RangeError} if one of them is not a descriptor number
 * @throws {SysError} EINVAL if `first` is above `last`; ENOSYS on an older kernel
 */
export function closeOnExecFrom(first: number, last = 0xffffffff): void {
  for (const bound of [first, last]) {
    if (!Number.isInteger(bound) || bound < 0 || bound > 0xffffffff) {
      throw new RangeError(
        `Cannot mark descriptors from ${first} to ${last}: ${bound} is not a descriptor number`,
      );
    }
  }
  check(call.close_range(first, last, CLOSE_RANGE_CLOEXEC), "close_range", `fds ${first} to ${last}`);
}
