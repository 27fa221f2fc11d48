/**
 * One end of a pipe: the descriptor that is carried, and the one through which it is used.
 *
 * `O_NONBLOCK` belongs to an open file description, and a child that was given an end shares it. So an end of an anonymous
 * pipe stays blocking, as programs expect it of their standard streams, and is used through a nonblocking description of its
 * own, which is opened when it is first needed and not carried. A FIFO is opened nonblocking: other processes open it by its
 * path.
 *
 * @module
 */
import { isAnonymousPipe, type OwnedFd, setNonblocking } from "../../sys/mod.ts";
import { forOwnUse } from "../../sys/own_use.ts";
import { type PipeAccess, reopenPipe } from "../../sys/pipe.ts";

/** One end of a pipe, for an application. */
export class PipeEnd {
  /** Is it one of a pipe without a path? */
  readonly anonymous: boolean;
  readonly #own: OwnedFd;
  readonly #access: PipeAccess;
  #nonblocking: OwnedFd | null = null;

  /**
   * @param own the descriptor that is carried; owned from here on
   * @param access for which ends it is open
   */
  constructor(own: OwnedFd, access: PipeAccess) {
    this.#own = own;
    this.#access = access;
    this.anonymous = isAnonymousPipe(own.fd);
    // A child that was given it may have switched that off, for all.
    if (!this.anonymous) setNonblocking(own.fd, true);
  }

  /** The descriptor that is carried. */
  get carried(): OwnedFd {
    return this.#own;
  }

  /**
   * The descriptor to use, which never waits.
   *
   * @throws {SysError} EMFILE, the first time
   */
  get fd(): number {
    if (!this.anonymous) return this.#own.fd;
    const open = (): OwnedFd =>
      forOwnUse(reopenPipe(this.#own.fd, this.#access), "nonblocking use of a pipe");
    return (this.#nonblocking ??= open()).fd;
  }

  /** Closes both. */
  close(): void {
    this.#own[Symbol.dispose]();
    this.#nonblocking?.[Symbol.dispose]();
  }
}
