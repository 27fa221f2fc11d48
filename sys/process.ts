/**
 * Who this process is, and how its children ended.
 *
 * Happy path: {@linkcode waitNoHang} of a child that has ended gives its status, once.
 *
 * Unhappy path: the PID is not a child of ours, or was reaped before: `SysError` with code ECHILD. All children at once
 * are never waited for: that would take away the status of those that Deno started.
 *
 * @module
 */

import { checkRetrying, SysError } from "./errno.ts";
import { call } from "./symbols.ts";

const WNOHANG = 1;

/**
 * The number of this process.
 *
 * @returns the PID
 */
export function getPid(): number {
  return Deno.pid;
}

/**
 * The number of the process that started this one, or of who took it over.
 *
 * @returns the PID; 0 if it is outside of this PID namespace
 */
export function getParentPid(): number {
  return call.getppid();
}

/**
 * The real user of this process.
 *
 * @returns the UID
 */
export function getUid(): number {
  return call.getuid();
}

/** How a child ended. */
export interface ExitStatus {
  /** As waitpid(2) gives it. */
  status: number;
  /** Exit code, or null if a signal ended it. */
  code: number | null;
  /** Number of the signal that ended it, or null. */
  signal: number | null;
}

/**
 * Reaps one child, if it has ended.
 *
 * @param pid a child of this process
 * @returns how it ended, or null while it runs
 * @throws {SysError} ECHILD if it is no child of ours, or reaped already
 * @throws {RangeError} if `pid` is not the number of one process
 */
export function waitNoHang(pid: number): ExitStatus | null {
  if (!Number.isInteger(pid) || pid < 1 || pid > 0x7fffffff) {
    throw new RangeError(`Cannot wait for pid ${pid}: not the number of one process`);
  }
  const status = new Uint8Array(4);
  const reaped = checkRetrying(() => call.waitpid(pid, status, WNOHANG), "waitpid", `pid ${pid}`);
  return reaped === 0 ? null : decodeWaitStatus(new DataView(status.buffer).getInt32(0, true));
}

/**
 * Has a child ended? Reaps it then. For a child that somebody else may have reaped.
 *
 * @param pid a process that was a child of this one
 * @returns how it ended, `unknown` when it was reaped before, or null while it runs
 */
export function reapIfEnded(pid: number): ExitStatus | "unknown" | null {
  try {
    return waitNoHang(pid);
  } catch (error) {
    if (error instanceof SysError && error.code === "ECHILD") return "unknown";
    throw error;
  }
}

/**
 * Takes a status of waitpid(2) apart.
 *
 * @param status of a child that has ended, not of one that has stopped
 * @returns how it ended
 */
export function decodeWaitStatus(status: number): ExitStatus {
  const signal = status & 0x7f;
  return signal === 0 ? { status, code: (status >> 8) & 0xff, signal: null } : { status, code: null, signal };
}
