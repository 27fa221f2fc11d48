/**
 * The guardian, seen from the service that starts it: a small child that holds duplicates of everything that crosses,
 * and brings the previous build back when the new one dies in a way that JavaScript cannot see.
 *
 * Loaded only by the old side of an update. What the new side needs is in `guard.ts`.
 *
 * Happy path: {@linkcode Guardian.start}, wait until it is {@linkcode Guardian.armed}, {@linkcode Guardian.entrust} it
 * with the plan at the freeze, jump. The new image releases it at its commit.
 *
 * Unhappy paths:
 * 1. It does not come up: an `Error` that says how it ended. The update has not frozen anything by then.
 * 2. It died before the freeze, or does not take what it is entrusted with: {@linkcode Guardian.entrust} is false, the
 *    guardian is gone, and the update goes on without it. Our end of the socket still crosses: the segment lists it.
 * 3. The jump fails: {@linkcode Guardian.revoke}, then disposal.
 *
 * @module
 */
import {
  createMemfd,
  type ExitStatus,
  getPid,
  killProcess,
  monotonicNs,
  type OwnedFd,
  reapIfEnded,
  SIGNALS,
  SysError,
  writeAll,
} from "../sys/mod.ts";
import {
  MAX_FDS_PER_MESSAGE,
  openPidfd,
  poll,
  POLLIN,
  POLLOUT,
  receiveFds,
  sendFds,
  socketPair,
  spawnProcess,
} from "../sys/guard.ts";
import { COMMIT } from "./guard.ts";
import { encodePlan, type LastWords, type RecoveryPlan } from "./guardian/plan.ts";
import { ARMED, FDS, FORGET, PLAN, SERVICE_NUMBER, SOCKET_NUMBER } from "./guardian/protocol.ts";

export type { LastWords, RecoveryPlan };

/** How long {@linkcode Guardian.entrust} waits for a guardian that is slow to take things, in milliseconds. */
const ENTRUST_MS = 500;

/** How long a killed guardian has to end, in milliseconds. */
const KILL_MS = 2000;

/** What to start. */
export interface GuardianOptions {
  /** The guardian's program, `guardian_main.ts`: a path or a URL. */
  program: string;
  /** Path of the runtime. */
  runtime: string;
  /** Environment, raw `NAME=value` entries. */
  env: readonly Uint8Array[];
  /** Working directory in which `program` and the variables mean what they mean to the service. */
  cwd: string;
  /** The process to watch. @default {this one} */
  pid?: number;
}

/** A guardian that this process has started. */
export class Guardian implements Disposable {
  /** Its process. */
  readonly pid: number;
  readonly #socket: OwnedFd;
  #ended: ExitStatus | "unknown" | null = null;

  private constructor(pid: number, socket: OwnedFd) {
    this.pid = pid;
    this.#socket = socket;
  }

  /**
   * Starts a guardian.
   *
   * @param options its program, and whom to watch
   * @returns the guardian, which is not armed yet
   * @throws {SysError} what keeps the runtime from being started, or EMFILE; nothing is left behind
   */
  static start(options: GuardianOptions): Guardian {
    const { program, runtime, env, cwd } = options;
    const [ours, theirs] = socketPair();
    using undo = new DisposableStack();
    undo.use(ours);
    using _theirs = theirs;
    using service = openPidfd(options.pid ?? getPid());
    const pid = spawnProcess({
      path: runtime,
      argv: [runtime, "run", "-A", "--no-config", "--no-lock", "--quiet", program],
      env: [...env, "DENO_NO_UPDATE_CHECK=1"],
      fds: [[theirs.fd, SOCKET_NUMBER], [service.fd, SERVICE_NUMBER]],
      cwd,
    });
    undo.move();
    return new Guardian(pid, ours);
  }

  /** The service's end of the socket: close-on-exec until the jump, which lets it cross. */
  get fd(): number {
    return this.#socket.fd;
  }

