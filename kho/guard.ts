/**
 * The guardian, seen from the image that it guards: the other end of the socket that crossed.
 *
 * Happy path: at the commit {@linkcode Guard.release} says `COMMIT` and waits for `RELEASED`. That answer is the commit:
 * from then on the guardian never acts. {@linkcode Guard.reap} then waits for its end.
 *
 * Unhappy paths:
 * 1. The guardian has died, or does not answer within two seconds: it is ended for good before {@linkcode Guard.release}
 *    says so. The update goes on without it; the record says that nobody watched.
 * 2. The new build gives up by itself: {@linkcode Guard.returning} tells the guardian not to try the previous build a
 *    second time.
 *
 * On the path of every restart: nothing is imported that is not there anyway.
 *
 * @module
 */
import {
  killProcess,
  monotonicNs,
  type OwnedFd,
  read,
  reapIfEnded,
  setSocketTimeouts,
  SIGNALS,
  SysError,
  write,
} from "../sys/mod.ts";

/** The service to its guardian: this build stays; let go. */
export const COMMIT = "COMMIT";

/** The service to its guardian, with a deadline: the previous build starts again by itself. */
export const RETURNING = "RETURNING";

/** Takes {@linkcode RETURNING} back, in place of the deadline. */
export const NEVER = "never";

/** The guardian's answer to {@linkcode COMMIT}. */
export const RELEASED = "RELEASED";

/** How long a guardian has to answer, and a killed one to end. */
const PATIENCE_MS = 2000;

/** How long a guardian that was released has to end by itself. */
const FAREWELL_MS = 5000;

/** A guardian that watches this process. */
export class Guard {
  readonly #socket: OwnedFd;
  readonly #pid: number;
  #gone = false;
  #verdict: "released" | "died" | null = null;

  /**
   * @param fd this process's end of the guardian's socket; owned by the guard from here on
   * @param pid the guardian, a child of this process
   */
  constructor(fd: OwnedFd, pid: number) {
    this.#socket = fd;
    this.#pid = pid;
  }

  /** The guardian's process. */
  get pid(): number {
    return this.#pid;
  }

  /**
   * Commits. Blocks for the answer, at most two seconds; a guardian that does not give it is killed and reaped first, so
   * that it cannot act later. Asked again, it says the same.
   *
   * @returns `released`, or `died` when there was nobody to release
   */
  release(): "released" | "died" {
    this.#verdict ??= this.#say(COMMIT) && this.#isReleased() ? "released" : "died";
    if (this.#verdict === "died") this.#end();
    this.#socket[Symbol.dispose]();
    return this.#verdict;
  }

  /**
   * Says that the previous build is about to start again in this process: if it dies as well, or is not committed at the
   * deadline, the service is lost.
   *
   * @param deadlineNs `CLOCK_MONOTONIC` in nanoseconds
   */
  returning(deadlineNs: bigint): void {
    this.#say(`${RETURNING} ${deadlineNs}`);
  }

  /** Takes {@linkcode returning} back: the previous build could not be started here, and is left to the guardian. */
  staying(): void {
    this.#say(`${RETURNING} ${NEVER}`);
  }

  /** Has the guardian ended? Reaps it then. */
  isGone(): boolean {
    this.#gone ||= reapIfEnded(this.#pid) !== null;
    return this.#gone;
  }

  /** Waits until the guardian has ended, and reaps it. After five seconds it is killed. */
  async reap(): Promise<void> {
    const begin = monotonicNs();
    for (let pause = 2; !this.isGone(); pause = Math.min(2 * pause, 100)) {
      if (monotonicNs() - begin > BigInt(FAREWELL_MS * 1e6)) this.#kill();
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  #say(message: string): boolean {
    if (this.#socket.disposed) return false;
    try {
      setSocketTimeouts(this.#socket.fd, PATIENCE_MS);
      write(this.#socket.fd, new TextEncoder().encode(message));
      return true;
    } catch (error) {
      if (error instanceof SysError) return false;
      throw error;
    }
  }

  #isReleased(): boolean {
    const bytes = new Uint8Array(64);
    try {
      return new TextDecoder().decode(bytes.subarray(0, read(this.#socket.fd, bytes))) === RELEASED;
    } catch (error) {
      if (error instanceof SysError) return false;
      throw error;
    }
  }

  /** Kills and reaps. A process that does not end of that within the time never runs a line of its program again. */
  #end(): void {
    const begin = monotonicNs();
    const clock = new Int32Array(new SharedArrayBuffer(4));
    this.#kill();
    while (!this.isGone() && monotonicNs() - begin < BigInt(PATIENCE_MS * 1e6)) Atomics.wait(clock, 0, 0, 1);
  }

  #kill(): void {
    // Only a child that is not reaped yet: its number cannot be anybody else's.
    if (!this.isGone()) killProcess(this.#pid, SIGNALS.SIGKILL);
  }
}
