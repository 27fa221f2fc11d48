import { assert, assertEquals } from "@std/assert";

import { assertHandoverError } from "../kho/helpers_test.ts";
import { waitUntil } from "../sys/helpers_test.ts";
import { createEventfd, takeCount } from "../sys/eventfd.ts";
import { dupOnto, fdInfo } from "../sys/mod.ts";
import {
  createTimerfd,
  getTimerfd,
  setTimerfd,
  TIMER_CLOCKS,
  type TimerClock,
  timerClockNs,
} from "../sys/timerfd.ts";
import { assertCarried, carry, outgoingArgs, takerOf } from "./helpers_test.ts";
import { timerClockOf, timerfdHandler } from "./timerfd.ts";

const HOUR = 3_600_000_000_000n;
const FLAGS = 0o4000;

Deno.test("timerfdHandler carries a timer of each clock with its expiry, its interval and how it was set", () => {
  for (const clock of Object.keys(TIMER_CLOCKS) as TimerClock[]) {
    using timer = createTimerfd(clock);
    assertEquals([takerOf(timer), timerClockOf(timer.fd)], ["timerfd-v1", TIMER_CLOCKS[clock]]);
    setTimerfd(timer.fd, { valueNs: timerClockNs(clock) + HOUR, intervalNs: 1_000_000_007n }, true);
    const before = getTimerfd(timer.fd).valueNs;
    const record = assertCarried(timerfdHandler, timer);
    const { it_value, ...rest } = record;
    const value = BigInt(it_value as number);
    assert(value <= before && value >= getTimerfd(timer.fd).valueNs, `${value} of ${before}`);
    assertEquals(
      [rest["clockid"], rest["it_interval"], rest["settime_flags"], rest["ticks"]],
      [TIMER_CLOCKS[clock], 1_000_000_007, 1, 0],
    );
    assertEquals(Number(rest["flags"]) & FLAGS, FLAGS);
  }
});

Deno.test("timerfdHandler carries expirations that nobody has read, and leaves them there", async () => {
  using timer = createTimerfd("monotonic");
  setTimerfd(timer.fd, { valueNs: 1n, intervalNs: 0n });
  await waitUntil(() => fdInfo(timer.fd).get("ticks") === "1", "the timer");
  const record = assertCarried(timerfdHandler, timer);
  assertEquals([record["ticks"], record["it_value"]], [1, 0]);
  assertEquals(takeCount(timer.fd), 1n);
});

Deno.test("timerfdHandler does not mind a timer that is set meanwhile, but one of another clock", () => {
  using timer = createTimerfd("realtime");
  using set = carry(
    timerfdHandler,
    timer,
    (_, held) => setTimerfd(held.fd, { valueNs: HOUR, intervalNs: 0n }),
  );
  const fd = timerfdHandler.retrieve(set.args) as number;
  assert(getTimerfd(fd).valueNs > 0n);
  timerfdHandler.finish({ ...set.args, fd, retrieveStatus: 1 });

  using other = createTimerfd("boottime");
  using swapped = carry(timerfdHandler, timer, (_, held) => dupOnto(other.fd, held.fd));
  assertHandoverError(
    () => timerfdHandler.retrieve(swapped.args),
    "WRONG_DESCRIPTOR",
    "clockid is 7 instead of 0",
  );
  timerfdHandler.finish(swapped.args);
});

Deno.test("timerfdHandler refuses what has become another kind, at the freeze as well", () => {
  using timer = createTimerfd("monotonic");
  using eventfd = createEventfd();
  using gone = carry(timerfdHandler, timer, (_, held) => dupOnto(eventfd.fd, held.fd));
  assertHandoverError(() => timerfdHandler.retrieve(gone.args), "WRONG_DESCRIPTOR", "anon_inode:[eventfd]");
  timerfdHandler.finish(gone.args);
  using held = timer.dup();
  const args = outgoingArgs(timerfdHandler, held.fd);
  timerfdHandler.preserve(args);
  dupOnto(eventfd.fd, held.fd);
  assertHandoverError(() => timerfdHandler.freeze?.(args), "WRONG_DESCRIPTOR", "as a timer");
});

Deno.test("timerfdHandler stands in with a timer of the same clock that is not set", () => {
  using timer = createTimerfd("boottime");
  setTimerfd(timer.fd, { valueNs: HOUR, intervalNs: 7n });
  using arrived = carry(timerfdHandler, timer);
  const standIn = timerfdHandler.standIn?.(arrived.args);
  if (typeof standIn !== "object") throw new TypeError("It stands in with nothing of its own");
  using owned = standIn;
  assertEquals(timerClockOf(owned.fd), TIMER_CLOCKS.boottime);
  assertEquals(getTimerfd(owned.fd), { valueNs: 0n, intervalNs: 0n });
  timerfdHandler.finish(arrived.args);
});