  /**
   * Waits until the guardian watches.
   *
   * @param timeoutMs how long, in milliseconds
   * @throws {Error} when it has ended or time is up; the caller disposes of it
   */
  async armed(timeoutMs: number): Promise<void> {
    const until = monotonicNs() + BigInt(Math.round(timeoutMs * 1e6));
    for (;;) {
      if (this.#hasSaid(ARMED)) return;
      if (!this.alive()) throw new Error(`Cannot start the guardian: it ${this.#howItEnded()}`);
      if (monotonicNs() >= until) {
        throw new Error(`Cannot start the guardian: it was not ready within ${timeoutMs} ms`);
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /**
   * Hands over the plan and duplicates of all descriptors. Nothing is waited for as long as the guardian's socket takes
   * them: what lies there outlives this process.
   *
   * @param plan how to come back
   * @returns false when the guardian is dead or takes nothing for half a second; its process is gone then
   * @throws {SysError} EBADF when a descriptor of the plan is closed, EMFILE, ENOMEM; the guardian has no plan then
   */
  entrust(plan: RecoveryPlan): boolean {
    // Its own socket would come back to nobody, and keep itself alive in its own queue.
    const crossing = plan.crossing.filter((fd) => fd !== this.fd);
    const until = monotonicNs() + BigInt(ENTRUST_MS * 1e6);
    using memory = createMemfd("heirloom:plan");
    writeAll(memory.fd, encodePlan({ ...plan, crossing }));
    try {
      let taken = this.#deliver(PLAN, [memory.fd], until);
      for (let at = 0; taken && at < crossing.length; at += MAX_FDS_PER_MESSAGE) {
        taken = this.#deliver(FDS, crossing.slice(at, at + MAX_FDS_PER_MESSAGE), until);
      }
      if (!taken) this.#end();
      return taken;
    } catch (error) {
      this.revoke();
      throw error;
    }
  }

  /** Takes the plan back, after a jump that failed. A guardian that cannot hear it is ended. */
  revoke(): void {
    if (this.#socket.disposed) return;
    if (!this.#deliver(FORGET, [], monotonicNs() + BigInt(ENTRUST_MS * 1e6))) this[Symbol.dispose]();
  }

  /**
   * Sends it away as a commit does: it ends by itself, and gives back what it was for the service manager.
   *
   * @param timeoutMs how long that may take, in milliseconds; the caller disposes of it
   */
  async dismiss(timeoutMs: number): Promise<void> {
    const until = monotonicNs() + BigInt(Math.round(timeoutMs * 1e6));
    if (this.#socket.disposed || !this.#deliver(COMMIT, [], until)) return;
    while (this.alive() && monotonicNs() < until) await new Promise((resolve) => setTimeout(resolve, 2));
  }

  /** Does it run? */
  alive(): boolean {
    this.#ended ??= reapIfEnded(this.pid);
    return this.#ended === null;
  }

  /** Ends it and reaps it: nothing is left. */
  [Symbol.dispose](): void {
    this.#end();
    this.#socket[Symbol.dispose]();
  }

  #end(): void {
    if (!this.alive()) return;
    // A child that is not reaped keeps its number.
    using process = openPidfd(this.pid);
    killProcess(this.pid, SIGNALS.SIGKILL);
    poll([{ fd: process.fd, events: POLLIN }], KILL_MS);
    this.alive();
  }

  /** Sends one message as soon as there is room for it. */
  #deliver(verb: string, fds: readonly number[], until: bigint): boolean {
    const bytes = new TextEncoder().encode(verb);
    for (;;) {
      try {
        sendFds(this.fd, bytes, fds);
        return true;
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        if (error.code === "EPIPE" || error.code === "ECONNRESET") return false;
        const isFull = error.code === "EAGAIN";
        if (!isFull && error.code !== "ETOOMANYREFS") throw error;
        const left = Number(until - monotonicNs()) / 1e6;
        if (left <= 0) return false;
        // Nobody tells when fewer descriptors are in flight.
        poll([{ fd: this.fd, events: isFull ? POLLOUT : 0 }], isFull ? left : Math.min(left, 1));
      }
    }
  }

  #hasSaid(word: string): boolean {
    try {
      const message = receiveFds(this.fd);
      return message !== null && new TextDecoder().decode(message.bytes) === word;
    } catch (error) {
      if (error instanceof SysError && error.code === "EAGAIN") return false;
      throw error;
    }
  }

  #howItEnded(): string {
    if (this.#ended === null || this.#ended === "unknown") return "has ended";
    const { code, signal } = this.#ended;
    return signal === null ? `ended with status ${code}` : `was killed by signal ${signal}`;
  }
}
