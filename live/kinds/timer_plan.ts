/**
 * What a timer is set to, in the words of an application and of the kernel.
 *
 * @module
 */
import { MAX_TIME_NS, setTimerfd, type TimerClock, timerClockNs, type TimerSpec } from "../../sys/timerfd.ts";

/** When a timer expires: `inMs` or `at`, and `everyMs` from then on; or `everyMs` alone, from now on. */
export interface TimerSetting {
  /** Milliseconds from now, 0 or more; fractions down to the nanosecond. */
  inMs?: number;
  /**
   * A time: a `Date` for the clock `realtime`, or nanoseconds of its clock, as {@linkcode LiveTimer.now} has them. One that
   * is over expires at once, and counts the intervals that have passed since.
   */
  at?: Date | bigint;
  /** Milliseconds between two expirations, more than 0; fractions down to the nanosecond. Once if absent. */
  everyMs?: number;
}

/** What the kernel is told. */
export interface TimerPlan {
  /** The value and the interval. */
  spec: TimerSpec;
  /** Is the value a time of the clock, rather than a time from now on? */
  isTime: boolean;
}

/** Not to expire any more. */
export const CLEARED: TimerPlan = { spec: { valueNs: 0n, intervalNs: 0n }, isTime: false };

/**
 * What the kernel is told.
 *
 * @param setting the application's words
 * @param clock the clock of the timer
 * @throws {TypeError} what does not go together, or is not enough
 * @throws {RangeError} a time that is none
 */
export function planOf(setting: TimerSetting, clock: TimerClock): TimerPlan {
  const { inMs, at, everyMs } = setting;
  if (inMs !== undefined && at !== undefined) {
    throw new TypeError("Cannot set a timer: inMs and at are two times, and it has one");
  }
  const first = inMs ?? everyMs;
  if (first === undefined && at === undefined) {
    throw new TypeError("Cannot set a timer: none of inMs, at and everyMs is given; clear() is the inverse");
  }
  const intervalNs = everyMs === undefined ? 0n : nanoseconds("everyMs", everyMs);
  if (everyMs !== undefined && intervalNs === 0n) {
    throw new RangeError(`Cannot set a timer to everyMs ${everyMs}: less than a nanosecond`);
  }
  if (at !== undefined) return { spec: { valueNs: timeOf(at, clock), intervalNs }, isTime: true };
  // The kernel takes 0 for the wish to clear it.
  return { spec: { valueNs: nanoseconds("inMs", first ?? 0) || 1n, intervalNs }, isTime: false };
}

/**
 * Sets a timer.
 *
 * @param plan what to
 * @param fd the timer, borrowed
 */
export function apply({ spec, isTime }: TimerPlan, fd: number): void {
  setTimerfd(fd, spec, isTime);
}

/** A plan that is not carried out yet; time passes all the same. */
export class EarlyPlan {
  readonly #plan: TimerPlan;
  readonly #base: TimerClock;
  readonly #due: bigint;

  /**
   * @param plan the plan
   * @param clock the clock of the timer
   */
  constructor(plan: TimerPlan, clock: TimerClock) {
    this.#plan = plan;
    // Who sets the time of day changes no time from now on.
    this.#base = clock === "realtime" && !plan.isTime ? "monotonic" : clock;
    this.#due = plan.spec.valueNs + (plan.isTime ? 0n : timerClockNs(this.#base));
  }

  /** As `LiveTimer.remaining`. */
  remaining(): { ms: number; everyMs: number } | null {
    if (this.#plan === CLEARED) return null;
    return { ms: Number(this.#left()) / 1e6, everyMs: Number(this.#plan.spec.intervalNs) / 1e6 };
  }

  /**
   * Carries it out.
   *
   * @param fd the timer, borrowed
   */
  apply(fd: number): void {
    const { spec, isTime } = this.#plan;
    if (this.#plan === CLEARED || isTime) return apply(this.#plan, fd);
    apply({ spec: { ...spec, valueNs: this.#left() || 1n }, isTime: false }, fd);
  }

  #left(): bigint {
    const left = this.#due - timerClockNs(this.#base);
    return left > 0n ? left : 0n;
  }
}

function nanoseconds(what: string, ms: number): bigint {
  const ns = Number.isFinite(ms) ? BigInt(Math.round(ms * 1e6)) : -1n;
  if (ns >= 0n && ms >= 0 && ns <= MAX_TIME_NS) return ns;
  throw new RangeError(
    `Cannot set a timer to ${what} ${ms}: not a number from 0 to ${MAX_TIME_NS / 1_000_000n}`,
  );
}

function timeOf(at: Date | bigint, clock: TimerClock): bigint {
  if (typeof at !== "bigint" && clock !== "realtime") {
    throw new TypeError(
      `Cannot set a timer of the clock ${clock} to a Date: that is a time of the clock realtime`,
    );
  }
  if (typeof at !== "bigint" && Number.isNaN(at.getTime())) {
    throw new RangeError("Cannot set a timer: the Date is invalid");
  }
  const ns = typeof at === "bigint" ? at : BigInt(at.getTime()) * 1_000_000n;
  if (ns >= 1n && ns <= MAX_TIME_NS) return ns;
  throw new RangeError(`Cannot set a timer to the time ${ns} ns: not from 1 to ${MAX_TIME_NS}`);
}
