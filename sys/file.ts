/**
 * Open files: open, read, write, position, size, sync.
 *
 * Happy path: `using file = openFile(path, { append: true, create: true }); writeAll(file.fd, bytes);`. A call that a
 * signal interrupts (EINTR) is made again.
 *
 * Unhappy paths:
 * 1. The kernel refuses: `SysError` with its code. A nonblocking descriptor that is not ready is one of these: EAGAIN.
 * 2. An offset or a size is not a safe integer: `RangeError`, before anything happens.
 *
 * @module
 */

import { O_DIRECTORY } from "./arch.ts";
import { check, checkRetrying, ERRNO, SysError } from "./errno.ts";
import { getLimit } from "./limits.ts";
import { OwnedFd } from "./owned_fd.ts";
import { fstat } from "./stat.ts";
import { call } from "./symbols.ts";
import { cString, decodeText } from "./text.ts";

const O_RDONLY = 0;
const O_WRONLY = 1;
const O_RDWR = 2;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_NOCTTY = 0o400;
const O_TRUNC = 0o1000;
const O_APPEND = 0o2000;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
/** Status flag of a descriptor that stands for a place in the file system only (open(2)). */
export const O_PATH = 0o10000000;

/** How to open a file. */
export interface OpenFileOptions {
  /** Open for reading. @default {true} unless `write` or `append` is set */
  read?: boolean;
  /** Open for writing. @default {false} */
  write?: boolean;
  /** Open for writing, each write at the end of the file. @default {false} */
  append?: boolean;
  /** Create the file if it does not exist. @default {false} */
  create?: boolean;
  /** Empty the file. @default {false} */
  truncate?: boolean;
  /** Together with `create`: fail with EEXIST if the file exists. @default {false} */
  exclusive?: boolean;
  /** Wait for nobody: neither for the other end of a FIFO, nor for a lease, nor later (`O_NONBLOCK`). @default {false} */
  nonblocking?: boolean;
  /** Fail with ENOTDIR unless it is a directory. @default {false} */
  directory?: boolean;
  /** Only the place in the file system, not the content (`O_PATH`); needs no right to read. @default {false} */
  path?: boolean;
  /** Permission bits of a file that is created; the umask is taken off. @default {0o666} */
  mode?: number;
}

/**
 * Opens a file, close-on-exec and never as controlling terminal.
 *
 * @param path a path, relative to the working directory
 * @param options how to open it; for reading by default
 * @returns the owner of the descriptor
 * @throws {SysError} what open(2) says: ENOENT, EACCES, EEXIST, EISDIR, ENOTDIR, EMFILE, ...
 * @throws {TypeError} if `path` contains a NUL
 */
export function openFile(path: string, options: OpenFileOptions = {}): OwnedFd {
  const name = cString(path);
  const flags = openFlags(options);
  const mode = options.mode ?? 0o666;
  return OwnedFd.adopt(checkRetrying(() => call.open(name, flags, mode), "open", JSON.stringify(path)));
}

function openFlags(options: OpenFileOptions): number {
  const write = options.write === true || options.append === true;
  const read = options.read ?? !write;
  let flags = O_CLOEXEC | O_NOCTTY | (write ? (read ? O_RDWR : O_WRONLY) : O_RDONLY);
  if (options.append) flags |= O_APPEND;
  if (options.create) flags |= O_CREAT;
  if (options.truncate) flags |= O_TRUNC;
  if (options.exclusive) flags |= O_EXCL;
  if (options.nonblocking) flags |= O_NONBLOCK;
  if (options.directory) flags |= O_DIRECTORY;
  if (options.path) flags |= O_PATH;
  return flags;
}

/**
 * Reads at the position of the file.
 *
 * @param fd an open descriptor
 * @param bytes where to put what is read
 * @returns number of bytes read, 0 at the end of the file
 * @throws {SysError} EBADF, EAGAIN, EISDIR, EIO, ...
 */
