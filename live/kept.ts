/**
 * What was handed over and is only carried on, because the application asked for it with `keep`.
 *
 * @module
 */
import type { ConnectionRecord } from "../kho/abi/connections.ts";
import type { OwnedFd } from "../sys/mod.ts";

/** Descriptors that are held for the next build. */
export class Kept {
  readonly #fds: OwnedFd[] = [];
  readonly #about: ConnectionRecord[] = [];

  /** What crosses with connections that are kept. */
  get connections(): readonly ConnectionRecord[] {
    return this.#about;
  }

  /**
   * Holds a descriptor.
   *
   * @param fd the descriptor; held from here on
   * @param about what crosses with it, if it is a connection with something of the kind
   */
  hold(fd: OwnedFd, about?: ConnectionRecord): void {
    this.#fds.push(fd);
    if (about !== undefined) this.#about.push(about);
  }
}
