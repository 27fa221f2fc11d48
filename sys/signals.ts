/**
 * The signal mask, which crosses an exec, and sending signals.
 *
 * Happy path: `const before = blockForExec(); execve(...)`. What arrives in the gap stays pending; the new image installs
 * its listeners and then lets it in with `setMask(before)`.
 *
 * What is read from a signalfd is never let in: {@linkcode keepBlocked}.
 *
 * Unhappy path: the exec fails: `setMask(before)` in the old image delivers what waited, to the listeners it has.
 *
 * The mask is that of the calling thread, so these functions belong on the main thread. A signal that is sent to the
 * process goes to any thread that does not block it, and waits only if none is left. Threads inherit the mask they are
 * created under. So the gap is safe on three conditions:
 * 1. The image itself was exec'ed with blocked signals, as by the launcher and by each jump. In a cold `deno run` the
 *    threads of the runtime block nothing: one of them takes the signal, and with it goes the default action, or a
 *    listener that will not run any more.
 * 2. The first signal listener was installed before the main thread opened its mask: it starts a thread.
 * 3. No `Worker` runs: it has a thread of its own, which inherited an open mask.
 *
 * @module
 */

import { check, SysError } from "./errno.ts";
import { call } from "./symbols.ts";

/** A `sigset_t`: 128 bytes, of which the kernel uses the first 8; signal `n` is bit `n - 1`. */
export type SignalMask = Uint8Array<ArrayBuffer>;

/** Signal numbers by name; the same on x86-64 and aarch64 (signal(7)). */
export const SIGNALS = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
} as const;

const SIG_BLOCK = 0;
const SIG_SETMASK = 2;
const MASK_BYTES = 128;
const TIMESPEC_BYTES = 16;
const LAST_SIGNAL = 64;

/**
 * Signals that {@linkcode blockForExec} leaves alone. The faults must reach the thread that causes them: blocked, they
 * kill without a word. KILL and STOP cannot be blocked. The rest is ignored or harmless by default, or stops a job as the
 * terminal asks.
 */
const UNBLOCKED: ReadonlySet<number> = new Set([
  SIGNALS.SIGILL,
  SIGNALS.SIGTRAP,
  SIGNALS.SIGABRT,
  SIGNALS.SIGBUS,
  SIGNALS.SIGFPE,
  SIGNALS.SIGSEGV,
  SIGNALS.SIGSYS,
  SIGNALS.SIGKILL,
  SIGNALS.SIGSTOP,
  SIGNALS.SIGCHLD,
  SIGNALS.SIGCONT,
  SIGNALS.SIGURG,
  SIGNALS.SIGWINCH,
  SIGNALS.SIGTSTP,
  SIGNALS.SIGTTIN,
  SIGNALS.SIGTTOU,
]);

/**
 * Makes a mask of signal numbers.
 *
 * @param signals numbers from 1 to 64
 * @returns the mask
 * @throws {RangeError} for another number
 */
export function encodeMask(signals: Iterable<number>): SignalMask {
  const mask = new Uint8Array(MASK_BYTES);
  for (const signal of signals) {
    checkSignal(signal, 1);
    const at = (signal - 1) >> 3;
    mask[at] = (mask[at] ?? 0) | (1 << ((signal - 1) & 7));
  }
  return mask;
}

/**
 * Lists the signals of a mask.
 *
 * @param mask a mask
 * @returns numbers, ascending
 */
export function decodeMask(mask: SignalMask): number[] {
  const signals: number[] = [];
  for (let signal = 1; signal <= LAST_SIGNAL; signal++) {
    if (((mask[(signal - 1) >> 3] ?? 0) >> ((signal - 1) & 7)) & 1) signals.push(signal);
  }
  return signals;
}

/**
 * The signals that are blocked in this thread.
 *
 * @returns the mask
 */
export function getMask(): SignalMask {
  return changeMask(SIG_BLOCK, null);
}

/**
 * Blocks exactly these signals in this thread. What was pending and is no longer blocked is delivered.
 *
 * @param mask the new mask
 * @throws {RangeError} if it is not 128 bytes long
 */
export function setMask(mask: SignalMask): void {
  if (mask.byteLength !== MASK_BYTES) {
    throw new RangeError(`Cannot set the signal mask: ${mask.byteLength} bytes, not ${MASK_BYTES}`);
  }
  changeMask(SIG_SETMASK, mask);
}

