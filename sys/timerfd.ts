/**
 * Timers of the kernel that a process waits for (timerfd_create(2)).
 *
 * Happy path: `const timer = createTimerfd("monotonic"); setTimerfd(timer.fd, { valueNs: 1_000_000n })`; a millisecond
 * later the descriptor is readable, and `takeCount` says how often it has expired.
 *
 * Unhappy path: a clock that this kernel does not have is a `SysError` with code EINVAL.
 *
 * @module
 */
import { clockNs } from "./clock.ts";
import { check } from "./errno.ts";
import { OwnedFd } from "./owned_fd.ts";
import { call } from "./symbols.ts";

/** The name of a clock. */
export type TimerClock = "monotonic" | "realtime" | "boottime";

/** The clocks of timers, as clock_gettime(2) numbers them. */
export const TIMER_CLOCKS: Readonly<Record<TimerClock, number>> = { realtime: 0, monotonic: 1, boottime: 7 };

const TFD_NONBLOCK = 0o4000;
const TFD_CLOEXEC = 0o2000000;
const TFD_TIMER_ABSTIME = 1;
const NS_PER_SECOND = 1_000_000_000n;
const ITIMERSPEC_BYTES = 32;

/** The longest time that the kernel counts, in nanoseconds (292 years). */
export const MAX_TIME_NS = 0x7fff_ffff_ffff_ffffn;

/** A `struct itimerspec`. */
export interface TimerSpec {
  /** Nanoseconds until it expires, or the time when it does; 0 for a timer that is not set. */
  valueNs: bigint;
  /** Nanoseconds from then on between two expirations; 0 for one that expires once. */
  intervalNs: bigint;
}

/**
 * Makes a timer that is not set, close-on-exec and nonblocking.
 *
 * @param clock its clock: a name, or the number of any clock
 * @returns the owner of the descriptor
 * @throws {SysError} EINVAL for a clock that is none; EPERM for one that wakes the machine; EMFILE, ENFILE, ENOMEM
 */
export function createTimerfd(clock: TimerClock | number): OwnedFd {
  const id = typeof clock === "number" ? clock : TIMER_CLOCKS[clock];
  return OwnedFd.adopt(check(call.timerfd_create(id, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd_create"));
}

/**
 * Sets a timer. What it has counted and nobody has read is forgotten.
 *
 * @param fd a timerfd, borrowed
 * @param spec when it expires; all 0 clears it
 * @param absolute is the value a time of its clock, rather than a time from now on?
 * @throws {SysError} EBADF; EINVAL where it is no timerfd, or for a time that is none
 */
export function setTimerfd(fd: number, spec: TimerSpec, absolute = false): void {
  const flags = absolute ? TFD_TIMER_ABSTIME : 0;
  check(call.timerfd_settime(fd, flags, encodeTimerSpec(spec), null), "timerfd_settime", fd);
}

/**
 * How long a timer has yet to run.
 *
 * @param fd a timerfd, borrowed
 * @returns the time left and the interval
 * @throws {SysError} EBADF; EINVAL where it is no timerfd
 */
export function getTimerfd(fd: number): TimerSpec {
  const bytes = new Uint8Array(ITIMERSPEC_BYTES);
  check(call.timerfd_gettime(fd, bytes), "timerfd_gettime", fd);
  return decodeTimerSpec(bytes);
}

/**
 * What a clock shows.
 *
 * @param clock its name
 * @returns nanoseconds
 */
export function timerClockNs(clock: TimerClock): bigint {
  return clockNs(TIMER_CLOCKS[clock]);
}

/** A `struct itimerspec`: the interval, then the value, each in seconds and nanoseconds of 8 bytes. */
export function encodeTimerSpec({ valueNs, intervalNs }: TimerSpec): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ITIMERSPEC_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigInt64(0, intervalNs / NS_PER_SECOND, true);
  view.setBigInt64(8, intervalNs % NS_PER_SECOND, true);
  view.setBigInt64(16, valueNs / NS_PER_SECOND, true);
  view.setBigInt64(24, valueNs % NS_PER_SECOND, true);
  return bytes;
}

/** The inverse of {@linkcode encodeTimerSpec}. */
export function decodeTimerSpec(bytes: Uint8Array): TimerSpec {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const time = (at: number): bigint =>
    view.getBigInt64(at, true) * NS_PER_SECOND + view.getBigInt64(at + 8, true);
  return { valueNs: time(16), intervalNs: time(0) };
}
