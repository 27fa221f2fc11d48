/**
 * A descriptor that becomes readable again and again, with the same time in between: a load generator waits for it together
 * with its connections, for poll(2) itself knows no time shorter than a millisecond.
 *
 * Happy path: wait for {@linkcode Ticker.fd}, then {@linkcode Ticker.read}.
 *
 * Unhappy path: whoever is late finds that several ticks have come; they are one readable moment.
 *
 * @module
 */
import { OwnedFd, read } from "../../sys/mod.ts";
import { check } from "../../sys/errno.ts";
import { call } from "../../sys/symbols.ts";

const CLOCK_MONOTONIC = 1;
const TFD_CLOEXEC = 0o2000000;

/** A timer (timerfd_create(2)). */
export class Ticker implements Disposable {
  readonly #fd: OwnedFd;
  readonly #count = new Uint8Array(8);

  /** @param everyNs the time between two ticks, in nanoseconds, below one second */
  constructor(everyNs: number) {
    using undo = new DisposableStack();
    const fd = check(call.timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), "timerfd_create");
    this.#fd = undo.use(OwnedFd.adopt(fd));
    // struct itimerspec: interval and first expiry, seconds and nanoseconds each.
    const times = new BigInt64Array([0n, BigInt(Math.round(everyNs)), 0n, 1n]);
    check(call.timerfd_settime(this.#fd.fd, 0, new Uint8Array(times.buffer), null), "timerfd_settime");
    undo.move();
  }

  /** The descriptor, to wait for. */
  get fd(): number {
    return this.#fd.fd;
  }

  /** Takes the tick. To be called when there is one. */
  read(): void {
    read(this.#fd.fd, this.#count);
  }

  /** Closes the descriptor. */
  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}
