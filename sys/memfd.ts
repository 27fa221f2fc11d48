/**
 * Memory that has a descriptor (`memfd_create(2)`), and its seals.
 *
 * Happy path: create, fill, {@linkcode addSeals}: from then on nobody can change what the seals cover, not even who
 * holds the descriptor.
 *
 * Unhappy paths:
 * 1. The kernel is older than 6.3 and does not know `noexec`: made without it, silently.
 * 2. `vm.memfd_noexec` is 2 on Linux 6.3 to 6.5, which refuses memory that could be executed (EACCES): made as `noexec`.
 *    Newer kernels, and a value of 1, make it so by themselves.
 * 3. The descriptor is not a memfd: {@linkcode getSeals} says EINVAL. One made without sealing: only `SEALS.SEAL` is on.
 *
 * @module
 */

import { check, ERRNO } from "./errno.ts";
import { truncate } from "./file.ts";
import { OwnedFd } from "./owned_fd.ts";
import { call, lastErrno } from "./symbols.ts";
import { cString } from "./text.ts";

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const MFD_NOEXEC_SEAL = 8;
const F_ADD_SEALS = 1033;
const F_GET_SEALS = 1034;

/** The seals of fcntl(2), as bits. */
export const SEALS = {
  /** No further seals. */
  SEAL: 1,
  /** The size cannot shrink. */
  SHRINK: 2,
  /** The size cannot grow. */
  GROW: 4,
  /** The content cannot change. */
  WRITE: 8,
  /** The content cannot change except through mappings that exist already. */
  FUTURE_WRITE: 16,
  /** The executable bits cannot change (Linux 6.3). */
  EXEC: 32,
} as const;

/** How to make a memfd. */
export interface MemfdOptions {
  /** Size in bytes, of zeros. @default {0} */
  size?: number;
  /** Allow seals. @default {true} */
  sealable?: boolean;
  /** Never executable, and sealed so, where the kernel knows that (Linux 6.3). Needs `sealable`. @default {false} */
  noexec?: boolean;
}

/**
 * Makes a memfd, close-on-exec.
 *
 * @param name shown in `/proc` behind `/memfd:`; at most 249 bytes, need not be unique
 * @param options size and kind
 * @returns the owner of the descriptor
 * @throws {SysError} EINVAL if the name is too long; EMFILE, ENFILE, ENOMEM
 * @throws {TypeError} if the name contains a NUL, or for `noexec` without `sealable`
 * @throws {RangeError} if `size` is not a safe integer from 0 on
 */
export function createMemfd(name: string, options: MemfdOptions = {}): OwnedFd {
  const { size = 0, sealable = true, noexec = false } = options;
  if (noexec && !sealable) {
    throw new TypeError(`Cannot create memfd "${name}": noexec is a seal and the memfd is not sealable`);
  }
  const label = cString(name);
  const flags = MFD_CLOEXEC | (sealable ? MFD_ALLOW_SEALING : 0);
  let fd = noexec ? call.memfd_create(label, flags | MFD_NOEXEC_SEAL) : call.memfd_create(label, flags);
  if (fd === -1 && noexec && lastErrno() === ERRNO.EINVAL) fd = call.memfd_create(label, flags);
  if (fd === -1 && !noexec && sealable && lastErrno() === ERRNO.EACCES) {
    fd = call.memfd_create(label, flags | MFD_NOEXEC_SEAL);
  }
  using stack = new DisposableStack();
  const memfd = stack.use(OwnedFd.adopt(check(fd, "memfd_create", JSON.stringify(name))));
  if (size !== 0) truncate(memfd.fd, size);
  stack.move();
  return memfd;
}

/**
 * The seals of a memfd.
 *
 * @param fd an open descriptor
 * @returns bits of {@linkcode SEALS}
 * @throws {SysError} EBADF; EINVAL if the file cannot have seals
 */
export function getSeals(fd: number): number {
  return check(call.fcntl(fd, F_GET_SEALS, 0), "fcntl", fd);
}

/**
 * Adds seals; none can be taken off again.
 *
 * @param fd a descriptor open for writing
 * @param seals bits of {@linkcode SEALS}
 * @throws {SysError} EPERM if sealed against seals or not open for writing; EBUSY for `WRITE` while a shared writable
 * mapping exists; EINVAL if the file cannot have seals
 */
export function addSeals(fd: number, seals: number): void {
  check(call.fcntl(fd, F_ADD_SEALS, seals), "fcntl", fd);
}
