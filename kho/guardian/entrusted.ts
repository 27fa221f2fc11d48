/**
 * What a guardian was entrusted with: the plan, and duplicates of the descriptors that cross.
 *
 * Happy path: one `PLAN` message with the plan's memfd, then `FDS` messages until every number of the plan has its
 * descriptor. They are taken as they come: where an ordinary user may not have many unread descriptors in flight, the
 * service waits for that.
 *
 * Unhappy path: descriptors did not fit into the table, or something else came. Then {@linkcode Entrusted.fault} says
 * so, and the guardian cannot recover; it goes on watching, and says it at the end.
 *
 * @module
 */
import { fstat, type OwnedFd, readWhole } from "../../sys/mod.ts";
import type { ReceivedMessage } from "../../sys/guard.ts";
import { decodePlan, type RecoveryPlan } from "./plan.ts";
import { FDS, PLAN } from "./protocol.ts";

/** Plan and descriptors. */
export class Entrusted {
  #plan: RecoveryPlan | null = null;
  #fds: OwnedFd[] = [];
  #fault: string | null = null;

  /** The plan, or null where there is none. */
  get plan(): RecoveryPlan | null {
    return this.#plan;
  }

  /** What keeps this guardian from recovering, or null. */
  get fault(): string | null {
    if (this.#fault !== null || this.#plan === null) return this.#fault;
    const missing = this.#plan.crossing.length - this.#fds.length;
    return missing === 0 ? null : `${missing} of ${this.#plan.crossing.length} descriptors never came`;
  }

  /** Could the previous build be brought back now? */
  get complete(): boolean {
    return this.#plan !== null && this.fault === null;
  }

  /** The descriptors that came so far, each with its number of the plan. */
  get moves(): [from: number, to: number][] {
    return this.#fds.map(({ fd }, index) => [fd, this.#plan?.crossing[index] ?? -1]);
  }

  /** The descriptor that shall have this number, borrowed, or null. Where something got lost, none can be told. */
  find(number: number | null): number | null {
    if (this.#fault !== null) return null;
    return this.moves.find(([, to]) => to === number)?.[0] ?? null;
  }

  /** Takes a `PLAN` or `FDS` message; its descriptors are owned here from now on. */
  take({ bytes, fds }: ReceivedMessage): void {
    const verb = new TextDecoder().decode(bytes);
    if (verb === FDS && this.#plan !== null) {
      this.#fds.push(...fds);
      return;
    }
    using unused = new DisposableStack();
    for (const fd of fds) unused.use(fd);
    try {
      const [memory] = fds;
      if (verb !== PLAN || memory === undefined) {
        throw new TypeError(`"${verb.slice(0, 40)}" came out of turn`);
      }
      this.forget();
      this.#plan = readPlan(memory.fd);
    } catch (error) {
      this.miss(error);
    }
  }

  /** Remembers that something got lost. */
  miss(error: unknown): void {
    this.#fault ??= error instanceof Error ? error.message : String(error);
  }

  /** Lets go of everything. */
  forget(): void {
    for (const fd of this.#fds) fd[Symbol.dispose]();
    this.#fds = [];
    this.#plan = null;
    this.#fault = null;
  }
}

function readPlan(fd: number): RecoveryPlan {
  const { size } = fstat(fd);
  const bytes = readWhole(fd, size);
  if (bytes.byteLength < size) throw new TypeError("the plan is shorter than its size");
  return decodePlan(bytes);
}
