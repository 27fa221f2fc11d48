/**
 * `timerfd-v1`: a timer of the kernel (timerfd_create(2)).
 *
 * Preserved:
 * - the timer, which runs on: its clock, the time at which it expires, to the nanosecond, and its interval
 * - expirations that nobody has read, also those during the update: the next read says how many there were
 * - how it was set: an absolute time of the realtime clock follows that clock (`TFD_TIMER_ABSTIME`), one that is to hear of
 *   a clock that was set hears of it (`TFD_TIMER_CANCEL_ON_SET`)
 * - the status flags (`O_NONBLOCK`)
 *
 * Not preserved:
 * - expirations that the application has read and not dealt with
 * - a timer when the machine restarts
 *
 * Taken with: `live.timer`.
 *
 * @module
 */
import { createTimerfd } from "../sys/timerfd.ts";
import { getFlags } from "../sys/mod.ts";
import type { FileHandler } from "../luo/handler.ts";
import { anonymousKind, infoOf, mustEqual } from "./anonymous.ts";
import { descriptorHandler } from "./descriptor.ts";

const WHAT = "timer";

/** Reads a pair of seconds and nanoseconds, such as `(99, 999978684)`. */
function timeOf(text: string | undefined): bigint {
  const [, seconds = "0", nanoseconds = "0"] = /^\((\d+), (\d+)\)$/.exec(text ?? "") ?? [];
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
}

/**
 * The clock of a timer.
 *
 * @param fd a timerfd, borrowed
 * @returns its number (clock_gettime(2)): 0 realtime, 1 monotonic, 7 boottime
 * @throws {HandoverError} `WRONG_DESCRIPTOR` where it is no timerfd
 */
export function timerClockOf(fd: number): number {
  return Number(infoOf(fd, "clockid", `a ${WHAT}`).get("clockid"));
}

/** Carries timers. */
export const timerfdHandler: FileHandler = descriptorHandler({
  compatible: "timerfd-v1",
  version: 1,
  steady: true,
  accepts: (fd) => anonymousKind(fd) === "timerfd",
  describe(fd) {
    const info = infoOf(fd, "clockid", `a ${WHAT}`);
    return {
      clockid: Number(info.get("clockid")),
      flags: getFlags(fd),
      it_interval: timeOf(info.get("it_interval")),
      it_value: timeOf(info.get("it_value")),
      // The name of this line has a space in it: "settime flags: 01".
      settime_flags: Number.parseInt(info.get("settime")?.replace("flags:", "") ?? "0", 8),
      ticks: BigInt(info.get("ticks") ?? 0),
    };
  },
  verify(fd, record) {
    // What is left of the time is less with every look, and others who share it may set it.
    mustEqual(fd, WHAT, { clockid: timerClockOf(fd) }, record);
  },
  // Not set: the record that a check has is from when the timer was preserved, not from now.
  standIn: (record) => createTimerfd(record.int("clockid")),
});
