import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";

import { LuoError } from "../../luo/errors.ts";
import { fdInfo, isOpenFd } from "../../sys/mod.ts";
import { getTimerfd } from "../../sys/timerfd.ts";
import { waitFor } from "../../testing/wait.ts";
import { coldSide } from "../helpers_test.ts";
import { openEventfd } from "./eventfd.ts";
import { FakeLife, turns } from "./helpers_test.ts";
import { type LiveTimer, openTimer, type TimerClock, type TimerSetting } from "./timer.ts";

const HOUR_MS = 3_600_000;
const CLOCKS: readonly TimerClock[] = ["monotonic", "realtime", "boottime"];

function ticksOf(fd: number): string | undefined {
  return fdInfo(fd).get("ticks");
}

/** Waits until it has expired, without taking that. */
function expired(timer: { fd: number }): Promise<unknown> {
  return waitFor(() => ticksOf(timer.fd) !== "0", { what: "the timer", intervalMs: 1 });
}

/** Asserts how long a timer has yet to run, to the minute. */
function assertLeft(timer: LiveTimer, ms: number, everyMs: number): void {
  const left = timer.remaining() ?? { ms: NaN, everyMs: NaN };
  assert(left.ms <= ms && left.ms > ms - 60_000, JSON.stringify(left));
  assertEquals([left.everyMs, timer.running], [everyMs, true]);
}

Deno.test("a timer of each clock is set to a time from now, to a time, and cleared", async () => {
  const life = new FakeLife(coldSide());
  for (const clock of CLOCKS) {
    const timer = await openTimer(life, clock, { clock });
    assertEquals([timer.isNew, timer.running, timer.remaining(), timer.clock], [true, false, null, clock]);
    timer.set({ inMs: HOUR_MS, everyMs: 0.000007 });
    assertLeft(timer, HOUR_MS, 0.000007);
    timer.set({ everyMs: HOUR_MS });
    assertLeft(timer, HOUR_MS, HOUR_MS);
    timer.set({ at: timer.now() + BigInt(HOUR_MS) * 1_000_000n });
    assertLeft(timer, HOUR_MS, 0);
    timer.clear();
    assertEquals([timer.running, timer.remaining(), timer.take()], [false, null, null]);
    timer.set({ inMs: 0 });
    await expired(timer);
    assertEquals([timer.running, timer.remaining(), timer.take(), timer.take()], [true, null, 1n, null]);
    assertEquals(timer.running, false);
  }
  await life.end();
});

Deno.test("a Date is a time of the realtime clock, and the past counts the intervals since", async () => {
  const life = new FakeLife(coldSide());
  const timer = await openTimer(life, "cron", { clock: "realtime" });
  timer.set({ at: new Date(Date.now() + HOUR_MS), everyMs: 24 * HOUR_MS });
  assertLeft(timer, HOUR_MS, 24 * HOUR_MS);
  timer.set({ at: new Date(Date.now() - 2.5 * HOUR_MS), everyMs: HOUR_MS });
  await expired(timer);
  assertEquals(timer.take(), 3n);
  assertLeft(timer, 0.5 * HOUR_MS, HOUR_MS);
  await life.end();
});

Deno.test("set() takes nothing that is no time", async () => {
  const life = new FakeLife(coldSide());
  const timer = await openTimer(life, "tick", {});
  const wall = await openTimer(life, "wall", { clock: "realtime" });
  timer.set({ inMs: HOUR_MS });
  const ranges: TimerSetting[] = [
    { inMs: -1 },
    { inMs: NaN },
    { inMs: Infinity },
    { inMs: 1e13 },
    { everyMs: 0 },
    { everyMs: 0.0000001 },
    { inMs: 1, everyMs: -1 },
    { at: 0n },
    { at: -1n },
    { at: 1n << 63n },
  ];
  for (const setting of ranges) assertThrows(() => timer.set(setting), RangeError, "Cannot set a timer");
  for (const setting of [{}, { inMs: 1, at: 5n }, { at: new Date() }]) {
    assertThrows(() => timer.set(setting), TypeError, "Cannot set a timer");
  }
  assertThrows(() => wall.set({ at: new Date(NaN) }), RangeError, "invalid");
  assertThrows(() => wall.set({ at: new Date(0) }), RangeError);
  assertLeft(timer, HOUR_MS, 0);
  assertEquals(wall.running, false);
  await life.end();
});

