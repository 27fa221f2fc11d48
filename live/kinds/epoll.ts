/**
 * `live.epoll`: an interest list that survives updates with the descriptors that it watches (epoll(7)).
 *
 * Happy path: entries are added on descriptors of other resources; in the next build they are there, each under the number
 * that its descriptor has now, so that it can be changed and removed.
 *
 * Unhappy paths:
 * 1. An entry on a descriptor that is not a resource of its own refuses the update.
 * 2. The next build does not claim a resource: its entry goes with it, at the commit.
 *
 * @module
 */
import { type CarriedInterest, takeInterest } from "../../handlers/epoll_interests.ts";
import {
  addInterest,
  createEpoll,
  interestsOf,
  modifyInterest,
  removeInterest,
  waitNow,
} from "../../sys/epoll.ts";
import type { OwnedFd } from "../../sys/mod.ts";
import type { Lifecycle } from "../lifecycle.ts";
import type { OverduePolicy } from "../port.ts";
import { take } from "../take.ts";
import { takeover } from "../takeover.ts";
import { maskOf, namesOf } from "./bits.ts";
import { EPOLL_FLAGS, type EpollFlag } from "./epoll_names.ts";
import { Source } from "./source.ts";

/** What is ready. */
export interface EpollReady {
  /** What was given with the entry: 64 bits, unsigned. */
  readonly data: bigint;
  /** What was found. */
  readonly events: readonly EpollFlag[];
}

/** An entry of the list. */
export interface EpollListed extends EpollReady {
  /** The number under which it was added. */
  readonly fd: number;
}

/** What is done with what is ready. */
export interface EpollOptions {
  /**
   * Called with what is ready, again and again as long as something is: as with epoll_wait(2), an entry without `et` and
   * `oneshot` is told until it is dealt with. An update waits for a promise that this returns. Without it nothing is told.
   */
  ready?: (ready: readonly EpollReady[], epoll: LiveEpoll) => unknown;
  /**
   * What happens to handlers whose promise is not settled when quiescing has taken too long: `refuse` the update, or
   * `close`: the update goes on without them. @default {"refuse"}
   */
  overdue?: OverduePolicy;
}

/** An interest list under a name. */
export interface LiveEpoll {
  /** Its name. */
  readonly name: string;
  /** The epoll, borrowed; -1 after {@linkcode LiveEpoll.close}. Another open file after each update. */
  readonly fd: number;
  /**
   * Adds a descriptor. What is ready already is reported.
   *
   * @param fd a descriptor of another resource, so that the entry can be carried
   * @param events what to wait for, and how; `err` and `hup` are always waited for
   * @param data 64 bits, unsigned, which are told with what is found
   * @throws {RangeError} unknown events, or data that is no unsigned 64-bit integer
   * @throws {SysError} EEXIST if it is there; EPERM if it cannot be waited for, as a regular file; ELOOP; ENOSPC
   */
  add(fd: number | OwnedFd, events: readonly EpollFlag[], data: bigint): void;
  /**
   * Changes an entry. What is ready already is reported.
   *
   * @param fd the descriptor, by the number that it has in this build
   * @param events as for {@linkcode LiveEpoll.add}
   * @param data as for {@linkcode LiveEpoll.add}
   * @throws {RangeError} as {@linkcode LiveEpoll.add}
   * @throws {SysError} ENOENT if it is not there; EINVAL for an entry that is `exclusive`
   */
  modify(fd: number | OwnedFd, events: readonly EpollFlag[], data: bigint): void;
  /**
   * Removes an entry.
   *
   * @param fd the descriptor, by the number that it has in this build
   * @throws {SysError} ENOENT if it is not there
   */
  remove(fd: number | OwnedFd): void;
  /** The entries, in no order. */
  entries(): EpollListed[];
  /**
   * What is ready now, without waiting. What is `et` and was told before an update is told once more after it.
   *
   * @param max how many at most, 1 to 4096. @default {64}
   * @throws {RangeError} a number that is none
   */
  wait(max?: number): EpollReady[];
  /**
   * Ends the list and frees the name; what was in it stays as it is.
   *
   * @returns resolves when the epoll is closed
   */
  close(): Promise<void>;
}

const MAX_DATA = (1n << 64n) - 1n;
const MAX_READY = 4096;
/** How many are told at once. */
const SOME = 64;

/** What a port needs. */
export interface EpollParts extends EpollOptions {
  /** Its name. */
  name: string;
  /** The epoll; owned from here on. */
  fd: OwnedFd;
  /** Its entries, if it was handed over. */
  carried: readonly CarriedInterest[];
  /** Is nothing real watched, because this is a check? */
  isCheck: boolean;
  /** The application's descriptor of a file, or null while it has none. */
  fdOf(token: bigint): number | null;
  /** Forgets the resource. */
  drop(): void;
}

