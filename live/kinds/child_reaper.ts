/**
 * Who reaps children that nobody waits for: those that the application has given up, because a new build does not use their
 * name or it has closed them, and programs in terminals. They go on as they like, and no zombie stays behind.
 *
 * Happy path: the process is held across updates until it has ended, under the name of a part, or under one of Heirloom's own
 * when it is given up.
 *
 * Unhappy path: it is not a child of this process any more: then it is somebody else's to reap, and its end is only noted.
 *
 * @module
 */
import type { OwnedFd } from "../../sys/mod.ts";
import type { Lifecycle } from "../lifecycle.ts";
import { GIVEN_UP } from "../given_up_children.ts";
import { reportLate } from "../starter.ts";
import { Tap } from "../streams/tap.ts";
import { type ChildStatus, reap } from "./child_status.ts";

/** What a reaper needs of an application. */
export type ReaperHost = Pick<Lifecycle, "addPort" | "removePort" | "resources">;

let count = 0;

/**
 * Reaps a process when it has ended.
 *
 * @param life the application
 * @param pidfd the process; owned from here on
 * @param ended called with how it ended
 */
export function reapLater(
  life: ReaperHost,
  pidfd: OwnedFd,
  ended: (status: ChildStatus) => void = () => {},
): void {
  const name = `${GIVEN_UP}${++count}`;
  hold(life, name, pidfd);
  life.addPort(new Reaper(life, name, pidfd, ended));
}

/**
 * Reaps a process that is part of a resource when it has ended; the part is dropped then.
 *
 * @param life the application
 * @param name the part, which is there
 * @param pidfd the process; owned from here on
 * @returns who reaps it
 */
export function reapPart(life: ReaperHost, name: string, pidfd: OwnedFd): Reaper {
  const reaper = new Reaper(life, name, pidfd, () => {});
  life.addPort(reaper);
  return reaper;
}

function hold({ resources }: ReaperHost, name: string, pidfd: OwnedFd): void {
  try {
    resources.add(name, "part", pidfd.fd);
  } catch (error) {
    // Without a descriptor for it this build reaps it all the same, and only the next one would not know of it.
    reportLate(error);
  }
}

/** Waits for the end of one process. */
export class Reaper extends Tap {
  readonly #life: ReaperHost;
  readonly #pidfd: OwnedFd;
  readonly #ended: (status: ChildStatus) => void;
  /** Under which name the process is held. */
  #held: string;
  #over = false;

  /**
   * @param life the application
   * @param name under which name the process is held
   * @param pidfd the process; owned from here on
   * @param ended called with how it ended
   */
  constructor(life: ReaperHost, name: string, pidfd: OwnedFd, ended: (status: ChildStatus) => void) {
    super(name, "close");
    this.#life = life;
    this.#held = name;
    this.#pidfd = pidfd;
    this.#ended = ended;
  }

  /** The resource whose part it was is gone: it is held under a name of Heirloom's own. */
  giveUp(): void {
    if (this.#over) return;
    this.#life.resources.drop(this.#held);
    this.#held = `${GIVEN_UP}${++count}`;
    hold(this.#life, this.#held, this.#pidfd);
  }

  override open(): void {
    if (!this.#over) this.watch(this.#pidfd.fd);
  }

  override close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#life.resources.drop(this.#held);
    queueMicrotask(() => this.#life.removePort(this));
    void this.unwatch().then(() => this.#pidfd[Symbol.dispose]());
  }

  protected override receive(): boolean {
    const status = reap(this.#pidfd.fd);
    if (status === null) return false;
    this.close();
    this.#ended(status);
    return true;
  }
}
