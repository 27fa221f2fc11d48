/**
 * The guardian of an update, seen from the service: started before anything stands still, given everything at the freeze,
 * sent away when the update was refused.
 *
 * Happy path: {@linkcode Guarding.start}, {@linkcode Guarding.entrust} within the freeze; the new build goes on from there.
 * Under a service manager that listens, the guardian is announced as the main process, or else it would be ended with the
 * service.
 *
 * Unhappy paths: a guardian that does not come up refuses the update. One that dies later does not: the update goes on
 * without it, and the journal says so.
 *
 * @module
 */
import { Guardian } from "../kho/guardian.ts";
import type { ImageRecord } from "../kho/abi/image.ts";
import { UNGUARDED_EVENT } from "../kho/abi/journal.ts";
import type { Journal } from "../kho/journal.ts";
import type { WrittenSegment } from "../luo/reboot.ts";
import { announceMainPid, hasManager } from "./main_pid.ts";
import { getPid } from "../sys/mod.ts";

/** How long after the deadline in the image the guardian waits before it acts, in nanoseconds. */
const GRACE_NS = 2_000_000_000n;

/** How long a guardian may take to give the place of the main process back, in milliseconds. */
const DISMISS_MS = 1000;

/** What a guardian is started with. */
export interface GuardingOptions {
  /** The build that runs; the guardian runs on its runtime. */
  image: ImageRecord;
  /** A path that leads to that runtime. */
  runtime: string;
  /** Path or URL of the guardian's program. */
  program: string;
  /** Milliseconds that it may take. */
  timeoutMs: number;
}

/** What the guardian has to know at the freeze. */
export interface Trust {
  /** The way back. */
  image: ImageRecord;
  /** The open runtime of the way back, or null. */
  runtime: number | null;
  /** The journal of the update. */
  journal: Journal;
  /** `CLOCK_MONOTONIC` in nanoseconds of the deadline in the image. */
  deadlineNs: bigint;
  /** Where the last words go if the old build fails as well, and the record without its end. */
  lastWords: { path: string; text: string } | null;
}

/** A guardian and its place with the service manager. */
export class Guarding implements AsyncDisposable {
  readonly #guardian: Guardian;
  #announced = false;

  private constructor(guardian: Guardian) {
    this.#guardian = guardian;
  }

  /**
   * Starts a guardian and waits until it watches.
   *
   * @throws {Error} when it does not come up
   */
  static async start(options: GuardingOptions): Promise<Guarding> {
    const { image, runtime, program, timeoutMs } = options;
    await using undo = new AsyncDisposableStack();
    const guardian = Guardian.start({ program, runtime, env: image.env, cwd: image.cwd });
    const guarding = undo.use(new Guarding(guardian));
    await guardian.armed(timeoutMs);
    guarding.#announced = hasManager();
    await announceMainPid(guardian.pid);
    undo.move();
    return guarding;
  }

  /** The guardian's process. */
  get pid(): number {
    return this.#guardian.pid;
  }

  /** The connection to it, which crosses. */
  get fd(): number {
    return this.#guardian.fd;
  }

  /** Is it there? */
  get alive(): boolean {
    return this.#guardian.alive();
  }

  /** Gives it everything that it needs to bring the old build back. Synchronous. */
  entrust(trust: Trust, segment: WrittenSegment): void {
    const { image, runtime, journal, deadlineNs, lastWords } = trust;
    const taken = this.#guardian.entrust({
      image,
      segment: segment.fd,
      nonce: segment.nonce,
      crossing: segment.crossing,
      runtime,
      journal: journal.fd,
      deadlineNs: deadlineNs + GRACE_NS,
      lastWords,
    });
    if (!taken) journal.append(UNGUARDED_EVENT, "the guardian did not take what crosses");
  }

  /** The jump did not happen. */
  revoke(): void {
    this.#guardian.revoke();
  }

  /** Sends the guardian away. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#announced) {
      // With NotifyAccess=main nobody but the guardian may say it now; where it has died, all may, or nobody can.
      await this.#guardian.dismiss(DISMISS_MS);
      await announceMainPid(getPid());
    }
    this.#guardian[Symbol.dispose]();
  }
}
