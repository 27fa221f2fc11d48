/**
 * How a child ended, and the record by which the next build knows that this was told already.
 *
 * @module
 */
import { decodeRecord, encodeRecord } from "../../handlers/record.ts";
import {
  addSeals,
  createMemfd,
  type ExitStatus,
  fstat,
  type OwnedFd,
  readWhole,
  SEALS,
  SIGNALS,
  SysError,
  writeAll,
} from "../../sys/mod.ts";
import { exitStatusOf } from "../../sys/pidfd.ts";
import { waitPidfd } from "../../sys/wait.ts";

/** How a child ended, as `Deno.CommandStatus` says it, and what else can be. */
export interface ChildStatus {
  /** Did it end by itself, with exit code 0? */
  readonly success: boolean;
  /**
   * Its exit code; 128 and the number of the signal if one ended it. Null if it is not known: the service has another PID
   * than the one that was its parent, and the kernel is older than Linux 6.15; or it could not be started.
   */
  readonly code: number | null;
  /** The signal that ended it; null for one without a name, too. */
  readonly signal: Deno.Signal | null;
  /** Why it could not be started when the application was ready. */
  readonly error?: SysError;
}

const CHILD_RECORD = "the end of a child";
const VERSION = 1;

/**
 * Puts an end into words.
 *
 * @param status what the kernel said, or null if it does not say
 * @returns the words
 */
export function childStatus(status: ExitStatus | null): ChildStatus {
  if (status === null) return { success: false, code: null, signal: null };
  const { code, signal } = status;
  if (signal === null) return { success: code === 0, code, signal: null };
  return { success: false, code: 128 + signal, signal: nameOf(signal) };
}

function nameOf(signal: number): Deno.Signal | null {
  const entry = Object.entries(SIGNALS).find(([, number]) => number === signal);
  return entry === undefined ? null : entry[0] as Deno.Signal;
}

/**
 * Reaps a process that has ended, or finds out what there is to find out if it is no child of this process.
 *
 * @param pidfd its descriptor, borrowed, on which the end was seen
 * @returns how it ended; null while it is not to be reaped yet
 */
export function reap(pidfd: number): ChildStatus | null {
  try {
    const status = waitPidfd(pidfd);
    return status === null ? null : childStatus(status);
  } catch (error) {
    if (!(error instanceof SysError) || error.code !== "ECHILD") throw error;
    return childStatus(exitStatusOf(pidfd));
  }
}

/** An end that was told. */
export interface ToldEnd {
  /** The PID that the child had. */
  readonly pid: number;
  /** How it ended. */
  readonly status: ChildStatus;
}

/**
 * Writes an end down.
 *
 * @param end what was told
 * @returns a sealed memfd
 * @throws {SysError} EMFILE
 */
export function writeEnd({ pid, status }: ToldEnd): OwnedFd {
  using undo = new DisposableStack();
  const memory = undo.use(createMemfd("heirloom:end"));
  const { code, signal, success } = status;
  writeAll(memory.fd, encodeRecord(VERSION, { code, pid, signal, success }));
  addSeals(memory.fd, SEALS.SEAL | SEALS.SHRINK | SEALS.GROW | SEALS.WRITE);
  undo.move();
  return memory;
}

/**
 * Reads what {@linkcode writeEnd} wrote.
 *
 * @param fd the memfd, borrowed
 * @throws {HandoverError} `CORRUPT`, `UNKNOWN_VERSION`
 */
export function readEnd(fd: number): ToldEnd {
  const fields = decodeRecord(readWhole(fd, fstat(fd).size), CHILD_RECORD, VERSION);
  const status = {
    success: fields.value("success") === true,
    code: fields.value("code") === null ? null : fields.int("code"),
    signal: fields.textOrNull("signal") as Deno.Signal | null,
  };
  return { pid: fields.int("pid"), status };
}
