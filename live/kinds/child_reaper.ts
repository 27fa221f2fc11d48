/**
 * Who reaps the children that the application has given up: those of names that a new build does not use, and those it has
 * closed. They go on as they like, and no zombie stays behind.
 *
 * Happy path: the process is held under a name of Heirloom's own, across updates, until it has ended.
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
  try {
    life.resources.add(name, "part", pidfd.fd);
  } catch (error) {
    // Without a descriptor for it this build reaps it all the same, and only the next one would not know of it.
    reportLate(error);
  }
  life.addPort(new Reaper(life, name, pidfd, ended));
}

class Reaper extends Tap {
  readonly #life: ReaperHost;
  readonly #pidfd: OwnedFd;
  readonly #ended: (status: ChildStatus) => void;
  #over = false;

  constructor(life: ReaperHost, name: string, pidfd: OwnedFd, ended: (status: ChildStatus) => void) {
    super(name, "close");
    this.#life = life;
    this.#pidfd = pidfd;
    this.#ended = ended;
  }

  override open(): void {
    if (!this.#over) this.watch(this.#pidfd.fd);
  }

  override close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#life.resources.drop(this.name);
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
