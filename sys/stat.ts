/**
 * What a descriptor is (`fstat(2)`, `fstatfs(2)`).
 *
 * Happy path: {@linkcode fstat} gives the kind, and with `dev` and `ino` the identity of a file.
 *
 * Unhappy paths:
 * 1. The descriptor is not open: EBADF.
 * 2. It is an eventfd, an epoll, a pidfd or the like: kind `"anon"`. All of these share one inode, so `dev` and `ino` say
 *    nothing about which one it is (a pidfd has an inode of its own from Linux 6.9 on).
 *
 * @module
 */

import { ARCH, type Arch } from "./arch.ts";
import { check } from "./errno.ts";
import { call } from "./symbols.ts";

/** What kind of file it is; `"anon"` is an anonymous inode, whose mode has no type bits. */
export type FileKind = "file" | "directory" | "chardev" | "blockdev" | "fifo" | "socket" | "symlink" | "anon";

/** The fields of `struct stat` that identify a file and describe it. */
export interface FileStat {
  /** Device that holds the inode. */
  dev: bigint;
  /** Inode number. */
  ino: bigint;
  /** Type and permission bits. */
  mode: number;
  /** Number of hard links; 0 when unlinked. */
  nlink: bigint;
  /** The device it is, for a character or block device. */
  rdev: bigint;
  /** Size in bytes. */
  size: number;
  /** The type bits of `mode`, in a word. */
  kind: FileKind;
}

/** `fstatfs` type of tmpfs, which holds memfds and POSIX shared memory too. */
export const TMPFS_MAGIC = 0x01021994;
/** `fstatfs` type of hugetlbfs. */
export const HUGETLBFS_MAGIC = 0x958458f6;
/** `fstatfs` type of procfs. */
export const PROC_SUPER_MAGIC = 0x9fa0;

const S_IFMT = 0o170000;

const KINDS: Readonly<Record<number, FileKind>> = {
  0: "anon",
  0o010000: "fifo",
  0o020000: "chardev",
  0o040000: "directory",
  0o060000: "blockdev",
  0o100000: "file",
  0o120000: "symlink",
  0o140000: "socket",
};

/** Offsets in `struct stat`. `nlinkBytes` is the width of that one field, which differs as well. */
interface StatLayout {
  readonly size: number;
  readonly mode: number;
  readonly nlink: number;
  readonly nlinkBytes: 4 | 8;
  readonly rdev: number;
}

/** `asm/stat.h`. `st_dev` is at 0, `st_ino` at 8 and `st_size` at 48 in both. */
const LAYOUTS: Readonly<Record<Arch, StatLayout>> = {
  x86_64: { size: 144, nlink: 16, nlinkBytes: 8, mode: 24, rdev: 40 },
  aarch64: { size: 128, mode: 16, nlink: 20, nlinkBytes: 4, rdev: 32 },
};

/**
 * Looks at an open file.
 *
 * @param fd an open descriptor
 * @returns what it is
 * @throws {SysError} EBADF
 */
export function fstat(fd: number): FileStat {
  const bytes = new Uint8Array(LAYOUTS[ARCH].size);
  check(call.fstat(fd, bytes), "fstat", fd);
  return decodeStat(bytes, ARCH);
}

/**
 * Reads a `struct stat`.
 *
 * @param bytes the structure
 * @param arch whose layout it has
 * @returns its fields
 * @throws {RangeError} if it has not the size of that layout
 */
export function decodeStat(bytes: Uint8Array, arch: Arch): FileStat {
  const layout = LAYOUTS[arch];
  if (bytes.byteLength !== layout.size) {
    throw new RangeError(`Cannot decode a struct stat: ${bytes.byteLength} bytes, not ${layout.size}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const mode = view.getUint32(layout.mode, true);
  return {
    dev: view.getBigUint64(0, true),
    ino: view.getBigUint64(8, true),
    mode,
    nlink: layout.nlinkBytes === 8
      ? view.getBigUint64(layout.nlink, true)
      : BigInt(view.getUint32(layout.nlink, true)),
    rdev: view.getBigUint64(layout.rdev, true),
    size: Number(view.getBigInt64(48, true)),
    kind: kindOf(mode),
  };
}

/**
 * Writes a `struct stat`; the inverse of {@linkcode decodeStat} for the fields that it reads, zeros elsewhere.
 *
 * @param stat the fields; `kind` is not looked at, it follows from `mode`
 * @param arch whose layout to write
 * @returns the structure
 */
export function encodeStat(stat: FileStat, arch: Arch): Uint8Array<ArrayBuffer> {
  const layout = LAYOUTS[arch];
  const bytes = new Uint8Array(layout.size);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, stat.dev, true);
  view.setBigUint64(8, stat.ino, true);
  view.setUint32(layout.mode, stat.mode, true);
  if (layout.nlinkBytes === 8) view.setBigUint64(layout.nlink, stat.nlink, true);
  else view.setUint32(layout.nlink, Number(stat.nlink), true);
  view.setBigUint64(layout.rdev, stat.rdev, true);
  view.setBigInt64(48, BigInt(stat.size), true);
  return bytes;
}

/** The file system that holds an open file, as far as it is looked at. */
export interface FilesystemStat {
  /** `f_type`, such as {@linkcode TMPFS_MAGIC}. */
  type: number;
  /** `f_bsize`: bytes of a block; of a hugetlbfs, bytes of one of its pages. */
  blockBytes: number;
}

/** Bytes of `struct statfs` on both architectures; `f_type` is at 0, `f_bsize` at 8. */
const STATFS_BYTES = 120;

/**
 * Looks at the file system that holds an open file.
 *
 * @param fd an open descriptor
 * @throws {SysError} EBADF
 */
export function fstatfs(fd: number): FilesystemStat {
  const bytes = new Uint8Array(STATFS_BYTES);
  check(call.fstatfs(fd, bytes), "fstatfs", fd);
  return decodeStatfs(bytes);
}

/**
 * Reads a `struct statfs`, which is the same on x86-64 and aarch64.
 *
 * @param bytes the structure
 * @returns its fields
 * @throws {RangeError} if it has not the size of the structure
 */
export function decodeStatfs(bytes: Uint8Array): FilesystemStat {
  if (bytes.byteLength !== STATFS_BYTES) {
    throw new RangeError(`Cannot decode a struct statfs: ${bytes.byteLength} bytes, not ${STATFS_BYTES}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { type: Number(view.getBigInt64(0, true)), blockBytes: Number(view.getBigInt64(8, true)) };
}

/**
 * The kind of the file system that holds an open file.
 *
 * @param fd an open descriptor
 * @returns `f_type` of `struct statfs`, such as {@linkcode TMPFS_MAGIC}
 * @throws {SysError} EBADF
 */
export function filesystemType(fd: number): number {
  return fstatfs(fd).type;
}

function kindOf(mode: number): FileKind {
  // All eight values of the type bits that Linux makes are in the table.
  return KINDS[mode & S_IFMT] ?? "anon";
}