export function read(fd: number, bytes: Uint8Array): number {
  const buffer = bytes as Uint8Array<ArrayBuffer>;
  return checkRetrying(() => call.read(fd, buffer, BigInt(buffer.byteLength)), "read", fd);
}

/**
 * Writes at the position of the file.
 *
 * @param fd an open descriptor
 * @param bytes what to write
 * @returns number of bytes written, possibly fewer than there are
 * @throws {SysError} EBADF, EAGAIN, EPIPE, ENOSPC, ...
 */
export function write(fd: number, bytes: Uint8Array): number {
  const buffer = bytes as Uint8Array<ArrayBuffer>;
  return checkRetrying(() => call.write(fd, buffer, BigInt(buffer.byteLength)), "write", fd);
}

/**
 * Writes all of the bytes at the position of the file. For blocking descriptors: on one that is not ready it throws
 * EAGAIN, and the caller does not learn how much was written.
 *
 * @param fd an open descriptor
 * @param bytes what to write
 * @throws {SysError} EBADF, EAGAIN, EPIPE, ENOSPC, ...
 */
export function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.byteLength;) done += progress(write(fd, bytes.subarray(done)), "write", fd);
}

/**
 * Reads at an offset; the position of the file stays.
 *
 * @param fd an open descriptor of a file that can seek
 * @param bytes where to put what is read
 * @param offset where to read, in bytes
 * @returns number of bytes read, 0 at the end of the file
 * @throws {SysError} EBADF, ESPIPE, EIO, ...
 * @throws {RangeError} if `offset` is not a safe integer from 0 on
 */
export function pread(fd: number, bytes: Uint8Array, offset: number): number {
  const buffer = bytes as Uint8Array<ArrayBuffer>;
  const at = size(offset, "read");
  return checkRetrying(() => call.pread(fd, buffer, BigInt(buffer.byteLength), at), "pread", fd);
}

/**
 * Writes at an offset; the position of the file stays. On a file opened with `append` Linux writes at the end all the
 * same.
 *
 * @param fd an open descriptor of a file that can seek
 * @param bytes what to write
 * @param offset where to write, in bytes
 * @returns number of bytes written, possibly fewer than there are
 * @throws {SysError} EBADF, ESPIPE, ENOSPC, EPERM if sealed, ...
 * @throws {RangeError} if `offset` is not a safe integer from 0 on
 */
export function pwrite(fd: number, bytes: Uint8Array, offset: number): number {
  const buffer = bytes as Uint8Array<ArrayBuffer>;
  const at = size(offset, "write");
  return checkRetrying(() => call.pwrite(fd, buffer, BigInt(buffer.byteLength), at), "pwrite", fd);
}

/** From where {@linkcode seek} counts. */
export type Whence = "set" | "cur" | "end";

const WHENCE: Readonly<Record<Whence, number>> = { set: 0, cur: 1, end: 2 };

/**
 * Moves the position of a file, which all duplicates of the descriptor share.
 *
 * @param fd an open descriptor of a file that can seek
 * @param offset in bytes, counted from `whence`; may be negative except with `"set"`
 * @param whence the start, the present position or the end of the file
 * @returns the new position, in bytes from the start
 * @throws {SysError} EBADF; ESPIPE for a pipe or a socket; EINVAL if the position would be negative
 * @throws {RangeError} if `offset` is not a safe integer
 */
export function seek(fd: number, offset: number, whence: Whence): number {
  if (!Number.isSafeInteger(offset)) throw new RangeError(`Cannot seek to ${offset}: not a safe integer`);
  return check(Number(call.lseek(fd, BigInt(offset), WHENCE[whence])), "lseek", fd);
}

/**
 * Sets the size of a file. What is added is zeros.
 *
 * @param fd a descriptor open for writing
 * @param length new size in bytes
 * @throws {SysError} EBADF; EINVAL if not open for writing; EPERM if sealed; EFBIG beyond `RLIMIT_FSIZE`; ENOSPC
 * @throws {RangeError} if `length` is not a safe integer from 0 on
 */
