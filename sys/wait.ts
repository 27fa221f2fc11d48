/**
 * The end of a child by its descriptor (`waitid(2)` with `P_PIDFD`, Linux 5.4): unlike a PID it cannot come to mean another
 * process, and no other child is touched.
 *
 * Happy path: the pidfd is readable, {@linkcode waitPidfd} gives how the child ended and reaps it, once.
 *
 * Unhappy path: the process is not a child of ours, or was reaped before: `SysError` with code ECHILD.
 *
 * @module
 */

import { checkRetrying } from "./errno.ts";
import { decodeWaitStatus, type ExitStatus } from "./process.ts";
import { call } from "./symbols.ts";

const P_PIDFD = 3;
const WNOHANG = 1;
const WEXITED = 4;

/** A `siginfo_t`. */
const SIGINFO_BYTES = 128;

/** Why a child is told of (`si_code` of SIGCHLD). */
const CLD_EXITED = 1;
const CLD_DUMPED = 3;

/** What `waitid` fills in of a `siginfo_t`. */
export interface ChildInfo {
  /** The child; 0 when none has ended. */
  pid: number;
  /** `CLD_EXITED` 1, `CLD_KILLED` 2 or `CLD_DUMPED` 3. */
  reason: number;
  /** The exit code, or the number of the signal. */
  value: number;
}

/**
 * Reaps a child by its descriptor, if it has ended.
 *
 * @param fd a pidfd of a child of this process, borrowed
 * @returns how it ended, or null while it runs
 * @throws {SysError} ECHILD if it is no child of ours, or reaped already; EBADF; EINVAL if it is no pidfd
 */
export function waitPidfd(fd: number): ExitStatus | null {
  const info = new Uint8Array(SIGINFO_BYTES);
  checkRetrying(() => call.waitid(P_PIDFD, fd, info, WEXITED | WNOHANG), "waitid", fd);
  return statusOf(decodeChildInfo(info));
}

/**
 * Reads a `siginfo_t` of SIGCHLD; the same on x86-64 and aarch64.
 *
 * @param bytes 128 bytes
 * @returns what is in it
 */
export function decodeChildInfo(bytes: Uint8Array): ChildInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { reason: view.getInt32(8, true), pid: view.getInt32(16, true), value: view.getInt32(24, true) };
}

/**
 * How a child ended, in the form of waitpid(2).
 *
 * @param info what `waitid` filled in
 * @returns how it ended, or null if nobody has
 */
export function statusOf({ pid, reason, value }: ChildInfo): ExitStatus | null {
  if (pid === 0) return null;
  if (reason === CLD_EXITED) return decodeWaitStatus(value << 8);
  return decodeWaitStatus(value | (reason === CLD_DUMPED ? 0x80 : 0));
}
