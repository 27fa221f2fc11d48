/**
 * One WebSocket of a channel, and how it crosses an update in the middle of what is said: a message that has come in part,
 * what the client does not read, a closing handshake that is half held.
 *
 * Where the handshake stands is one word in the handover, and the next build does again, unheard, what brings the `ws`
 * package there: `open`; `closing`, this end has said so; `closed`, both have; `failed`, the other end has broken the
 * protocol and was told. Behind it stands the protocol that was chosen.
 *
 * Happy path: {@linkcode WebSocketMember.about} and `take()` in the freeze, {@linkcode restoreWebSocket} in the next build.
 *
 * Unhappy paths:
 * 1. The application has sent a part of a message: nobody else could go on with it, so the member owes until it is whole.
 * 2. A word that this build does not know: a `TypeError`, and the previous build comes back.
 *
 * @module
 */

import { Buffer } from "node:buffer";

import type { OwnedFd } from "../../sys/owned_fd.ts";
import type { About } from "../http/connections.ts";
import { CarriedSocket } from "./carried_socket.ts";
import { Frames } from "./frames.ts";
import { type Handshakes, unheard } from "./handshakes.ts";
import type { MemberStates } from "./member_states.ts";
import type { Member } from "./members.ts";
import type { CarriedWebSocket, WebSocketLike } from "./ws_package.ts";

/** A client of a channel, as the application sees it. */
export interface WebSocketPeer<State, Socket = WebSocketLike> {
  /** The WebSocket, of the application's own `ws` package. */
  readonly socket: Socket;
  /** What the application keeps about this client; saved at an update. */
  state: State;
  /** Was it handed over by the previous build? */
  readonly resumed: boolean;
}

type Stage = "open" | "closing" | "closed" | "failed";

const STAGE = /^(open|closing|closed|failed)(?: ([^ ]+))?$/;

const OPEN = 1;

const NOTHING = new Uint8Array();

/** One client. */
export class WebSocketMember<State, Socket> implements Member {
  readonly #stream: CarriedSocket;
  readonly #frames: Frames;
  readonly #socket: CarriedWebSocket;
  readonly #states: MemberStates<State>;
  #failed: boolean;
  /** Has anything come, or anything been taken, since the last look? */
  #isAlive = true;
  #queued = 0;
  /** What the application has. */
  readonly peer: WebSocketPeer<State, Socket>;

  /**
   * @param stream the connection
   * @param frames what has come on it
   * @param socket the WebSocket on it
   * @param states how its state is saved
   * @param peer what the application gets, without the socket
   * @param failed has the other end broken the protocol?
   */
  constructor(
    stream: CarriedSocket,
    frames: Frames,
    socket: CarriedWebSocket,
    states: MemberStates<State>,
    peer: { state: State; resumed: boolean },
    failed = false,
  ) {
    this.#stream = stream;
    this.#frames = frames;
    this.#socket = socket;
    this.#states = states;
    this.#failed = failed;
    this.peer = { socket: socket as unknown as Socket, state: peer.state, resumed: peer.resumed };
    stream.on("data", () => this.#isAlive = true);
    // A client that breaks the protocol ends no service: it was told, and `close` follows.
    socket.on("error", () => this.#failed = true);
  }

  /** Could it not cross at this moment? */
  get owing(): boolean {
    return this.#stream.destroyed || this.#stream.owing || this.#socket.inMessage;
  }

  /** Calls back when the connection is closed. */
  onClose(callback: () => void): void {
    this.#socket.on("close", callback);
  }

  /** Neither reads nor sends from now on. */
  hold(): void {
    this.#stream.hold();
  }

  /** Reads and sends again. */
  release(): void {
    this.#isAlive = true;
    this.#stream.release();
  }

  /** What crosses beside the descriptor. */
  about(): About {
    const stage = this.#stage();
    const { input: unread, output } = this.#stream.describe();
    const input = stage === "failed" ? NOTHING : Buffer.concat([
      this.#frames.pending(),
      // Behind a close frame nothing counts.
      stage === "closed" ? NOTHING : unread,
    ]);
    const { protocol } = this.#socket;
    return {
      input,
      output,
      stage: protocol === "" ? stage : `${stage} ${protocol}`,
      ...this.#states.save(this.peer.state, nameOf(this.#stream)),
    };
  }

  /** Gives the descriptor away. */
  take(): OwnedFd {
    return this.#stream.carry().fd;
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#socket.terminate();
  }

  /** Ends a connection from which nothing has come since the last time, nor anything been taken; else asks for a sign. */
  beat(): void {
    // What the application does not want to read cannot be a sign.
    if (this.#socket.readyState !== OPEN || this.#socket.isPaused) return;
    const { queued } = this.#stream;
    const isAlive = this.#isAlive || queued < this.#queued;
    this.#isAlive = false;
    this.#queued = queued;
    if (!isAlive) this.destroy();
    else this.#socket.ping();
  }

  #stage(): Stage {
    if (this.#failed) return "failed";
    if (!this.#socket.saidClose) return "open";
    return this.#frames.closed ? "closed" : "closing";
  }
}

/**
 * Makes a stream whose frames are followed. Nobody must have listened to it before.
 *
 * @param stream a connection of which nothing was read yet
 */
export function framesOf(stream: CarriedSocket): Frames {
  const frames = new Frames();
  // The first to listen: the package unmasks in place.
  stream.on("data", (chunk: Uint8Array) => frames.feed(chunk));
  return frames;
}

/**
 * Goes on with a WebSocket of the previous build, held.
 *
 * @param fd its descriptor; the member's if this returns
 * @param about what crossed beside it
 * @param handshakes what makes WebSockets
 * @param states how its state is read
 * @throws {TypeError} for a stage that this build does not know
 * @throws whatever the application's `load` throws
 */
export function restoreWebSocket<State, Socket>(
  fd: OwnedFd,
  about: About | null,
  handshakes: Handshakes,
  states: MemberStates<State>,
): WebSocketMember<State, Socket> {
  const { stage, protocol } = parseStage(about?.stage ?? "open");
  using undo = new DisposableStack();
  const stream = CarriedSocket.adopt(fd, stage === "closed" ? { ...about, input: NOTHING } : about);
  undo.defer(() => stream.destroy());
  const state = states.load(about, nameOf(stream));
  const frames = framesOf(stream);
  const socket = handshakes.repeat(stream, protocol);
  if (stage !== "open") unheard(stream, () => socket.close());
  if (stage === "closed") unheard(stream, () => stream.emit("data", Buffer.from(about?.input ?? NOTHING)));
  if (stage === "failed") {
    // What comes from such a client is not looked at any more, only its end.
    stream.removeAllListeners("data").resume();
    stream.end();
  }
  const peer = { state, resumed: true };
  const member = new WebSocketMember<State, Socket>(stream, frames, socket, states, peer, stage === "failed");
  undo.move();
  return member;
}

/**
 * Does this build know where a WebSocket stands?
 *
 * @param about what crosses beside its descriptor
 * @throws {TypeError} if it does not
 */
export function checkStage({ stage = "open" }: About): void {
  parseStage(stage);
}

function parseStage(text: string): { stage: Stage; protocol: string } {
  const [, stage, protocol = ""] = STAGE.exec(text) ?? [];
  if (stage === undefined) {
    throw new TypeError(`Cannot go on with a WebSocket: this build does not know the stage "${text}"`);
  }
  return { stage: stage as Stage, protocol };
}

/** How a connection is called in errors. */
function nameOf({ remoteAddress, remotePort }: CarriedSocket): string {
  return remoteAddress === undefined ? "" : `${remoteAddress}:${remotePort}`;
}