export function truncate(fd: number, length: number): void {
  const wanted = size(length, "truncate");
  checkFileSize(fd, length, "ftruncate");
  checkRetrying(() => call.ftruncate(fd, wanted), "ftruncate", fd);
}

/**
 * Does `RLIMIT_FSIZE` allow a file to grow to a size? To be asked before it is tried, because the kernel does not only
 * answer EFBIG: it ends the process (SIGXFSZ). The limit is for memory that has a descriptor as well.
 *
 * @param fd an open descriptor
 * @param length the size in bytes
 * @param syscall what is about to be called, for the error
 * @throws {SysError} EFBIG
 */
export function checkFileSize(fd: number, length: number, syscall: string): void {
  const { soft } = getLimit("fsize");
  if (BigInt(length) <= soft || length <= fstat(fd).size) return;
  throw new SysError(syscall, ERRNO.EFBIG, `fd ${fd} to ${length} bytes: RLIMIT_FSIZE is ${soft}`);
}

/**
 * Waits until a file is on its disk.
 *
 * @param fd an open descriptor
 * @param dataOnly leave out what reading the content back does not need, such as times (`fdatasync`)
 * @throws {SysError} EBADF; EINVAL if the file has no disk; EIO, ENOSPC
 */
export function sync(fd: number, dataOnly = false): void {
  if (dataOnly) checkRetrying(() => call.fdatasync(fd), "fdatasync", fd);
  else checkRetrying(() => call.fsync(fd), "fsync", fd);
}

/**
 * Reads the whole content of a file, without Deno's permissions for paths, some of which `/proc` cannot be given.
 *
 * @param path a path
 * @returns its bytes
 * @throws {SysError} what open(2) and read(2) say
 */
export function readFile(path: string): Uint8Array<ArrayBuffer> {
  using file = openFile(path);
  const name = JSON.stringify(path);
  let bytes = new Uint8Array(4096);
  let length = 0;
  for (;;) {
    const rest = bytes.subarray(length);
    const count = checkRetrying(() => call.read(file.fd, rest, BigInt(rest.byteLength)), "read", name);
    if (count === 0) return bytes.slice(0, length);
    length += count;
    if (length < bytes.length) continue;
    const larger = new Uint8Array(bytes.length * 4);
    larger.set(bytes);
    bytes = larger;
  }
}

/**
 * Reads the whole content behind a descriptor, wherever its position is.
 *
 * @param fd a regular file or a memfd, borrowed
 * @param size its size in bytes
 * @returns its bytes; fewer than `size` when it was cut meanwhile
 * @throws {SysError} EBADF, EISDIR, EIO
 */
export function readWhole(fd: number, size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const count = pread(fd, bytes.subarray(at), at);
    if (count === 0) return bytes.subarray(0, at);
    at += count;
  }
  return bytes;
}

/**
 * The target of a symbolic link.
 *
 * @param path path of the link
 * @returns what it points to, as written in it
 * @throws {SysError} ENOENT; EINVAL if it is not a symbolic link; EACCES
 */
export function readLink(path: string): string {
  const name = cString(path);
  for (let capacity = 256;; capacity *= 4) {
    const target = new Uint8Array(capacity);
    const length = check(call.readlink(name, target, BigInt(capacity)), "readlink", JSON.stringify(path));
    if (length < capacity) return decodeText(target.subarray(0, length));
  }
}

function size(value: number, action: string): bigint {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`Cannot ${action} at ${value} bytes: not a safe integer from 0 on`);
  }
  return BigInt(value);
}

/** A write that moves nothing and reports no error would be tried for ever. */
function progress(count: number, syscall: string, fd: number): number {
  if (count === 0) throw new SysError(syscall, ERRNO.EIO, `fd ${fd}`);
  return count;
}
