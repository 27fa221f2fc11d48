/**
 * Waiting for descriptors (`poll(2)`), blocking this thread and with it all of JavaScript.
 *
 * Happy path: `const [ready] = poll([{ fd, events: POLLIN }], 1000);`, and `ready` has the bits of what happened.
 *
 * Unhappy paths: time runs out: all bits are 0. A signal interrupts: waiting goes on for what is left of the time. A
 * closed descriptor is no error: its bit is `POLLNVAL`, 32.
 *
 * @module
 */

import { monotonicNs } from "./clock.ts";
import { check, ERRNO } from "./errno.ts";
import { call, lastErrno } from "./symbols.ts";

/** There is something to read, or the end of it; a pidfd: the process has ended. */
export const POLLIN = 1;
/** Writing will not wait. */
export const POLLOUT = 4;
/** An error is waiting; always looked for. */
export const POLLERR = 8;
/** The other end is gone; always looked for. */
export const POLLHUP = 16;

/** What to wait for on one descriptor. */
export interface PollEntry {
  /** The descriptor, borrowed; a negative number is passed over. */
  fd: number;
  /** Bits of {@linkcode POLLIN} and {@linkcode POLLOUT}. */
  events: number;
}

const ENTRY_BYTES = 8;
const LONGEST_MS = 0x7fffffff;

/**
 * Looks at many descriptors without waiting.
 *
 * @param fds the descriptors, borrowed
 * @param events what to look for on each: bits of {@linkcode POLLIN} and {@linkcode POLLOUT}
 * @returns for each descriptor the bits of what has happened; all 0 where the kernel cannot look at so many
 */
export function pollNow(fds: readonly number[], events: number): number[] {
  const bytes = new Uint8Array(fds.length * ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  fds.forEach((fd, index) => {
    view.setInt32(index * ENTRY_BYTES, fd, true);
    view.setInt16(index * ENTRY_BYTES + 4, events, true);
  });
  call.poll(bytes, BigInt(fds.length), 0);
  return fds.map((_, index) => view.getInt16(index * ENTRY_BYTES + 6, true));
}

/**
 * Waits until something happens on one of the descriptors.
 *
 * @param entries what to wait for
 * @param timeoutMs milliseconds, rounded up; -1 for ever
 * @returns for each entry the bits of what happened, in the same order
 * @throws {SysError} EINVAL for more entries than descriptors are allowed
 */
export function poll(entries: readonly PollEntry[], timeoutMs: number): number[] {
  const bytes = new Uint8Array(entries.length * ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  entries.forEach(({ fd, events }, index) => {
    view.setInt32(index * ENTRY_BYTES, fd, true);
    view.setInt16(index * ENTRY_BYTES + 4, events, true);
  });
  const until = timeoutMs > 0 ? monotonicNs() + BigInt(Math.ceil(timeoutMs * 1e6)) : 0n;
  for (let left = timeoutMs;;) {
    const result = call.poll(
      bytes,
      BigInt(entries.length),
      left < 0 ? -1 : Math.min(Math.ceil(left), LONGEST_MS),
    );
    if (result !== -1 || lastErrno() !== ERRNO.EINTR) {
      check(result, "poll");
      return entries.map((_, index) => view.getInt16(index * ENTRY_BYTES + 6, true));
    }
    if (timeoutMs > 0) left = Math.max(0, Number(until - monotonicNs()) / 1e6);
  }
}
