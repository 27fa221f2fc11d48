/**
 * A child process that is carried: it goes on while the service replaces itself, its output waits in its pipes, and its end
 * waits as well.
 *
 * Happy path: until `ready()` nothing is read and nobody is told of an end. Then output comes by callback, and the end after
 * the output. The child is reaped in the turn in which its end is told, so an update comes before both or after both.
 *
 * Unhappy paths:
 * 1. A process that the child started holds a pipe open when the child has ended: the end is told, and reading goes on, also
 *    in the next build, which knows that the end was told.
 * 2. It cannot be started at the commit: that is an end like another, with the error.
 * 3. It does nothing that it is asked: nobody waits for it.
 *
 * @module
 */
import { type OwnedFd, SIGNALS, SysError } from "../../sys/mod.ts";
import { pidOf, signalPidfd } from "../../sys/pidfd.ts";
import type { OverduePolicy } from "../port.ts";
import { reportLate } from "../starter.ts";
import { Tap } from "../streams/tap.ts";
import { type ChildInput, closedInput } from "./child_input.ts";
import type { Output } from "./child_output.ts";
import type { Started } from "./child_start.ts";
import { type ChildStatus, reap, type ToldEnd, writeEnd } from "./child_status.ts";

/** A child process, as its application sees it. */
export interface LiveChild {
  /** Its name. */
  readonly name: string;
  /** Its PID; 0 in a check, until the commit in a build that starts it anew, and when it is not known any more. */
  readonly pid: number;
  /** Was it started by this build, and not taken back? */
  readonly isNew: boolean;
  /** Is its end not told yet? */
  readonly running: boolean;
  /** How it ended; null before that was told. */
  readonly status: ChildStatus | null;
  /**
   * Resolves when its end is told. What follows on it is not waited for by an update, as the `exit` handler is. After
   * {@linkcode LiveChild.close}, it resolves when the child was reaped.
   */
  readonly exited: Promise<ChildStatus>;
  /**
   * Writes to its input as much as there is room for, without waiting. Whatever was taken is with the kernel and crosses. In a
   * build that has taken the child back, nothing is taken before `ready()`: `drain` says when.
   *
   * @param bytes what to write
   * @returns how many bytes were taken, from the first on
   * @throws {SysError} `EPIPE` its input is closed, or not a pipe, or the child does not read it any more
   */
  write(bytes: Uint8Array): number;
  /** Closes its input: it reads the end; in a build that has taken it back, after the commit. */
  closeInput(): void;
  /**
   * Sends it a signal, at once.
   *
   * @param signal its name @default {"SIGTERM"}
   * @returns false when it has ended, or was not started yet
   * @throws {TypeError} a signal that Linux does not have
   * @throws {SysError} `EPERM` it runs as another user by now
   */
  kill(signal?: Deno.Signal): boolean;
  /**
   * Gives it up: its name is free, its pipes are closed on this side, and it goes on as it likes. It is reaped when it ends.
   *
   * @returns resolves when its descriptor is handed on or closed
   */
  close(): Promise<void>;
}

/** What a child needs. */
export interface ChildParts {
  /** Its name. */
  readonly name: string;
  /** Was it started by this build? */
  readonly isNew: boolean;
  /** The process; owned from here on. Null when it is still to be started. */
  readonly started: Started | null;
  /** Its end, if that was told by a build before, and the record of that; owned from here on. */
  readonly told: (ToldEnd & { record: OwnedFd }) | null;
  /** Starts it, when the update is committed. */
  start(): Started;
  /** Its input, or null. */
  readonly input: ChildInput | null;
  /** Its outputs. */
  readonly outputs: readonly Output[];
  /** What happens to handlers that are late. */
  readonly overdue: OverduePolicy;
  /** Is told how it ended. */
  exit?(status: ChildStatus): unknown;
  /** Holds a record of an end that was told, under the name of the child. */
  remember(record: OwnedFd): void;
  /** Forgets the process and what is remembered of it. */
  drop(): void;
  /** Forgets this carrier. */
  remove(): void;
  /** Reaps the process when it ends, without it; takes it over. */
  giveUp(pidfd: OwnedFd, ended: (status: ChildStatus) => void): void;
}

/** A child process. */
export class Child extends Tap implements LiveChild {
  readonly #parts: ChildParts;
  readonly #exited = Promise.withResolvers<ChildStatus>();
  #pidfd: OwnedFd | null;
  #pid: number;
  #status: ChildStatus | null;
  #record: OwnedFd | null = null;
  #closed: Promise<void> | null = null;
  #isOpen = false;
  #isOver = false;

  /** @param parts what it needs */
  constructor(parts: ChildParts) {
    super(parts.name, parts.overdue);
    this.#parts = parts;
    this.#pidfd = parts.started?.pidfd ?? null;
    this.#pid = parts.started?.pid ?? 0;
    this.#status = parts.told?.status ?? null;
    if (parts.told !== null) {
      this.#pid = parts.told.pid;
      this.#record = parts.told.record;
      this.#exited.resolve(parts.told.status);
    }
  }

