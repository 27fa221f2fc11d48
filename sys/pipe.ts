/**
 * Pipes and FIFOs (`pipe(7)`, `fifo(7)`).
 *
 * Happy path: `const { read, write } = createPipe();`. Nothing here waits: a FIFO is opened without waiting for the other end.
 *
 * `O_NONBLOCK` belongs to an open file description, which all duplicates share, also those of other processes. So pipes are
 * made without it, and {@linkcode reopenPipe} gives a description of the same end of the same pipe that has it: whoever
 * uses that one never waits, and nobody else notices.
 *
 * Unhappy paths: a FIFO that nobody reads cannot be opened for writing only: `ENXIO`. A capacity beyond
 * `/proc/sys/fs/pipe-max-size` is `EPERM` for an ordinary user, one below what waits in the pipe is `EBUSY`.
 *
 * @module
 */

import { O_DIRECT } from "./arch.ts";
import { check, checkRetrying } from "./errno.ts";
import { getFlags, setFlags } from "./fd.ts";
import { OwnedFd } from "./owned_fd.ts";
import { filesystemType } from "./stat.ts";
import { call } from "./symbols.ts";
import { cString } from "./text.ts";

const O_RDONLY = 0;
const O_WRONLY = 1;
const O_RDWR = 2;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const F_SETPIPE_SZ = 1031;
const F_GETPIPE_SZ = 1032;
const FIONREAD = 0x541bn;
/** `fstatfs` type of the file system of anonymous pipes. */
const PIPEFS_MAGIC = 0x50495045;

/** Largest capacity that the kernel can be asked for. */
const MAX_CAPACITY = 0x7fffffff;

/** Which ends of a pipe a descriptor is open for. */
export interface PipeAccess {
  /** For reading. */
  read: boolean;
  /** For writing. */
  write: boolean;
}

/** How to make a pipe. */
export interface PipeFlags {
  /** Keep what is written with one call apart from what is written with the next (`O_DIRECT`). @default {false} */
  packets?: boolean;
}

/**
 * Makes an anonymous pipe, both ends close-on-exec.
 *
 * @param options its kind
 * @returns the owners of both ends
 * @throws {SysError} EMFILE, ENFILE
 */
export function createPipe(options: PipeFlags = {}): { read: OwnedFd; write: OwnedFd } {
  const fds = new Int32Array(2);
  check(call.pipe2(fds, O_CLOEXEC | (options.packets === true ? O_DIRECT : 0)), "pipe2");
  const [read = -1, write = -1] = fds;
  return { read: OwnedFd.adopt(read), write: OwnedFd.adopt(write) };
}

/**
 * Makes a FIFO. Where one is already, that is `EEXIST`, whatever it is.
 *
 * @param path where
 * @param mode permission bits; the umask is taken off
 * @throws {SysError} EEXIST, ENOENT, ENOTDIR, EACCES, ENOSPC, ...
 * @throws {TypeError} if `path` contains a NUL
 */
export function makeFifo(path: string, mode = 0o666): void {
  check(call.mkfifo(cString(path), mode), "mkfifo", JSON.stringify(path));
}

/**
 * Opens a FIFO, nonblocking, close-on-exec, without waiting for the other end.
 *
 * @param path its path; that it is a FIFO is not checked here
 * @param access for which ends; with both it is its own other end, and a reader never sees the end
 * @returns the owner of the descriptor
 * @throws {SysError} ENXIO for writing only while nobody reads; ENOENT, EACCES, EMFILE, ...
 * @throws {TypeError} if `path` contains a NUL
 */
export function openFifo(path: string, access: PipeAccess): OwnedFd {
  const name = cString(path);
  const flags = accessFlags(access) | O_NONBLOCK | O_CLOEXEC;
  return OwnedFd.adopt(checkRetrying(() => call.open(name, flags, 0), "open", JSON.stringify(path)));
}

/**
 * Opens the pipe behind a descriptor once more: another description of the same pipe, nonblocking, close-on-exec. It counts
 * as a reader or a writer of its own.
 *
 * @param fd an end of a pipe or of a FIFO, which may be unlinked by now; borrowed
 * @param access for which ends
 * @returns the owner of the new descriptor, in packet mode if `fd` is
 * @throws {SysError} EMFILE; ENXIO for a FIFO, for writing only, that nobody reads; EACCES where the user has changed
 */
export function reopenPipe(fd: number, access: PipeAccess): OwnedFd {
  using undo = new DisposableStack();
  const again = undo.use(openFifo(`/proc/self/fd/${fd}`, access));
  // open(2) does not take this flag for a pipe, fcntl(2) does.
  if ((getFlags(fd) & O_DIRECT) !== 0) setFlags(again.fd, getFlags(again.fd) | O_DIRECT);
  undo.move();
  return again;
}

/**
 * Is this an end of a pipe without a path? The descriptor has to be one of a pipe or a FIFO.
 *
 * @param fd the descriptor, borrowed
 * @throws {SysError} EBADF
 */
export function isAnonymousPipe(fd: number): boolean {
  return filesystemType(fd) === PIPEFS_MAGIC;
}

/**
 * For which ends a descriptor is open.
 *
 * @param fd an end of a pipe, borrowed
 * @throws {SysError} EBADF
 */
export function pipeAccess(fd: number): PipeAccess {
  const mode = getFlags(fd) & 3;
  return { read: mode !== O_WRONLY, write: mode !== O_RDONLY };
}

/**
 * How much waits in a pipe (`FIONREAD`).
 *
 * @param fd any end of it, borrowed
 * @returns bytes
 * @throws {SysError} EBADF; ENOTTY if it is no pipe
 */
export function bytesWaiting(fd: number): number {
  const count = new Int32Array(1);
  check(call.ioctl(fd, FIONREAD, count), "ioctl", fd);
  return count[0] ?? 0;
}

/**
 * How much fits into a pipe (`F_GETPIPE_SZ`).
 *
 * @param fd any end of it, borrowed
 * @returns bytes
 * @throws {SysError} EBADF, also if it is no pipe
 */
export function pipeCapacity(fd: number): number {
  return check(call.fcntl(fd, F_GETPIPE_SZ, 0), "fcntl", fd);
}

/**
 * Changes how much fits into a pipe (`F_SETPIPE_SZ`).
 *
 * @param fd any end of it, borrowed
 * @param bytes how much at least; the kernel rounds up
 * @returns bytes that fit into it now
 * @throws {SysError} EBUSY more than that waits in it; EPERM beyond the limit of an ordinary user; ENOMEM; EBADF
 * @throws {RangeError} if `bytes` is no integer from 1 to 2147483647
 */
export function setPipeCapacity(fd: number, bytes: number): number {
  checkCapacity(bytes);
  return check(call.fcntl(fd, F_SETPIPE_SZ, bytes), "fcntl", fd);
}

/**
 * Is this a capacity that the kernel can be asked for?
 *
 * @param bytes any number
 * @throws {RangeError} if it is no integer from 1 to 2147483647
 */
export function checkCapacity(bytes: number): void {
  if (Number.isInteger(bytes) && bytes >= 1 && bytes <= MAX_CAPACITY) return;
  throw new RangeError(`Cannot make room for ${bytes} bytes in a pipe: allowed are 1 to ${MAX_CAPACITY}`);
}

function accessFlags({ read, write }: PipeAccess): number {
  if (read && write) return O_RDWR;
  return write ? O_WRONLY : O_RDONLY;
}