/** An interest list, and the tap on it. */
export class EpollPort extends Source implements LiveEpoll {
  readonly #parts: EpollParts;
  /** Entries that are under a number of the handler's. */
  #carried: readonly CarriedInterest[];

  /** @param parts what it needs */
  constructor(parts: EpollParts) {
    const { name, fd, overdue = "refuse", ready, drop } = parts;
    super({
      name,
      fd,
      overdue,
      drop,
      read: () => {
        const found = this.wait(SOME);
        return found.length === 0 ? null : [ready?.(found, this)];
      },
    });
    this.#parts = parts;
    this.#carried = parts.carried;
  }

  override open(): void {
    this.bind();
    if (this.#parts.ready !== undefined) super.open();
  }

  override close(): Promise<void> {
    for (const interest of this.#carried) interest[Symbol.dispose]();
    this.#carried = [];
    return super.close();
  }

  add(fd: number | OwnedFd, events: readonly EpollFlag[], data: bigint): void {
    this.#change(addInterest, fd, events, data);
  }

  modify(fd: number | OwnedFd, events: readonly EpollFlag[], data: bigint): void {
    this.#change(modifyInterest, fd, events, data);
  }

  remove(fd: number | OwnedFd): void {
    this.bind();
    if (!this.#parts.isCheck) removeInterest(this.fd, numberOf(fd));
  }

  entries(): EpollListed[] {
    this.bind();
    return interestsOf(this.fd).map(({ tfd, events, data }) => ({
      fd: tfd,
      events: namesOf(EPOLL_FLAGS, events),
      data,
    }));
  }

  wait(max: number = SOME): EpollReady[] {
    if (!Number.isInteger(max) || max < 1 || max > MAX_READY) {
      throw new RangeError(`Cannot wait for ${max} events on "${this.name}": allowed are 1 to ${MAX_READY}`);
    }
    return waitNow(this.fd, max).map(({ events, data }) => ({ data, events: namesOf(EPOLL_FLAGS, events) }));
  }

  /** Puts entries under the numbers of the application's descriptors, as far as it has taken them by now. */
  bind(): void {
    this.#carried = this.#carried.filter((interest) => !this.#bindOne(interest));
  }

  /** Is the entry the application's now? */
  #bindOne(interest: CarriedInterest): boolean {
    const fd = this.#parts.fdOf(interest.token);
    if (fd === null) return false;
    try {
      // A file that was there twice keeps its second entry, which then goes with the file.
      if (!interest.bind(this.fd, fd)) interest[Symbol.dispose]();
      return true;
    } catch {
      // The application has closed its descriptor behind our back, and the entry goes with what it was for.
      return false;
    }
  }

  /** The update is committed: what nobody has taken is gone. */
  settle(): void {
    this.bind();
    for (const interest of this.#carried) interest.drop(this.fd);
    this.#carried = [];
  }

  #change(ctl: typeof addInterest, fd: number | OwnedFd, names: readonly EpollFlag[], data: bigint): void {
    const number = numberOf(fd);
    const events = maskOf(EPOLL_FLAGS, names, `wait for fd ${number} on "${this.name}"`);
    if (data < 0n || data > MAX_DATA) {
      throw new RangeError(
        `Cannot wait for fd ${number} on "${this.name}": data ${data} is not 0 to 2^64 - 1`,
      );
    }
    this.bind();
    if (!this.#parts.isCheck) ctl(this.fd, number, { events, data });
  }
}

function numberOf(fd: number | OwnedFd): number {
  return typeof fd === "number" ? fd : fd.fd;
}

/**
 * Takes back an epoll, which is made anew, or makes one.
 *
 * @param life the application
 * @param name 1 to 63 bytes without `#` and `@`
 * @param options what is done with what is ready
 * @returns the list; nothing is told before the application is ready
 * @throws {LuoError} `EEXIST`, `EINVAL`
 * @throws {SysError} EMFILE
 */
export async function openEpoll(
  life: Pick<Lifecycle, "addPort" | "addSegment" | "removePort" | "removeSegment" | "resources">,
  name: string,
  options: EpollOptions,
): Promise<LiveEpoll> {
  const { resources } = life;
  const fd = await take(resources, name, "epoll", createEpoll, createEpoll);
  const isCheck = takeover.check !== null;
  const settling = { settle: () => port.settle(), drop: () => void port.close() };
  const port: EpollPort = new EpollPort({
    ...options,
    name,
    fd,
    carried: takeInterest(fd),
    isCheck,
    fdOf: (token) => resources.fdOf(token),
    drop() {
      resources.drop(name);
      // Who closes all of them is going through the list just now.
      queueMicrotask(() => {
        life.removePort(port);
        life.removeSegment(settling);
      });
    },
  });
  if (isCheck) return port;
  life.addPort(port);
  life.addSegment(settling);
  return port;
}
