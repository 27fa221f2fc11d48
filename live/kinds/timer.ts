/**
 * `live.timer`: a timer of the kernel that runs on through updates, to the nanosecond.
 *
 * Happy path: `const tick = await live.timer("tick", { expired: … }); if (tick.isNew) tick.set({ everyMs: 1000 })`. The
 * next build finds it running; what expired during the update, it hears of when it is ready.
 *
 * Unhappy paths: what was handed over under the name is no timer, or one of another clock: `EEXIST`. What a build sets before
 * it is ready on a timer that was handed over is set when it is ready: a build that comes back finds it as it left it.
 *
 * @module
 */
import { timerClockOf } from "../../handlers/timerfd.ts";
import { LuoError } from "../../luo/errors.ts";
import type { OwnedFd } from "../../sys/mod.ts";
import { POLLIN, pollNow } from "../../sys/poll.ts";
import { createTimerfd, getTimerfd, TIMER_CLOCKS, type TimerClock, timerClockNs } from "../../sys/timerfd.ts";
import type { Lifecycle } from "../lifecycle.ts";
import type { OverduePolicy } from "../port.ts";
import { Counter, type CounterParts } from "./counter.ts";
import { takeCounter } from "./take_counter.ts";
import { apply, CLEARED, EarlyPlan, planOf, type TimerPlan, type TimerSetting } from "./timer_plan.ts";

export type { TimerClock, TimerSetting };

/** How a timer is asked for. */
export interface LiveTimerOptions {
  /**
   * Its clock. `monotonic` stands still while the machine sleeps, `boottime` does not; `realtime` is the time of day, and a
   * time that is set on it is met when that clock shows it, also when somebody sets the clock. @default {"monotonic"}
   */
  clock?: TimerClock;
  /**
   * Called when it has expired and the application is ready. While a promise that it gives is not settled, an update waits.
   * Without it, nobody reads but {@linkcode LiveTimer.take}.
   *
   * @param count how often since the last time: more than 1 where an interval has passed several times, as in a long pause
   */
  expired?(count: bigint): unknown;
  /**
   * What happens to promises of `expired` that are not settled when quiescing has taken too long: `refuse` the update, or
   * `close`: the update goes on without them. @default {"refuse"}
   */
  overdue?: OverduePolicy;
}

/** A timer under a name. */
export interface LiveTimer {
  /** Its name. */
  readonly name: string;
  /** The descriptor, borrowed; -1 after the end. It is nonblocking, and so is every duplicate of it. */
  readonly fd: number;
  /** Its clock. */
  readonly clock: TimerClock;
  /** Did this build make it, rather than take it back? A new one is not set. */
  readonly isNew: boolean;
  /**
   * Will it expire, or has it, and nobody has taken that yet? Where neither is so, it has to be set to expire again.
   *
   * @throws {TypeError} after the end
   */
  readonly running: boolean;
  /**
   * What its clock shows.
   *
   * @returns nanoseconds since 1970-01-01 00:00 UTC for `realtime`, since some moment about the boot for the others
   */
  now(): bigint;
  /**
   * Sets it, whatever it was set to. What it has counted and nobody has taken is forgotten. Before `ready()` one that was
   * handed over is left alone: it is set at `ready()`, to expire when it would if it were set now.
   *
   * @param setting when it expires
   * @throws {TypeError} `inMs` and `at` together, none of the three, or a `Date` for another clock than `realtime`; after the
   * end
   * @throws {RangeError} a time that is none, or more than 292 years away
   */
  set(setting: TimerSetting): void;
  /**
   * Lets it not expire any more. What it has counted and nobody has taken is forgotten. As {@linkcode LiveTimer.set}, this
   * waits for `ready()` where it was handed over.
   *
   * @throws {TypeError} after the end
   */
  clear(): void;
  /**
   * How long it has yet to run.
   *
   * @returns milliseconds until it expires, with fractions down to the nanosecond, and between two expirations (0: once);
   * null where it is not set, or has expired for good
   * @throws {TypeError} after the end
   */
  remaining(): { ms: number; everyMs: number } | null;
  /**
   * Takes the expirations that are counted; never waits.
   *
   * @returns how many; null where there is none, where it was handed over and the application is not ready yet, or where an
   * update lets everything stand still: then they are for the next build
   * @throws {TypeError} after the end
   */
  take(): bigint | null;
  /**
   * Gives it up and frees the name.
   *
   * @returns resolves when the descriptor is closed
   */
  close(): Promise<void>;
}

/** A timer, as `live` holds it. */
export class TimerCounter extends Counter implements LiveTimer {
  readonly clock: TimerClock;
  /** What is set when the tap opens. */
  #early: EarlyPlan | null = null;

  /**
   * @param parts what it needs
   * @param clock its clock
   */
  constructor(parts: CounterParts, clock: TimerClock) {
    super(parts);
    this.clock = clock;
  }

  get running(): boolean {
    const fd = this.use();
    return this.remaining() !== null || (this.#early === null && pollNow([fd], POLLIN)[0] !== 0);
  }

  now(): bigint {
    return timerClockNs(this.clock);
  }

  set(setting: TimerSetting): void {
    this.#set(planOf(setting, this.clock));
  }

  clear(): void {
    this.#set(CLEARED);
  }

  remaining(): { ms: number; everyMs: number } | null {
    const fd = this.use();
    if (this.#early !== null) return this.#early.remaining();
    const { valueNs, intervalNs } = getTimerfd(fd);
    return valueNs === 0n ? null : { ms: Number(valueNs) / 1e6, everyMs: Number(intervalNs) / 1e6 };
  }

  protected override settle(fd: number): void {
    this.#early?.apply(fd);
    this.#early = null;
  }

  #set(plan: TimerPlan): void {
    const fd = this.use();
    if (this.isHeld) this.#early = new EarlyPlan(plan, this.clock);
    else apply(plan, fd);
  }
}

/**
 * Takes back a timer, or makes one.
 *
 * @param life the application
 * @param name 1 to 63 bytes without `#` and `@`
 * @param options its clock, and what is done when it expires
 * @throws {LuoError} `EEXIST` name in use, of another kind or of another clock; `EINVAL` bad name
 * @throws {RangeError} a clock that is none
 * @throws {SysError} EMFILE, ENFILE
 */
export async function openTimer(
  life: Pick<Lifecycle, "addPort" | "removePort" | "resources">,
  name: string,
  options: LiveTimerOptions,
): Promise<LiveTimer> {
  const { clock = "monotonic", expired, overdue } = options;
  if (!Object.hasOwn(TIMER_CLOCKS, clock)) {
    throw new RangeError(`Cannot take timer "${name}": there is no clock "${clock}"`);
  }
  return await takeCounter(life, {
    name,
    kind: "timer",
    anonymous: "timerfd",
    create: () => createTimerfd(clock),
    check: (fd) => checkClock(name, fd, clock),
    counted: expired === undefined ? undefined : (count) => expired.call(options, count),
    overdue,
    make: (parts) => new TimerCounter(parts, clock),
  });
}

function checkClock(name: string, { fd }: OwnedFd, clock: TimerClock): void {
  const found = timerClockOf(fd);
  if (found === TIMER_CLOCKS[clock]) return;
  const known = Object.entries(TIMER_CLOCKS).find(([, id]) => id === found)?.[0] ?? `number ${found}`;
  throw new LuoError(
    "EEXIST",
    `Cannot take "${name}" as a timer of the clock ${clock}: what was handed over has the clock ${known}`,
  );
}