  get pid(): number {
    return this.#pid;
  }

  get isNew(): boolean {
    return this.#parts.isNew;
  }

  get running(): boolean {
    return this.#status === null;
  }

  get status(): ChildStatus | null {
    return this.#status;
  }

  get exited(): Promise<ChildStatus> {
    return this.#exited.promise;
  }

  write(bytes: Uint8Array): number {
    const { input, name } = this.#parts;
    if (input === null) throw closedInput(name);
    return input.write(bytes);
  }

  closeInput(): void {
    this.#parts.input?.close();
  }

  kill(signal: Deno.Signal = "SIGTERM"): boolean {
    const number = (SIGNALS as Readonly<Record<string, number>>)[signal];
    if (number === undefined) throw new TypeError(`Cannot send ${signal}: Linux has no such signal`);
    if (this.#pidfd === null || this.#status !== null) return false;
    try {
      signalPidfd(this.#pidfd.fd, number);
      return true;
    } catch (error) {
      if (error instanceof SysError && error.code === "ESRCH") return false;
      throw error;
    }
  }

  override open(): void {
    if (this.#closed !== null || this.#isOver) return;
    this.#isOpen = true;
    this.#parts.input?.open();
    if (this.#pidfd !== null && this.#status === null) this.watch(this.#pidfd.fd);
    else if (this.#status !== null) this.outputEnded();
  }

  /** The update is committed: a child that waited for that is started. */
  begin(): void {
    if (this.#closed !== null || this.#isOver || this.#pidfd !== null || this.#status !== null) return;
    const pidfd = this.#start();
    if (pidfd === null) this.outputEnded();
    else if (this.#isOpen) this.watch(pidfd.fd);
  }

  override pause(): void {
    super.pause();
    this.#parts.input?.pause();
  }

  override resume(): void {
    super.resume();
    this.#parts.input?.resume();
  }

  /** An update waits for what a handler has given. */
  wait(result: unknown): void {
    this.await(result);
  }

  /** An output is at its end: perhaps it was the last thing that is left of the child. */
  outputEnded(): void {
    if (this.#status === null || this.#isOver || this.#parts.outputs.some(({ over }) => !over)) return;
    this.#release();
  }

  override close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  protected override receive(): boolean {
    const { outputs } = this.#parts;
    // What it wrote is in the pipes by now.
    for (const output of outputs) output.drain();
    if (this.#pidfd === null || this.#status !== null || !this.isOn) return true;
    const pid = pidOf(this.#pidfd.fd);
    const status = reap(this.#pidfd.fd);
    if (status === null) return false;
    this.#pid = pid ?? this.#pid;
    this.#tell(status);
    return true;
  }

  #start(): OwnedFd | null {
    try {
      const { pid, pidfd } = this.#parts.start();
      this.#pid = pid;
      return this.#pidfd = pidfd;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      reportLate(error);
      for (const output of this.#parts.outputs) output.close();
      const reason = error instanceof SysError ? { error } : {};
      this.#tell({ success: false, code: null, signal: null, ...reason });
      return null;
    }
  }

  /** Its end is told, once; everything that does not wait for output is gone by then. */
  #tell(status: ChildStatus): void {
    this.#status = status;
    void this.unwatch();
    this.#parts.input?.close();
    if (this.#parts.outputs.some(({ over }) => !over)) this.#remember(status);
    else this.#release();
    this.#exited.resolve(status);
    this.await(this.#parts.exit?.(status));
  }

  /** A pipe is still open: the next build is to go on with it, and not to tell the end again. */
  #remember(status: ChildStatus): void {
    try {
      this.#record = writeEnd({ pid: this.#pid, status });
      this.#parts.remember(this.#record);
    } catch (error) {
      reportLate(error);
    }
  }

  #release(): void {
    this.#isOver = true;
    this.#parts.drop();
    void this.#forget();
    queueMicrotask(() => void this.settled().then(() => this.#parts.remove()));
  }

  /** Closes what is left, when nobody waits for it any more. */
  async #forget(): Promise<void> {
    const left = [this.#pidfd, this.#record];
    this.#pidfd = null;
    this.#record = null;
    await this.unwatch();
    for (const fd of left) fd?.[Symbol.dispose]();
  }

  async #close(): Promise<void> {
    const { input, outputs, giveUp } = this.#parts;
    input?.close();
    for (const output of outputs) output.close();
    this.closeOwing();
    if (this.#isOver) return;
    this.#isOver = true;
    this.#parts.drop();
    queueMicrotask(() => this.#parts.remove());
    if (this.#pidfd !== null && this.#status === null) {
      const pidfd = this.#pidfd;
      this.#pidfd = null;
      // At once: an update that comes next has to know of it.
      giveUp.call(this.#parts, pidfd, (status) => {
        this.#status ??= status;
        this.#exited.resolve(status);
      });
    }
    await this.#forget();
  }
}
