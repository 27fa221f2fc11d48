/**
 * What differs between the two architectures that Heirloom runs on.
 *
 * Happy path: {@linkcode ARCH} picks the row of this machine. Both are little-endian with 64-bit pointers, so all other
 * constants and layouts are shared, except `struct stat` (see `stat.ts`).
 *
 * @module
 */

/** An architecture whose layouts and constants are known here. */
export type Arch = "x86_64" | "aarch64";

/** Constants of one architecture. */
export interface ArchConstants {
  /** `open`: fail unless it is a directory. */
  readonly O_DIRECTORY: number;
  /** `open`: fail if the last component is a symbolic link. */
  readonly O_NOFOLLOW: number;
  /** `open`: bypass the page cache. */
  readonly O_DIRECT: number;
  /** Set by the kernel in the flags of every file opened by a 64-bit process. */
  readonly O_LARGEFILE: number;
  /** Number of the system call `kcmp`. */
  readonly SYS_kcmp: number;
}

/** The constants of both architectures: `asm/fcntl.h`, `asm/unistd.h`. */
export const ARCH_CONSTANTS: Readonly<Record<Arch, ArchConstants>> = {
  x86_64: {
    O_DIRECTORY: 0o200000,
    O_NOFOLLOW: 0o400000,
    O_DIRECT: 0o40000,
    O_LARGEFILE: 0o100000,
    SYS_kcmp: 312,
  },
  aarch64: {
    O_DIRECTORY: 0o40000,
    O_NOFOLLOW: 0o100000,
    O_DIRECT: 0o200000,
    O_LARGEFILE: 0o400000,
    SYS_kcmp: 272,
  },
};

/** The architecture of this process. */
export const ARCH: Arch = Deno.build.arch;

/** `open`: fail unless it is a directory. */
export const O_DIRECTORY: number = ARCH_CONSTANTS[ARCH].O_DIRECTORY;
/** `open`: fail if the last component is a symbolic link. */
export const O_NOFOLLOW: number = ARCH_CONSTANTS[ARCH].O_NOFOLLOW;
/** `open`: bypass the page cache. */
export const O_DIRECT: number = ARCH_CONSTANTS[ARCH].O_DIRECT;
/** Set by the kernel in the flags of every file opened by a 64-bit process. */
export const O_LARGEFILE: number = ARCH_CONSTANTS[ARCH].O_LARGEFILE;
/** Number of the system call `kcmp`. */
export const SYS_kcmp: number = ARCH_CONSTANTS[ARCH].SYS_kcmp;
