/**
 * One connection with a protocol of the application's own, and how it crosses an update in the middle of what is said: with
 * what was read and not dealt with, what the other end does not read, and a half-close in either direction.
 *
 * What the application has taken out of the stream and keeps in a variable, half a line for instance, nobody here can see.
 * It says so in {@linkcode RawConnection.unread}, and the next build reads it again before anything else.
 *
 * Happy path: {@linkcode RawMember.about} and `take()` in the freeze, {@linkcode restoreRaw} in the next build.
 *
 * Unhappy paths:
 * 1. The other end has finished: the next build reads that end again, behind what was not dealt with.
 * 2. This end has finished (`end()`): the next build gets a connection that it can read from and not write to, once what
 *    waits is sent.
 * 3. A connection that breaks: the stream emits `error` and `close`; nobody has to listen for `error`.
 *
 * @module
 */
import type { Duplex } from "node:stream";

import type { OwnedFd } from "../../sys/owned_fd.ts";
import type { About } from "../http/connections.ts";
import { joinBytes } from "./bytes.ts";
import { CarriedSocket } from "./carried_socket.ts";
import type { MemberStates } from "./member_states.ts";
import type { Member } from "./members.ts";

/** What is said of a connection to which nothing more is written. */
const ENDED = "ended";

const NOTHING = new Uint8Array();

/** The stream of a connection; what it shares with a `net.Socket` means the same. */
export interface RawSocket extends Duplex {
  /** The address of the other end; `undefined` on a unix socket. */
  readonly remoteAddress: string | undefined;
  /** The port of the other end. */
  readonly remotePort: number | undefined;
  /** `IPv4` or `IPv6`. */
  readonly remoteFamily: string | undefined;
  /** The address of this end. */
  readonly localAddress: string | undefined;
  /** The port of this end. */
  readonly localPort: number | undefined;
  /** How many bytes were written and are not the kernel's yet. */
  readonly queued: number;
  /** Sends small pieces at once, or gathers them (`TCP_NODELAY`). */
  setNoDelay(noDelay?: boolean): this;
  /** Asks a silent peer whether it is still there (`SO_KEEPALIVE`). */
  setKeepAlive(enable?: boolean, initialDelay?: number): this;
  /** Emits `timeout` when nothing was read or written for so many milliseconds; 0 for never. */
  setTimeout(milliseconds: number, callback?: () => void): this;
  /** Ends the connection when all that was written is sent. */
  destroySoon(): void;
  /** Keeps the process alive. */
  ref(): this;
  /** Lets the process end. */
  unref(): this;
}

/** A connection with a protocol of the application's own. */
export interface RawConnection<State> {
  /** The stream. */
  readonly socket: RawSocket;
  /** What the application keeps about this connection; saved at an update. */
  state: State;
  /** Was it handed over by the previous build? */
  readonly resumed: boolean;
  /** What the application has read and not dealt with: at an update, the next build reads it again, before anything else. */
  unread: Uint8Array;
}

/** One such connection, as its server has it. */
export class RawMember<State> implements Member, RawConnection<State> {
  readonly socket: CarriedSocket;
  readonly resumed: boolean;
  readonly #states: MemberStates<State>;
  state: State;
  unread: Uint8Array = NOTHING;

  /**
   * @param socket the connection
   * @param states how its state is saved
   * @param state what is kept about it
   * @param resumed was it handed over?
   */
  constructor(socket: CarriedSocket, states: MemberStates<State>, state: State, resumed: boolean) {
    this.socket = socket;
    this.resumed = resumed;
    this.state = state;
    this.#states = states;
    // A client that breaks its connection ends no service: `close` follows.
    socket.on("error", () => {});
  }

  /** Could it not cross at this moment? */
  get owing(): boolean {
    return this.socket.destroyed || this.socket.owing;
  }

  /** Neither reads nor sends from now on. */
  hold(): void {
    this.socket.hold();
  }

  /** Reads and sends again. */
  release(): void {
    this.socket.release();
  }

  /** What crosses beside the descriptor. */
  about(): About {
    const who = nameOf(this.socket);
    if (!(this.unread instanceof Uint8Array)) {
      throw new TypeError(`Cannot save what is unread of connection ${who}: it is no Uint8Array`);
    }
    const { input, output, ended } = this.socket.describe();
    return {
      input: joinBytes([this.unread, input]),
      output,
      stage: ended ? ENDED : "",
      ...this.#states.save(this.state, who),
    };
  }

  /** Duplicates the descriptor. */
  take(): OwnedFd {
    return this.socket.duplicate();
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.socket.destroy();
  }
}

/**
 * Goes on with a connection of the previous build, held.
 *
 * @param fd its descriptor; the member's if this returns
 * @param about what crossed beside it
 * @param states how its state is read
 * @param allowHalfOpen may this end go on writing when the other end has finished?
 * @returns the member
 * @throws {LuoError} `EOPNOTSUPP` for a state that this build does not read
 * @throws whatever the application's `load` throws
 */
export function restoreRaw<State>(
  fd: OwnedFd,
  about: About | null,
  states: MemberStates<State>,
  allowHalfOpen: boolean,
): RawMember<State> {
  const stage = about?.stage ?? "";
  if (stage !== "" && stage !== ENDED) {
    throw new TypeError(`Cannot go on with a connection: it stands at ${JSON.stringify(stage)}`);
  }
  using undo = new DisposableStack();
  const socket = CarriedSocket.adopt(fd, about, { allowHalfOpen });
  undo.defer(() => socket.destroy());
  const member = new RawMember(socket, states, states.load(about, nameOf(socket)), true);
  if (stage === ENDED) socket.end();
  undo.move();
  return member;
}

function nameOf(socket: CarriedSocket): string {
  return socket.remoteAddress === undefined ? "" : `${socket.remoteAddress}:${socket.remotePort}`;
}
