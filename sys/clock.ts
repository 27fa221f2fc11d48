/**
 * The clocks of the kernel, to the nanosecond. {@linkcode monotonicNs} is the one that all processes of a machine share
 * and nobody can set, so stamps from before and after an exec can be compared.
 *
 * @module
 */

import { check } from "./errno.ts";
import { call } from "./symbols.ts";

const CLOCK_REALTIME = 0;
const CLOCK_MONOTONIC = 1;
const NS_PER_SECOND = 1_000_000_000n;

/**
 * Time since some moment before the boot, not counting suspension (`CLOCK_MONOTONIC`).
 *
 * @returns nanoseconds
 */
export function monotonicNs(): bigint {
  return clockNs(CLOCK_MONOTONIC);
}

/**
 * Time since 1970-01-01 00:00 UTC; jumps when the clock is set (`CLOCK_REALTIME`).
 *
 * @returns nanoseconds
 */
export function realtimeNs(): bigint {
  return clockNs(CLOCK_REALTIME);
}

/**
 * Reads a `struct timespec`.
 *
 * @param bytes the structure, 16 bytes
 * @returns nanoseconds
 */
export function decodeTimespec(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.getBigInt64(0, true) * NS_PER_SECOND + view.getBigInt64(8, true);
}

/**
 * What any clock of the kernel shows.
 *
 * @param clock its number (clock_gettime(2))
 * @returns nanoseconds
 * @throws {SysError} EINVAL where there is none of that number
 */
export function clockNs(clock: number): bigint {
  const timespec = new Uint8Array(16);
  check(call.clock_gettime(clock, timespec), "clock_gettime");
  return decodeTimespec(timespec);
}