Deno.test("expired() gets the expirations, when the application is ready and no update is under way", async () => {
  const life = new FakeLife(coldSide());
  const seen: bigint[] = [];
  const timer = await openTimer(life, "tick", { expired: (count) => void seen.push(count) });
  timer.set({ inMs: 0 });
  await expired(timer);
  await turns();
  assertEquals(seen, []);
  life.ready();
  await waitFor(() => seen.length === 1, { what: "the first" });
  life.pause();
  timer.set({ inMs: 0 });
  await expired(timer);
  await turns();
  assertEquals([seen, timer.take(), timer.running], [[1n], null, true]);
  life.resume();
  await waitFor(() => seen.length === 2, { what: "the second" });
  timer.set({ everyMs: 1 });
  await waitFor(() => seen.length > 5, { what: "the others" });
  await timer.close();
  assertThrows(() => timer.set({ inMs: 1 }), TypeError, '"tick": it is closed');
  assertThrows(() => timer.remaining(), TypeError);
});

Deno.test("the next build finds it running, and hears of what has expired meanwhile", async () => {
  const cold = new FakeLife(coldSide());
  const [deadline, tick] = [await openTimer(cold, "deadline", {}), await openTimer(cold, "tick", {})];
  deadline.set({ inMs: HOUR_MS });
  tick.set({ inMs: 0 });
  await expired(tick);
  const life = cold.next();
  const seen: bigint[] = [];
  const later = await openTimer(life, "deadline", {});
  const next = await openTimer(life, "tick", { expired: (count) => void seen.push(count) });
  assertEquals([later.isNew, next.isNew, next.running, next.remaining(), next.take()], [
    false,
    false,
    true,
    null,
    null,
  ]);
  assertLeft(later, HOUR_MS, 0);
  await turns();
  assertEquals(seen, []);
  life.ready();
  await waitFor(() => seen.length === 1, { what: "the expiration" });
  assertEquals(seen, [1n]);
  await life.end();
});

Deno.test("what is set before the application is ready is set then: a build that comes back finds it as it was", async () => {
  for (const clock of CLOCKS) {
    const cold = new FakeLife(coldSide());
    const names = ["in", "at", "cleared", "soon"];
    const old = await Promise.all(names.map((name) => openTimer(cold, name, { clock })));
    for (const timer of old) timer.set({ inMs: 2 * HOUR_MS });
    const life = cold.next();
    const [inMs, at, cleared, soon] = await Promise.all(
      names.map((name) => openTimer(life, name, { clock })),
    ) as [LiveTimer, LiveTimer, LiveTimer, LiveTimer];
    inMs.set({ inMs: HOUR_MS, everyMs: 5 });
    at.set({ at: at.now() + BigInt(HOUR_MS) * 1_000_000n });
    cleared.clear();
    soon.set({ inMs: 10 });
    await turns();
    for (const timer of old) {
      assert(getTimerfd(timer.fd).valueNs > 5_400_000_000_000n, `${clock} was touched`);
    }
    const check = (): void => {
      assertLeft(inMs, HOUR_MS, 5);
      assertLeft(at, HOUR_MS, 0);
      assertEquals([cleared.remaining(), cleared.running], [null, false]);
    };
    check();
    assertEquals([soon.remaining(), soon.running, soon.take()], [{ ms: 0, everyMs: 0 }, true, null]);
    life.ready();
    check();
    await expired(soon);
    assertEquals(soon.take(), 1n);
    await life.end();
  }
});

Deno.test("a timer of another clock and an eventfd of that name are EEXIST, and wait for who asks for them", async () => {
  const cold = new FakeLife(coldSide());
  const before = await openTimer(cold, "tick", { clock: "boottime" });
  before.set({ inMs: HOUR_MS });
  const life = cold.next();
  const wrong = await assertRejects(() => openTimer(life, "tick", {}), LuoError, "has the clock boottime");
  const kind = await assertRejects(() => openEventfd(life, "tick", {}), LuoError, "handed over as a timer");
  assertEquals([wrong.code, kind.code], ["EEXIST", "EEXIST"]);
  await assertRejects(() => openTimer(life, "tick", { clock: "tai" as TimerClock }), RangeError, '"tai"');
  const timer = await openTimer(life, "tick", { clock: "boottime" });
  assertLeft(timer, HOUR_MS, 0);
  const { fd } = timer;
  await timer.close();
  assertEquals([timer.fd, isOpenFd(fd), life.ports], [-1, false, []]);
});
