/**
 * A process by descriptor (`pidfd_open(2)`): it names one process for good, even when its PID is used again, and an exec
 * of that process changes nothing about it.
 *
 * Happy path: `using child = openPidfd(pid);`, poll it for its end, {@linkcode signalPidfd}.
 *
 * Unhappy path: the process has ended: signals are ESRCH. How it ended, {@linkcode exitStatusOf} tells where the kernel
 * does; nobody but the parent can wait for it.
 *
 * @module
 */

import { check, SysError } from "./errno.ts";
import { readFile } from "./file.ts";
import { OwnedFd } from "./owned_fd.ts";
import { fdInfo } from "./proc.ts";
import { decodeWaitStatus, type ExitStatus } from "./process.ts";
import { decodeMask, maskFromHex } from "./signals.ts";
import { call } from "./symbols.ts";
import { decodeText } from "./text.ts";

/** The same on every architecture, as of all system calls since Linux 5.0. */
const SYS_pidfd_send_signal = 424n;
const SYS_pidfd_open = 434n;

/** `PIDFD_GET_INFO` for the first version of `struct pidfd_info`, which has 64 bytes (Linux 6.13). */
const PIDFD_GET_INFO = 0xc040ff0bn;
const PIDFD_INFO_BYTES = 64;
/** Linux 6.15; answered once the process is reaped. */
const PIDFD_INFO_EXIT = 8n;

/**
 * Opens a process, close-on-exec.
 *
 * @param pid a process, which may be this one
 * @returns the owner of the descriptor
 * @throws {SysError} ESRCH if there is none; EINVAL if it is no process; EMFILE
 */
export function openPidfd(pid: number): OwnedFd {
  const fd = call.syscall(SYS_pidfd_open, BigInt(pid), 0n, 0n, 0n, 0n);
  return OwnedFd.adopt(check(Number(fd), "pidfd_open", `pid ${pid}`));
}

/**
 * Sends a signal to a process.
 *
 * @param fd a pidfd
 * @param signal its number; 0 only checks
 * @throws {SysError} ESRCH if it has ended and was reaped; EPERM; EBADF
 */
export function signalPidfd(fd: number, signal: number): void {
  const result = call.syscall(SYS_pidfd_send_signal, BigInt(fd), BigInt(signal), 0n, 0n, 0n);
  check(Number(result), "pidfd_send_signal", fd);
}

/**
 * The PID behind a pidfd.
 *
 * @param fd a pidfd
 * @returns the PID; null when the process was reaped or is not visible from here
 * @throws {SysError} ENOENT if `fd` is closed or there is no `/proc`
 */
export function pidOf(fd: number): number | null {
  const pid = Number(fdInfo(fd).get("Pid"));
  return pid > 0 ? pid : null;
}

/**
 * How a process ended, as far as somebody who is not its parent can know.
 *
 * @param fd a pidfd
 * @returns how it ended; null while it runs, or when this kernel does not say
 */
export function exitStatusOf(fd: number): ExitStatus | null {
  // Asked again at the end, because it may have been reaped in between.
  return statusOfReaped(fd) ?? statusOfZombie(fd) ?? statusOfReaped(fd);
}

function statusOfReaped(fd: number): ExitStatus | null {
  const info = new Uint8Array(PIDFD_INFO_BYTES);
  const view = new DataView(info.buffer);
  view.setBigUint64(0, PIDFD_INFO_EXIT, true);
  if (call.ioctl(fd, PIDFD_GET_INFO, info) !== 0) return null;
  const isThere = (view.getBigUint64(0, true) & PIDFD_INFO_EXIT) !== 0n;
  return isThere ? decodeWaitStatus(view.getInt32(60, true)) : null;
}

/** Until its parent has reaped it, its entry in /proc tells: field 3 is the state, field 52 the status. */
function statusOfZombie(fd: number): ExitStatus | null {
  const fields = ofProcess(fd, "stat", (text) => text.slice(text.lastIndexOf(")") + 2).trim().split(" "));
  if (fields?.[0] !== "Z" || fields[49] === undefined) return null;
  return decodeWaitStatus(Number(fields[49]));
}

/**
 * The signals that have arrived for a process and are blocked there. A process that has ended still has them until it
 * is reaped.
 *
 * @param fd a pidfd
 * @returns numbers, ascending; none when the process was reaped
 */
export function pendingSignalsOf(fd: number): number[] {
  const masks = ofProcess(
    fd,
    "status",
    (text) => [...text.matchAll(/^(?:SigPnd|ShdPnd):\s*([0-9a-f]{16})$/gm)],
  );
  const signals = masks?.flatMap(([, mask = ""]) => decodeMask(maskFromHex(mask))) ?? [];
  return [...new Set(signals)].sort((a, b) => a - b);
}

/** Reads a file of the process in `/proc`; null when it was reaped before the end of the reading. */
function ofProcess<T>(fd: number, file: string, parse: (text: string) => T): T | null {
  const pid = pidOf(fd);
  if (pid === null) return null;
  try {
    const value = parse(decodeText(readFile(`/proc/${pid}/${file}`)));
    // Had it been reaped meanwhile, the number might be somebody else's.
    return pidOf(fd) === pid ? value : null;
  } catch (error) {
    if (error instanceof SysError) return null;
    throw error;
  }
}
