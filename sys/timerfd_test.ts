import { assert, assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./errno.ts";
import { takeCount } from "./eventfd.ts";
import { getCloexec, getFlags } from "./fd.ts";
import { waitUntil, withSameFds } from "./helpers_test.ts";
import { openFile } from "./file.ts";
import { fdInfo } from "./proc.ts";
import {
  createTimerfd,
  decodeTimerSpec,
  encodeTimerSpec,
  getTimerfd,
  MAX_TIME_NS,
  setTimerfd,
  TIMER_CLOCKS,
  type TimerClock,
  timerClockNs,
} from "./timerfd.ts";

const CLOCKS = Object.keys(TIMER_CLOCKS) as TimerClock[];
const HOUR = 3_600_000_000_000n;

Deno.test("encodeTimerSpec() has the interval first, decodeTimerSpec() is its inverse", () => {
  const spec = { valueNs: 0x1_0000_0001n * 1_000_000_000n + 999_999_999n, intervalNs: 2_000_000_003n };
  const bytes = encodeTimerSpec(spec);
  assertEquals(
    bytes.toHex(),
    "0200000000000000" + "0300000000000000" + "0100000001000000" + "ffc99a3b00000000",
  );
  assertEquals(decodeTimerSpec(bytes), spec);
  assertEquals(
    decodeTimerSpec(encodeTimerSpec({ valueNs: MAX_TIME_NS, intervalNs: 0n })).valueNs,
    MAX_TIME_NS,
  );
});

Deno.test("createTimerfd() makes a nonblocking, close-on-exec timer of each clock, which is not set", () => {
  withSameFds(() => {
    for (const clock of CLOCKS) {
      using timer = createTimerfd(clock);
      assertEquals([getCloexec(timer.fd), getFlags(timer.fd) & 0o4000], [true, 0o4000]);
      assertEquals(fdInfo(timer.fd).get("clockid"), String(TIMER_CLOCKS[clock]));
      assertEquals(getTimerfd(timer.fd), { valueNs: 0n, intervalNs: 0n });
      assertEquals(takeCount(timer.fd), null);
    }
    assertEquals(assertThrows(() => createTimerfd(99), SysError).code, "EINVAL");
  });
});

Deno.test("setTimerfd() sets a time from now on, or one of the clock, and forgets what was counted", async () => {
  for (const clock of CLOCKS) {
    using timer = createTimerfd(clock);
    setTimerfd(timer.fd, { valueNs: HOUR, intervalNs: 5n });
    const { valueNs, intervalNs } = getTimerfd(timer.fd);
    assert(valueNs <= HOUR && valueNs > HOUR - 60_000_000_000n, `${valueNs}`);
    assertEquals(intervalNs, 5n);

    const time = timerClockNs(clock) + HOUR;
    setTimerfd(timer.fd, { valueNs: time, intervalNs: 0n }, true);
    const before = timerClockNs(clock);
    const left = getTimerfd(timer.fd).valueNs;
    assert(left <= time - before && left >= time - timerClockNs(clock), `${left}`);

    // Half of all time ago, and as long after that: that is now.
    const half = timerClockNs(clock) / 2n;
    setTimerfd(timer.fd, { valueNs: half, intervalNs: half }, true);
    await waitUntil(() => fdInfo(timer.fd).get("ticks") !== "0", "the timer");
    assertEquals(takeCount(timer.fd), 2n);

    setTimerfd(timer.fd, { valueNs: 1n, intervalNs: 0n });
    await waitUntil(() => fdInfo(timer.fd).get("ticks") === "1", "the timer");
    setTimerfd(timer.fd, { valueNs: 0n, intervalNs: 0n });
    assertEquals([takeCount(timer.fd), getTimerfd(timer.fd).valueNs], [null, 0n]);
  }
});

Deno.test("setTimerfd() and getTimerfd() say what is wrong", () => {
  using file = openFile("/dev/null");
  const spec = { valueNs: 1n, intervalNs: 0n };
  assertEquals(assertThrows(() => setTimerfd(file.fd, spec), SysError).code, "EINVAL");
  assertEquals(assertThrows(() => getTimerfd(file.fd), SysError).code, "EINVAL");
  using timer = createTimerfd("monotonic");
  assertEquals(assertThrows(() => setTimerfd(timer.fd, { ...spec, valueNs: -5n }), SysError).code, "EINVAL");
});
