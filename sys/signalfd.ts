/**
 * Signals that are read instead of delivered (signalfd(2)).
 *
 * Happy path: with the signals blocked, `using signals = createSignalfd(mask); readSignal(signals.fd)` is the next of them.
 *
 * Unhappy path: none has come: null. A signal that is not blocked in every thread is delivered as ever, and is never read.
 *
 * @module
 */
import { check, SysError } from "./errno.ts";
import { read } from "./file.ts";
import { OwnedFd } from "./owned_fd.ts";
import type { SignalMask } from "./signals.ts";
import { call } from "./symbols.ts";

const SFD_NONBLOCK = 0o4000;
const SFD_CLOEXEC = 0o2000000;
const SIGINFO_BYTES = 128;

/** What is used here of a `struct signalfd_siginfo`. */
export interface SignalInfo {
  /** Number of the signal. */
  signal: number;
  /** Who sent it; 0 where it was the kernel. */
  pid: number;
}

/**
 * Makes a signalfd, close-on-exec and nonblocking. Blocking the signals is the caller's.
 *
 * @param mask the signals that are read from it
 * @returns the owner of the descriptor
 * @throws {SysError} EMFILE, ENFILE, ENOMEM
 */
export function createSignalfd(mask: SignalMask): OwnedFd {
  return OwnedFd.adopt(check(call.signalfd(-1, mask, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd"));
}

/**
 * Takes the next signal.
 *
 * @param fd a nonblocking signalfd, borrowed
 * @returns the signal, or null when none waits
 * @throws {SysError} EBADF
 */
export function readSignal(fd: number): SignalInfo | null {
  const bytes = new Uint8Array(SIGINFO_BYTES);
  try {
    read(fd, bytes);
  } catch (error) {
    if (error instanceof SysError && error.code === "EAGAIN") return null;
    throw error;
  }
  return decodeSignalInfo(bytes);
}

/** Reads a `struct signalfd_siginfo`: the signal, its errno, its code and the sender, in 4 bytes each. */
export function decodeSignalInfo(bytes: Uint8Array): SignalInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { signal: view.getUint32(0, true), pid: view.getUint32(12, true) };
}
