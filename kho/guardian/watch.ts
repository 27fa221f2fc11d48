/**
 * The watch of a guardian: one loop that blocks until something is said, the service ends, or time is up.
 *
 * Happy path: a plan comes, descriptors come, `COMMIT` is answered by `RELEASED`, and that is the end.
 *
 * Unhappy paths, all of which are the guardian's reason to be: the service dies, or runs past its deadline. What it said
 * before is always heard first, so that a commit is never overlooked.
 *
 * @module
 */
import { monotonicNs, SysError } from "../../sys/mod.ts";
import { poll, POLLIN, type ReceivedMessage, receiveFds, sendFds } from "../../sys/guard.ts";
import { COMMIT, NEVER, RELEASED, RETURNING } from "../guard.ts";
import { stopRequest, type StopSignal } from "./ending.ts";
import { Entrusted } from "./entrusted.ts";
import { FORGET } from "./protocol.ts";

/** How often a guardian looks whether the service was asked to stop, in milliseconds: the dead cannot be asked. */
const GLANCE_MS = 50;

/** How a watch ended. */
export type WatchEnd = "released" | "died" | "late";

/** A watch over one process. */
export class Watch {
  /** What was entrusted so far. */
  readonly entrusted: Entrusted = new Entrusted();
  readonly #socket: number;
  readonly #service: number;
  #listening = true;
  #returningUntil: bigint | null = null;
  #stop: StopSignal | null = null;

  /**
   * @param socket the guardian's end of the socket, borrowed
   * @param service pidfd of the service, borrowed
   */
  constructor(socket: number, service: number) {
    this.#socket = socket;
    this.#service = service;
  }

  /** Did the new build give up by itself, so that the previous one runs or is about to? */
  get returning(): boolean {
    return this.#returningUntil !== null;
  }

  /** The signal by which the service was asked to stop while it held signals back, or null. */
  get stop(): StopSignal | null {
    return this.#stop;
  }

  /** Blocks until there is something to do. */
  run(): WatchEnd {
    for (;;) {
      const socket = this.#listening ? this.#socket : -1;
      const entries = [{ fd: socket, events: POLLIN }, { fd: this.#service, events: POLLIN }];
      const left = this.#left();
      const [, ended] = poll(entries, left < 0 ? left : Math.min(left, GLANCE_MS));
      if (this.#hear() === "released") return "released";
      if (left >= 0) this.#stop ??= stopRequest(this.#service);
      if (ended !== 0) return "died";
      if (this.#left() === 0) return "late";
    }
  }

  /** Milliseconds until the deadline; -1 without one. */
  #left(): number {
    const planned = this.entrusted.complete ? this.entrusted.plan?.deadlineNs : undefined;
    const deadline = this.#returningUntil ?? planned;
    if (deadline === undefined) return -1;
    return Math.max(0, Math.ceil(Number(deadline - monotonicNs()) / 1e6));
  }

  /** Takes all messages that are there. */
  #hear(): "released" | undefined {
    while (this.#listening) {
      let message: ReceivedMessage | null;
      try {
        message = receiveFds(this.#socket);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        if (error.code === "EAGAIN") return undefined;
        this.entrusted.miss(error);
        // These two lost one message; after any other error the next try would say the same.
        if (error.code !== "EMFILE" && error.code !== "EMSGSIZE") this.#listening = false;
        continue;
      }
      if (message === null) this.#listening = false;
      else if (this.#answer(message) === "released") return "released";
    }
    return undefined;
  }

  #answer(message: ReceivedMessage): "released" | undefined {
    const [verb, argument] = new TextDecoder().decode(message.bytes).split(" ", 2);
    if (verb === COMMIT) return this.#release();
    if (verb === FORGET) {
      this.entrusted.forget();
      this.#returningUntil = null;
      this.#stop = null;
    } else if (verb === RETURNING) {
      this.#returningUntil = argument === NEVER ? null : BigInt(argument ?? 0);
    } else {
      this.entrusted.take(message);
    }
    return undefined;
  }

  /** Who cannot be answered is not there any more: then this was no commit. */
  #release(): "released" | undefined {
    try {
      sendFds(this.#socket, new TextEncoder().encode(RELEASED), []);
      return "released";
    } catch (error) {
      if (error instanceof SysError) return undefined;
      throw error;
    }
  }
}
