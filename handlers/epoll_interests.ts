/**
 * The entries of epolls that were taken back, until they are the application's.
 *
 * An entry can be changed only under the number under which its file was added. The handler adds a file under a number of
 * its own, because it cannot know the application's: so the application binds each entry to its own descriptor.
 *
 * Happy path: `for (const interest of takeInterest(epoll)) interest.bind(epoll.fd, files.get(interest.token).fd)`.
 *
 * Unhappy path: nobody takes them: they report as they did, nobody can change them, and they go with their files.
 *
 * @module
 */
import { addInterest, type EpollEvent, removeInterest } from "../sys/epoll.ts";
import { isOpenFd, type OwnedFd, sameOpenFile, SysError } from "../sys/mod.ts";

/** An entry under a number of its own. */
export class CarriedInterest implements Disposable {
  /** The token of its file in the session. */
  readonly token: bigint;
  /** Bits of `sys/epoll.h`. */
  readonly events: number;
  /** What the application gave with it. */
  readonly data: bigint;
  readonly #file: OwnedFd;

  /**
   * For the handler only.
   *
   * @param token the token of its file
   * @param event what is waited for
   * @param file the descriptor under which the file was added; owned from here on
   */
  constructor(token: bigint, { events, data }: EpollEvent, file: OwnedFd) {
    this.token = token;
    this.events = events;
    this.data = data;
    this.#file = file;
  }

  /** The number under which the file was added; -1 once it is bound or disposed. */
  get fd(): number {
    return this.#file.disposed ? -1 : this.#file.fd;
  }

  /**
   * Puts the entry under another number of the same file, from where on it can be changed under that one.
   *
   * @param epoll the epoll, borrowed
   * @param fd a descriptor of the file, borrowed
   * @returns false where that number has an entry already: then the file was there twice, and this entry stays as it is
   * @throws {SysError} `EBADF`, `ENOMEM`, `ENOSPC` at the user's limit of entries
   * @throws {TypeError} for a descriptor of another file, or an entry that is bound or disposed
   */
  bind(epoll: number, fd: number): boolean {
    if (!sameOpenFile(this.#file.fd, fd)) {
      throw new TypeError(`Cannot bind an entry to fd ${fd}: it is not the file of token ${this.token}`);
    }
    try {
      addInterest(epoll, fd, this);
    } catch (error) {
      if (error instanceof SysError && error.code === "EEXIST") return false;
      throw error;
    }
    this.drop(epoll);
    return true;
  }

  /**
   * Removes the entry.
   *
   * @param epoll the epoll, borrowed
   */
  drop(epoll: number): void {
    removeInterest(epoll, this.#file.fd);
    this.#file[Symbol.dispose]();
  }

  /** Leaves the entry as it is, as long as something else keeps its file open. */
  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

/** What was taken back and not asked for yet, by LUO's descriptor of the epoll. */
const arrived = new Map<number, readonly CarriedInterest[]>();

/**
 * Takes the entries of an epoll, once: after it was retrieved, and before its session is finished.
 *
 * @param epoll the epoll, borrowed
 * @returns its entries, the caller's
 * @throws {SysError} `EBADF`
 */
export function takeInterest(epoll: number | OwnedFd): readonly CarriedInterest[] {
  const fd = typeof epoll === "number" ? epoll : epoll.fd;
  for (const [own, interests] of arrived) {
    if (!isOpenFd(own) || !sameOpenFile(own, fd)) continue;
    arrived.delete(own);
    return interests;
  }
  return [];
}

/** An epoll was taken back. */
export function arriveInterests(epoll: number, interests: readonly CarriedInterest[]): void {
  arrived.set(epoll, interests);
}

/** The handover lets go of an epoll. */
export function finishInterests(epoll: number): void {
  for (const interest of arrived.get(epoll) ?? []) interest[Symbol.dispose]();
  arrived.delete(epoll);
}
