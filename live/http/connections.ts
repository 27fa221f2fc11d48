/**
 * The connections of a server, as an update sees them: which could cross an exec as they are, which still owe something,
 * and how to keep them all still meanwhile. {@linkcode Connections} is the interface for every kind of server; what a
 * kind must know of one connection is {@linkcode Watched}.
 *
 * Happy path of the build that leaves: `pause()`; `await settled()`; then, in one turn of the event loop, look that
 * `owing` is still 0, `takeDescriptors()`, exec. The build that comes: `pause()`, `adopt()` each, and `resume()` when the
 * update is committed.
 *
 * Unhappy paths:
 * 1. The exec fails: dispose the descriptors, `resume()`. No byte was read, no timer ran, so nothing has happened.
 * 2. Something owes until the deadline: refuse, or `closeOwing()`; what still owes is never given by `takeDescriptors()`.
 *
 * @module
 */

import { Socket } from "node:net";

import type { ConnectionRecord } from "../../kho/abi/connections.ts";
import type { OwnedFd } from "../../sys/owned_fd.ts";
import type { Leavers } from "./uncarried.ts";

/** What crosses with a connection beside its descriptor. */
export interface About {
  /** Bytes that were read from the kernel and not dealt with. */
  input?: Uint8Array;
  /** Bytes that the kernel has not taken yet. */
  output?: Uint8Array;
  /** Where its protocol stands. */
  stage?: string;
  /** The version of the state. */
  version?: number;
  /** The application's state of this connection, encoded. */
  state?: Uint8Array | null;
}

/** A connection that is about to cross, or has crossed. */
export interface Taken {
  /** Its descriptor; whoever has this object owns it. */
  fd: OwnedFd;
  /** What there is beside the descriptor, or null. */
  about: About | null;
}

/** The connections of one server. */
export interface Connections {
  /** How many there are. */
  readonly size: number;
  /** How many could not cross an exec now without a loss. */
  readonly owing: number;
  /** Those that do not cross as they are; null or absent where all do. */
  readonly uncarried?: Leavers | null;
  /** Keeps still: nothing new is read from any connection, present or to come, beyond what it has begun. */
  pause(): void;
  /** Goes on as if there had been no pause. */
  resume(): void;
  /**
   * Waits until, during a pause, nothing owes. Look at {@linkcode Connections.owing} again before relying on it: other
   * code may run between.
   */
  settled(): Promise<void>;
  /** When the pause began, on the monotonic clock; null while there is none. */
  stalledSinceNs(): bigint | null;
  /** Ends the connections that owe. Returns how many. */
  closeOwing(): number;
  /**
   * Duplicates, close-on-exec, of the connections that owe nothing, with what crosses beside them. The caller owns them.
   *
   * @param most how many at most; all of them if absent
   */
  takeDescriptors(most?: number): Taken[];
  /** What would cross beside descriptors at this moment, for the check of a build. Absent where that is never a state. */
  preview?(): About[];
  /** Makes a connected socket a connection of this server. It owns the descriptor then. */
  adopt(fd: OwnedFd, about?: About | null): void;
}

/**
 * Where a connection stands: `clean` may cross an exec, `owing` may not yet, `excused` may not and is not waited for,
 * `gone` is destroyed.
 */
export type Phase = "clean" | "owing" | "excused" | "gone";

/** One connection, to a {@linkcode ConnectionSet}. */
export interface Watched {
  /** Its socket. */
  readonly socket: Socket;
  /** Where it stands now. */
  phase(): Phase;
  /** During a pause, whenever something may have changed: reads no more than it must. */
  hold(): void;
  /** After a pause: reads again. */
  release(): void;
  /** What has to cross beside the descriptor of a clean connection. Absent where that is never anything. */
  about?(): About | null;
}

/**
 * Makes a stream of a connected socket. It owns the descriptor from then on.
 *
 * @param fd a connected stream socket, TCP or unix
 * @param allowHalfOpen may it go on writing when the other end has finished?
 * @returns the stream
 * @throws {TypeError} if `fd` is disposed, or no stream can be made of it; then it stays the caller's
 */
export function streamOf(fd: OwnedFd, allowHalfOpen: boolean): Socket {
  const socket = new Socket({ fd: fd.fd, readable: true, writable: true, allowHalfOpen });
  fd.release();
  return socket;
}

const NOTHING = new Uint8Array();

/**
 * What is written down of a connection.
 *
 * @param name its name in the map of names
 * @param about what crosses beside its descriptor
 */
export function connectionRecord(name: string, about: About): ConnectionRecord {
  const { input = NOTHING, output = NOTHING, stage = "", version = 0, state = null } = about;
  return { name, input, output, stage, version, state };
}
