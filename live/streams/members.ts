/**
 * The connections of a channel, each of which crosses an update in the middle of what it says: event streams, WebSockets,
 * connections with a protocol of the application's own. What they have in common is here; what one of them is at a given
 * moment, it says itself ({@linkcode Member}).
 *
 * Happy path of the build that leaves: `pause()` holds every member, present or to come; `takeDescriptors()` takes from each
 * its descriptor and what crosses beside it; exec. The build that comes: {@linkcode channelOf} makes a member of each that
 * was handed over, held, before the application is ready; `resume()` releases them when the taps open.
 *
 * Unhappy paths:
 * 1. A member cannot be written down (a state of which there is no saved form): `takeDescriptors()` throws before anything
 *    is taken. The update is refused, and `resume()` releases all.
 * 2. The exec fails: the same. Nothing was taken out of a member, so nothing has to be put back.
 * 3. A member owes what cannot cross: `owing`, looked at anew until it does not.
 *
 * @module
 */
import { setTimeout } from "node:timers";

import { monotonicNs } from "../../sys/clock.ts";
import type { OwnedFd } from "../../sys/owned_fd.ts";
import type { About, Connections, Taken } from "../http/connections.ts";
import { Channel, type PortOptions } from "../port.ts";

/** How often members that owe are looked at again (ms): nobody tells when a byte has reached the kernel. */
const LOOK_AGAIN_MS = 2;

/** One connection of a channel. */
export interface Member {
  /**
   * Could it not cross at this moment: because it owes what cannot be written down, or is closed already and only not
   * forgotten yet?
   */
  readonly owing: boolean;
  /** Neither reads from the kernel nor writes to it from now on. Called again, it changes nothing. */
  hold(): void;
  /** Reads and writes again. Without a hold, nothing changes. */
  release(): void;
  /**
   * What crosses beside the descriptor. Changes nothing.
   *
   * @throws {TypeError} for a state that cannot be saved
   */
  about(): About;
  /**
   * Duplicates the descriptor, for the caller. Changes nothing.
   *
   * @throws {SysError} EMFILE at the limit of open files
   */
  take(): OwnedFd;
  /** Ends the connection at once. */
  destroy(): void;
}

/** How a channel makes members of what was handed over. */
export interface Restoring<M extends Member> {
  /**
   * Makes a member, held. It owns the descriptor if this returns.
   *
   * @throws whatever is wrong with what was handed over
   */
  restore(fd: OwnedFd, about: About | null): M;
  /** The member is one of the channel's: the application may hear of it. */
  restored(member: M): void;
}

/** The members of one channel. */
export class Members<M extends Member> implements Connections {
  readonly #all = new Set<M>();
  readonly #restoring: Restoring<M>;
  #pausedNs: bigint | null = null;
  #pausing = Promise.withResolvers<void>();

  /** @param restoring how members are made of what was handed over */
  constructor(restoring: Restoring<M>) {
    this.#restoring = restoring;
  }

  /** How many there are. */
  get size(): number {
    return this.#all.size;
  }

  /** How many could not cross now. */
  get owing(): number {
    let count = 0;
    for (const member of this.#all) {
      if (member.owing) count++;
    }
    return count;
  }

  /** True between {@linkcode Members.pause} and {@linkcode Members.resume}. */
  get paused(): boolean {
    return this.#pausedNs !== null;
  }

  /** All members, in the order in which they came. */
  [Symbol.iterator](): IterableIterator<M> {
    return this.#all.values();
  }

  /**
   * Adds a new member; during a pause it is held at once.
   *
   * @param member a connection of this channel
   */
  add(member: M): void {
    this.#all.add(member);
    if (this.paused) member.hold();
  }

  /**
   * Forgets a member, which is closed.
   *
   * @param member a connection, of this channel or not
   */
  delete(member: M): void {
    this.#all.delete(member);
  }

  /** Holds all members. A second call changes nothing. */
  pause(): void {
    if (this.paused) return;
    this.#pausedNs = monotonicNs();
    for (const member of this.#all) member.hold();
    this.#pausing.resolve();
  }

  /** Releases all members. Without a pause it does nothing. */
  resume(): void {
    if (!this.paused) return;
    this.#pausedNs = null;
    this.#pausing = Promise.withResolvers();
    // A member may end, or the application add another one, at the release of the one before.
    for (const member of [...this.#all]) member.release();
  }

  /** Waits until, during a pause, no member owes anything. */
  async settled(): Promise<void> {
    while (!this.paused || this.owing > 0) {
      await (this.paused ? later(LOOK_AGAIN_MS) : this.#pausing.promise);
    }
  }

  /** When the pause began, on the monotonic clock; null while there is none. */
  stalledSinceNs(): bigint | null {
    return this.#pausedNs;
  }

  /** Ends the members that owe. Returns how many. */
  closeOwing(): number {
    let closed = 0;
    for (const member of [...this.#all]) {
      if (!member.owing) continue;
      member.destroy();
      closed++;
    }
    return closed;
  }

  /**
   * Takes what crosses from every member that owes nothing.
   *
   * @param most how many at most
   * @returns the descriptors, the caller's, and what crosses beside them
   * @throws {TypeError} for a state that cannot be saved
   * @throws {SysError} EMFILE at the limit of open files; in both cases nothing is taken
   */
  takeDescriptors(most = Infinity): Taken[] {
    using owned = new DisposableStack();
    const taken: Taken[] = [];
    for (const member of this.#all) {
      if (taken.length >= most) break;
      if (!member.owing) taken.push({ fd: owned.use(member.take()), about: member.about() });
    }
    owned.move();
    return taken;
  }

  /**
   * What would cross beside the descriptors at this moment, without the bytes on their way: for the check of a build.
   *
   * @throws {TypeError} for a state that cannot be saved
   */
  preview(): About[] {
    return [...this.#all].filter((member) => !member.owing).map((member) => {
      const { input: _input, output: _output, ...rest } = member.about();
      return rest;
    });
  }

  /**
   * Makes a member of a connection that was handed over.
   *
   * @param fd its descriptor; the member's if this returns
   * @param about what crossed beside it
   * @throws whatever is wrong with it
   */
  adopt(fd: OwnedFd, about: About | null = null): void {
    const member = this.#restoring.restore(fd, about);
    this.#all.add(member);
    try {
      this.#restoring.restored(member);
    } catch (error) {
      this.#all.delete(member);
      member.destroy();
      throw error;
    }
    if (!this.paused) member.release();
  }
}

/**
 * Makes a channel of members: those that were handed over are there when this returns, held until the taps open, so that
 * what is wrong with one of them is found before the update is committed.
 *
 * @param name the name of the channel
 * @param members its members, none yet
 * @param handed what was handed over; owned from here on
 * @param options how patient an update is with them
 * @returns the channel, to be added to the application's life
 * @throws whatever is wrong with what was handed over
 */
export function channelOf<M extends Member>(
  name: string,
  members: Members<M>,
  handed: readonly Taken[],
  options: PortOptions = { overdue: "refuse" },
): Channel {
  members.pause();
  let adopted = 0;
  try {
    for (; adopted < handed.length; adopted++) {
      const { fd, about } = handed[adopted]!;
      members.adopt(fd, about);
    }
  } catch (error) {
    for (const { fd } of handed.slice(adopted)) fd[Symbol.dispose]();
    throw error;
  }
  return new MemberChannel(name, members, [], options);
}

/** A channel that is complete before its tap opens. */
class MemberChannel extends Channel {
  override open(): void {
    super.open();
    this.connections.resume();
  }
}

function later(milliseconds: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, milliseconds));
}