let kept: SignalMask | null = null;

/**
 * These signals stay blocked when {@linkcode takeBackMask} lets in what was held: they are read from a signalfd that was
 * handed over, and one that waits is not to be delivered.
 *
 * @param mask the signals
 */
export function keepBlocked(mask: SignalMask): void {
  kept = joined(mask, kept);
}

/**
 * Takes back the mask that the process began with, and what {@linkcode keepBlocked} was told. A SIGPROF that waits is dropped:
 * a profiler sent it to the image before, and this one may have no handler for it.
 *
 * @param mask the mask of the cold start
 * @throws {RangeError} if it is not 128 bytes long
 */
export function takeBackMask(mask: SignalMask): void {
  if (pendingSignals().includes(SIGNALS.SIGPROF)) {
    // It fails only where the signal was taken meanwhile.
    call.sigtimedwait(encodeMask([SIGNALS.SIGPROF]), null, new Uint8Array(TIMESPEC_BYTES));
  }
  setMask(joined(mask, kept));
}

function joined(mask: SignalMask, more: SignalMask | null): SignalMask {
  return more === null ? mask : mask.map((byte, at) => byte | (more[at] ?? 0));
}

/**
 * Blocks what could end or disturb the process between two images, in addition to what is blocked already: all signals
 * but the faults, KILL, STOP, the job-control signals, CHLD, CONT, URG and WINCH.
 *
 * @returns the mask before
 */
export function blockForExec(): SignalMask {
  const all = Array.from({ length: LAST_SIGNAL }, (_, index) => index + 1);
  return changeMask(SIG_BLOCK, encodeMask(all.filter((signal) => !UNBLOCKED.has(signal))));
}

function changeMask(how: number, mask: SignalMask | null): SignalMask {
  const before = new Uint8Array(MASK_BYTES);
  // Unlike most, it answers the error number itself.
  const errno = call.pthread_sigmask(how, mask, before);
  if (errno !== 0) throw new SysError("pthread_sigmask", errno);
  return before;
}

/**
 * Writes a mask as `/proc/PID/status` does in `SigBlk`.
 *
 * @param mask a mask
 * @returns 16 hexadecimal digits
 */
export function maskToHex(mask: SignalMask): string {
  return mask.slice(0, 8).reverse().toHex();
}

/**
 * Reads what {@linkcode maskToHex} wrote.
 *
 * @param text 16 hexadecimal digits
 * @returns the mask
 * @throws {RangeError} if it is anything else
 */
export function maskFromHex(text: string): SignalMask {
  if (!/^[0-9a-f]{16}$/.test(text)) {
    throw new RangeError(`Cannot parse signal mask ${JSON.stringify(text)}: not 16 hexadecimal digits`);
  }
  const mask = new Uint8Array(MASK_BYTES);
  mask.set(Uint8Array.fromHex(text).reverse());
  return mask;
}

/**
 * The signals that have arrived for this thread or the process and are blocked.
 *
 * @returns numbers, ascending
 */
export function pendingSignals(): number[] {
  const set = new Uint8Array(MASK_BYTES);
  check(call.sigpending(set), "sigpending");
  return decodeMask(set);
}

/**
 * Sends a signal to one process.
 *
 * @param pid a process; never a group, never all
 * @param signal its number; 0 only checks that the process exists and may be signalled
 * @throws {SysError} ESRCH if there is none; EPERM
 * @throws {RangeError} if `pid` is not the number of one process, or `signal` no signal
 */
export function killProcess(pid: number, signal: number): void {
  if (!Number.isInteger(pid) || pid < 1 || pid > 0x7fffffff) {
    throw new RangeError(`Cannot signal pid ${pid}: not the number of one process`);
  }
  checkSignal(signal, 0);
  check(call.kill(pid, signal), "kill", `pid ${pid}`);
}

function checkSignal(signal: number, lowest: number): void {
  if (!Number.isInteger(signal) || signal < lowest || signal > LAST_SIGNAL) {
    throw new RangeError(`Cannot use signal ${signal}: not a number from ${lowest} to ${LAST_SIGNAL}`);
  }
}
