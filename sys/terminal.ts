/**
 * Terminals: pseudo terminals, and what can be asked of any terminal (`pty(7)`, `ioctl_tty(2)`).
 *
 * Happy path: {@linkcode openTerminal} gives the master; the slave is at {@linkcode slavePath}, and whoever opens that has a
 * terminal. What is written to one end is read at the other, through the line discipline of the slave.
 *
 * Unhappy paths:
 * 1. It is no terminal: ENOTTY from each function, but null from {@linkcode lookAtTerminal}.
 * 2. The terminal was hung up, because its session leader or its other end is gone: EIO.
 *
 * @module
 */

import { check, ERRNO, SysError } from "./errno.ts";
import { OwnedFd } from "./owned_fd.ts";
import { call, lastErrno } from "./symbols.ts";

const O_RDWR = 2;
const O_NOCTTY = 0o400;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

/** `asm-generic/ioctls.h`, the same on x86-64 and aarch64. */
const TIOCGWINSZ = 0x5413n;
const TIOCSWINSZ = 0x5414n;
const TIOCGSID = 0x5429n;
const TCGETS2 = 0x802c542an;
const TIOCGPTN = 0x80045430n;
const TIOCGDEV = 0x80045432n;
const TIOCGPKT = 0x80045438n;
const TIOCGPTLCK = 0x80045439n;

/** `struct termios2`: four flag words, the line discipline, 19 control characters, two speeds. */
const SETTINGS_BYTES = 44;
/** `struct winsize`: rows, columns, and two that nobody uses, each 16 bits. */
const SIZE_BYTES = 8;

/** The size of a terminal's window, in characters; 0 where nobody has said it. */
export interface WindowSize {
  /** Characters in a line. */
  columns: number;
  /** Lines. */
  rows: number;
}

/** What a terminal is and how it is set. */
export interface TerminalLook {
  /** Which terminal: the device number of the slave for both ends of a pty, whatever name it was opened by. */
  device: number;
  /** The number behind `/dev/pts/` for a pty master, null for every other terminal. */
  index: number | null;
  /** Is the slave of this master locked, so that it cannot be opened? Null for every other terminal. */
  locked: boolean | null;
  /** Does this master read in packet mode (`TIOCPKT`)? Null for every other terminal. */
  packet: boolean | null;
  /** Its settings, `struct termios2`; both ends of a pty have the same. */
  settings: Uint8Array<ArrayBuffer>;
  /** The size of its window. */
  size: WindowSize;
}

/**
 * Makes a pseudo terminal with an unlocked slave.
 *
 * @param size the size of its window
 * @returns the owner of the master, close-on-exec and nonblocking
 * @throws {SysError} EMFILE, ENFILE; ENOSPC when there are as many ptys as `kernel.pty.max` allows; ENOENT without devpts
 */
export function openTerminal(size: WindowSize): OwnedFd {
  using undo = new DisposableStack();
  const flags = O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
  const master = undo.use(OwnedFd.adopt(check(call.posix_openpt(flags), "posix_openpt")));
  check(call.unlockpt(master.fd), "unlockpt", master.fd);
  setWindowSize(master.fd, size);
  undo.move();
  return master;
}

/**
 * Where the other end of a pty master can be opened, in the mount namespace that has its devpts.
 *
 * @param fd a pty master
 * @throws {SysError} ENOTTY
 */
export function slavePath(fd: number): string {
  return `/dev/pts/${word(fd, TIOCGPTN)}`;
}

/**
 * The window size of a terminal.
 *
 * @param fd a terminal; for a pty both ends have the same size
 * @throws {SysError} ENOTTY, EIO
 */
export function getWindowSize(fd: number): WindowSize {
  const bytes = new Uint8Array(SIZE_BYTES);
  check(call.ioctl(fd, TIOCGWINSZ, bytes), "ioctl", fd);
  return decodeWindowSize(bytes);
}

/**
 * Sets the window size of a terminal; the foreground processes hear of a change (SIGWINCH).
 *
 * @param fd a terminal
 * @param size its new size
 * @throws {SysError} ENOTTY, EIO
 * @throws {RangeError} a size that does not fit into 16 bits
 */
export function setWindowSize(fd: number, size: WindowSize): void {
  check(call.ioctl(fd, TIOCSWINSZ, encodeWindowSize(size)), "ioctl", fd);
}

/** Reads a `struct winsize`. */
export function decodeWindowSize(bytes: Uint8Array): WindowSize {
  const view = new DataView(bytes.buffer, bytes.byteOffset, SIZE_BYTES);
  return { rows: view.getUint16(0, true), columns: view.getUint16(2, true) };
}

/**
 * Writes a `struct winsize`.
 *
 * @throws {RangeError} a size that does not fit into 16 bits
 */
export function encodeWindowSize({ columns, rows }: WindowSize): Uint8Array<ArrayBuffer> {
  for (const value of [columns, rows]) {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff) {
      throw new RangeError(`Cannot use ${columns} columns and ${rows} rows: a size has 0 to 65535 of each`);
    }
  }
  const bytes = new Uint8Array(SIZE_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, rows, true);
  view.setUint16(2, columns, true);
  return bytes;
}

/**
 * The session that has a terminal as its controlling terminal.
 *
 * @param fd a pty master, or the terminal of this process
 * @returns the PID of its leader; null when there is none, or it cannot be seen from here
 */
export function sessionOf(fd: number): number | null {
  const bytes = new Uint8Array(4);
  if (call.ioctl(fd, TIOCGSID, bytes) === -1) return null;
  const pid = new DataView(bytes.buffer).getInt32(0, true);
  return pid > 0 ? pid : null;
}

/**
 * Looks at a terminal.
 *
 * @param fd any open descriptor
 * @returns what it is; `hung up` when it was one, of which nothing more can be said; null when it is none
 * @throws {SysError} EBADF
 */
export function lookAtTerminal(fd: number): TerminalLook | "hung up" | null {
  const settings = new Uint8Array(SETTINGS_BYTES);
  if (call.ioctl(fd, TCGETS2, settings) === -1) {
    const errno = lastErrno();
    if (errno === ERRNO.EIO) return "hung up";
    if (errno === ERRNO.EBADF) throw new SysError("ioctl", errno, `fd ${fd}`);
    return null;
  }
  try {
    const index = maybeWord(fd, TIOCGPTN);
    const isMaster = index !== null;
    return {
      device: word(fd, TIOCGDEV),
      index,
      locked: isMaster ? word(fd, TIOCGPTLCK) !== 0 : null,
      packet: isMaster ? word(fd, TIOCGPKT) !== 0 : null,
      settings,
      size: getWindowSize(fd),
    };
  } catch (error) {
    // It was hung up just now.
    if (error instanceof SysError && error.code === "EIO") return "hung up";
    throw error;
  }
}

function word(fd: number, request: bigint): number {
  const bytes = new Uint8Array(4);
  check(call.ioctl(fd, request, bytes), "ioctl", fd);
  return new DataView(bytes.buffer).getUint32(0, true);
}

/** Null where the driver of this terminal does not know the question. */
function maybeWord(fd: number, request: bigint): number | null {
  try {
    return word(fd, request);
  } catch (error) {
    if (error instanceof SysError && (error.code === "ENOTTY" || error.code === "EINVAL")) return null;
    throw error;
  }
}
