/**
 * Tier 1 of the safety of an update: until the commit, whatever JavaScript can see go wrong makes this image start the
 * previous build again, in the same process, with the same sealed segment.
 *
 * Happy path: {@linkcode Probation.arm} before the application is imported, {@linkcode Probation.disarm} at the commit.
 *
 * Unhappy paths, all of which end in {@linkcode Probation.giveUp}: an uncaught exception, an unhandled rejection,
 * `Deno.exit`, the end of the program, the deadline. The timer of the deadline keeps the event loop alive while modules
 * load, because a top-level `await` that never resolves ends the program without any event.
 *
 * There is one attempt. When the build that came back fails as well, the process ends non-zero and says so: `lost`.
 *
 * @module
 */
import { monotonicNs } from "../sys/mod.ts";
import { FAILED_EVENT } from "./abi/journal.ts";
import type { Guard } from "./guard.ts";
import type { IncomingKho } from "./incoming.ts";
import { verifyIdentity } from "./identity.ts";
import { jump } from "./jump.ts";

/** Exit status of a process whose previous build failed as well. */
export const LOST_STATUS = 70;

export { FAILED_EVENT };

/** How long the build that comes back has until `ready()`, in nanoseconds: the update's own deadline has mostly run out. */
export const RETURN_NS = 30_000_000_000n;

/** How much longer the guardian waits for it, in nanoseconds. */
const GRACE_NS = 2_000_000_000n;

/** Who else has to know how the probation ends. */
export interface Witnesses {
  /** The guardian, told that the previous build is on its way back; null where there is none. */
  guard: Pick<Guard, "returning" | "staying" | "isGone"> | null;
  /** Told why the service is lost, just before the process ends. */
  lost(reason: string): void;
}

const NOBODY: Witnesses = { guard: null, lost() {} };

/** The watch over a build that has not committed yet. */
export class Probation {
  readonly #incoming: IncomingKho;
  readonly #deadline: bigint;
  readonly #witnesses: Witnesses;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #armed = false;
  #left = false;

  /**
   * @param incoming the handover to go back with
   * @param deadline `CLOCK_MONOTONIC` in nanoseconds at which patience ends
   * @param witnesses who else has to know how it ends, nobody if absent
   */
  constructor(incoming: IncomingKho, deadline: bigint, witnesses: Witnesses = NOBODY) {
    this.#incoming = incoming;
    this.#deadline = deadline;
    this.#witnesses = witnesses;
  }

  /** Is the previous build still able to come back? */
  get armed(): boolean {
    return this.#armed || this.#left;
  }

  /** Starts the watch. */
  arm(): void {
    this.#armed = true;
    globalThis.addEventListener("error", this.#onError);
    globalThis.addEventListener("unhandledrejection", this.#onRejection);
    globalThis.addEventListener("unload", this.#onUnload);
    const left = Number((this.#deadline - monotonicNs()) / 1_000_000n);
    this.#timer = setTimeout(() => this.giveUp("it ran past its deadline before ready()"), Math.max(0, left));
  }

  /** The modules are loaded: from here on the end of the program is a failure that `unload` reports at once. */
  loaded(): void {
    if (this.#timer !== undefined) Deno.unrefTimer(this.#timer as unknown as number);
  }

  /** Ends the watch: the update is committed. */
  disarm(): void {
    if (!this.#armed) return;
    this.#armed = false;
    clearTimeout(this.#timer);
    globalThis.removeEventListener("error", this.#onError);
    globalThis.removeEventListener("unhandledrejection", this.#onRejection);
    globalThis.removeEventListener("unload", this.#onUnload);
  }

  /**
   * Gives this build up and returns to the previous one. Does not return.
   *
   * @param reason why, as a clause without its subject's name: "it threw while loading: …"
   */
  giveUp(reason: string): never {
    this.disarm();
    const { role, journal } = this.#incoming;
    journal?.append(FAILED_EVENT, reason);
    if (role !== "update") this.#lose(`the previous build failed as well: ${reason}`);
    console.error(`heirloom: the new build gave up: ${reason}; returning to the previous build`);
    try {
      // What was closed or replaced here the guardian still has.
      for (const record of this.#incoming.record.fds) {
        if (record.kind === "preserved") verifyIdentity(record);
      }
      this.#witnesses.guard?.returning(monotonicNs() + RETURN_NS + GRACE_NS);
      jump({
        image: this.#incoming.record.image,
        announcement: { ...this.#incoming.announcement, role: "fallback" },
        crossing: this.#incoming.crossing(),
        runtime: this.#incoming.runtime,
      });
    } catch (error) {
      this.#leave(error);
      this.#lose(
        `the previous build cannot be started again: ${error instanceof Error ? error.message : error}`,
      );
    }
  }

  /** What this process cannot start, its guardian may: it holds the same descriptors, and has not used up anything. */
  #leave(error: unknown): void {
    const { guard } = this.#witnesses;
    if (guard === null || guard.isGone()) return;
    guard.staying();
    this.#left = true;
    console.error(
      `heirloom: the previous build cannot be started again here: ${
        error instanceof Error ? error.message : error
      }; that is left to the guardian`,
    );
    Deno.exit(LOST_STATUS);
  }

  #lose(reason: string): never {
    this.#witnesses.lost(reason);
    console.error(`heirloom: lost: ${reason}; the service ends here`);
    Deno.exit(LOST_STATUS);
  }

  readonly #onError = (event: ErrorEvent): void => {
    this.giveUp(`it threw: ${describeError(event.error ?? event.message)}`);
  };

  readonly #onRejection = (event: PromiseRejectionEvent): void => {
    this.giveUp(`it left a rejection unhandled: ${describeError(event.reason)}`);
  };

  readonly #onUnload = (): void => {
    this.giveUp(`it ended before ready() (exit status ${Deno.exitCode})`);
  };
}

/** An error in one line, with the place where it was thrown. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error).split("\n", 1)[0] ?? "";
  const place = error.stack?.match(/(?:file:\/\/)?\/[^\s()]+:\d+:\d+/)?.[0]?.replace("file://", "");
  const message = error.message.split("\n", 1)[0] ?? "";
  const shown = message.includes("file://") || place === undefined ? "" : ` (at ${place})`;
  return `${error.name}: ${message}${shown}`;
}
