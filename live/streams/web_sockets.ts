/**
 * A channel of WebSockets, each of which goes on in the next build: with its state, in the middle of a message, of a slow
 * reader's queue, or of a closing handshake.
 *
 * ```ts ignore
 * import * as ws from "npm:ws@8";
 *
 * const chat = await live.webSockets<{ name: string }>("chat", ws, {
 *   open({ socket, state }, resumed) {
 *     socket.on("message", (data) => {
 *       for (const other of chat) other.socket.send(`${state.name}: ${data}`);
 *     });
 *   },
 * });
 * await live.serve("web", { port: 8080 }, (request) => chat.upgrade(request, { name: "somebody" }));
 * ```
 *
 * Happy path: {@linkcode WebSockets.upgrade} in a handler, or {@linkcode WebSockets.accept} in the `upgrade` event of a
 * server of `node:http`; `open` is called for every WebSocket, also in the next build for those that it takes over.
 *
 * Unhappy paths:
 * 1. A request that is none for a WebSocket: 426; one that is no proper one: 400, by the package.
 * 2. A client that breaks the protocol: it is told and closed, and the WebSocket emits `error`; nobody has to listen to it.
 * 3. `open` throws: for a new client it is logged, and the client gets 1011; for one that was handed over this build fails,
 *    and the previous one comes back.
 * 4. A message of which only a part was sent (`fin: false`, a `Blob`): the update waits until it is whole.
 *
 * Not carried: TLS; compression, which is never agreed upon; what `open` sets on the WebSocket itself (`binaryType`, a
 * pause, listeners), which it does again in the next build.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type { Socket as NetSocket } from "node:net";
import type { Duplex } from "node:stream";
import { clearInterval, setInterval } from "node:timers";

import type { About, Taken } from "../http/connections.ts";
import { handOn } from "../http/handed_on.ts";
import { incomingOf } from "../http/served_request.ts";
import { takeOver } from "../http/taken_over.ts";
import { expectUpgrades, isUpgrading } from "../http/upgrade_bridge.ts";
import { LuoError } from "../../luo/errors.ts";
import type { Channel } from "../port.ts";
import type { StateValue } from "../states.ts";
import { takeover } from "../takeover.ts";
import { CarriedSocket } from "./carried_socket.ts";
import { checkInit, Handshakes, type WebSocketInit } from "./handshakes.ts";
import { MemberStates } from "./member_states.ts";
import { channelOf, Members } from "./members.ts";
import { checkStage, framesOf, restoreWebSocket, WebSocketMember, type WebSocketPeer } from "./web_socket.ts";
import type { WebSocketLike, WebSocketPackage } from "./ws_package.ts";
import { tryPackage } from "./ws_trial.ts";

/** What the other end is told if this one has failed (RFC 6455 section 7.4.1). */
const INTERNAL_ERROR = 1011;

/** How the WebSockets of a channel are treated. */
export interface WebSocketsOptions<State, Socket = WebSocketLike> {
  /**
   * Called for every WebSocket before anything is read from it: listen to its events here. For those that were handed over
   * it is called before the channel is there, while this build is not ready; what is sent then goes out when it is.
   *
   * @param peer the client
   * @param resumed was it handed over by the previous build? Then it knows nothing of the update, and is not to be greeted
   */
  open(peer: WebSocketPeer<State, Socket>, resumed: boolean): void;
  /** The version in which states are saved: a positive integer. @default {1} */
  version?: number;
  /** The versions that `load` reads, lowest and highest. @default {[1, version]} */
  reads?: readonly [lowest: number, highest: number];
  /**
   * Makes the state of a saved value. By default the value is the state. Called once for each client when a build is
   * checked, and once when it takes over.
   */
  load?(value: StateValue, version: number): State;
  /** The longest message in bytes. @default {100 MiB, as the package has it} */
  maxPayload?: number;
  /** Milliseconds after which a silent client is asked for a sign, and after as many more ended. By default never. */
  heartbeatMs?: number;
}

/** The WebSockets of one name, as the application sees them: all clients, in the order in which they came. */
export interface WebSockets<State, Socket = WebSocketLike> extends Iterable<WebSocketPeer<State, Socket>> {
  /** How many clients there are. */
  readonly size: number;
  /**
   * Answers a request for a WebSocket, in a handler of `live.serve`.
   *
   * @param request the request that the handler was given
   * @param state what is kept about this client
   * @param init what goes out with the answer
   * @returns what the handler is to return as it is; 426 for a request that is none for a WebSocket
   * @throws {TypeError} for a request that was not given to a handler, or headers that cannot be sent
   */
  upgrade(request: Request, state: State, init?: WebSocketInit): Response;
  /**
   * Answers a request for a WebSocket, in the `upgrade` event of a server of `node:http` that `live.server` carries.
   *
   * @param req the request
   * @param socket its connection
   * @param head what came behind the request
   * @param state what is kept about this client
   * @param init what goes out with the answer
   * @throws {TypeError} for headers that cannot be sent
   */
  accept(req: IncomingMessage, socket: Duplex, head: Buffer, state: State, init?: WebSocketInit): void;
}

/** The WebSockets of one name. */
export class WebSocketChannel<State, Socket = WebSocketLike> implements WebSockets<State, Socket> {
  readonly #name: string;
  readonly #options: WebSocketsOptions<State, Socket>;
  readonly #handshakes: Handshakes;
  readonly #states: MemberStates<State>;
  readonly #members: Members<WebSocketMember<State, Socket>>;
  #heart: ReturnType<typeof setInterval> | null = null;

  /**
   * @param name the name of the channel
   * @param ws the package
   * @param options what the application wants
   * @throws {TypeError} if `ws` is not the package, or a version of it that does not do
   * @throws {LuoError} `EINVAL` for options that are none
   */
  constructor(name: string, ws: WebSocketPackage, options: WebSocketsOptions<State, Socket>) {
    const { maxPayload, heartbeatMs = 0 } = options;
    checkNumber(name, "maxPayload", maxPayload ?? 0);
    checkNumber(name, "heartbeatMs", heartbeatMs);
    this.#name = name;
    this.#options = options;
    this.#handshakes = new Handshakes(ws, maxPayload);
    this.#states = new MemberStates(name, options);
    this.#members = new Members({
      restore: (fd, about) => restoreWebSocket(fd, about, this.#handshakes, this.#states),
      restored: (member) => this.#welcome(member),
    });
    // A build that takes over was checked before.
    if (takeover.incoming === null) tryPackage(this.#handshakes);
  }

  /**
   * What the application's life has to know of this.
   *
   * @param handed WebSockets that were handed over; owned from here on
   * @returns the channel
   * @throws whatever is wrong with what was handed over, and what `open` throws
   */
  channel(handed: readonly Taken[]): Channel {
    expectUpgrades();
    return channelOf(this.#name, this.#members, handed);
  }

  /**
   * Tries what {@linkcode WebSocketChannel.channel} will do with what crosses beside a descriptor, in the check of a build.
   *
   * @param about what would be handed over
   * @throws {TypeError} for a WebSocket that stands where this build does not know
   * @throws what loading its state throws
   */
  check(about: About): void {
    checkStage(about);
    this.#states.load(about, "");
  }

  /** How many clients there are. */
  get size(): number {
    return this.#members.size;
  }

  /** All clients, in the order in which they came. */
  *[Symbol.iterator](): IterableIterator<WebSocketPeer<State, Socket>> {
    for (const { peer } of this.#members) yield peer;
  }

  /** See {@linkcode WebSockets.upgrade}. */
  upgrade(request: Request, state: State, init: WebSocketInit = {}): Response {
    const incoming = incomingOf(request);
    if (incoming === undefined) {
      throw new TypeError("Cannot open a WebSocket: this is not the request that a handler was given");
    }
    checkInit(init);
    if (!isUpgrading(incoming)) {
      const headers = { upgrade: "websocket", "content-type": "text/plain" };
      return new Response("Upgrade Required\n", { status: 426, headers });
    }
    const response = new Response(null, { status: 101 });
    handOn(response, (req, socket, head) => this.#accept(req, socket, head, state, init));
    return response;
  }

  /** See {@linkcode WebSockets.accept}. */
  accept(req: IncomingMessage, socket: Duplex, head: Buffer, state: State, init: WebSocketInit = {}): void {
    checkInit(init);
    this.#accept(req, socket, head, state, init);
  }

  #accept(req: IncomingMessage, socket: Duplex, head: Buffer, state: State, init: WebSocketInit): void {
    if (socket.destroyed) return;
    let stream: CarriedSocket;
    try {
      stream = CarriedSocket.over(socket as NetSocket);
    } catch (error) {
      console.error(`heirloom: WebSocket of "${this.#name}":`, error);
      socket.end("HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
      return;
    }
    takeOver(socket as NetSocket);
    const frames = framesOf(stream);
    const made = this.#handshakes.answer(req, stream, head, init);
    if (made === null) return;
    const peer = { state, resumed: false };
    const member = new WebSocketMember<State, Socket>(stream, frames, made, this.#states, peer);
    this.#members.add(member);
    try {
      this.#welcome(member);
    } catch (error) {
      console.error(`heirloom: WebSocket of "${this.#name}":`, error);
      made.close(INTERNAL_ERROR);
    }
  }

  #welcome(member: WebSocketMember<State, Socket>): void {
    member.onClose(() => this.#forget(member));
    const { heartbeatMs = 0 } = this.#options;
    if (heartbeatMs > 0 && this.#heart === null) {
      this.#heart = setInterval(() => this.#beat(), heartbeatMs);
      this.#heart.unref();
    }
    this.#options.open(member.peer, member.peer.resumed);
  }

  #forget(member: WebSocketMember<State, Socket>): void {
    this.#members.delete(member);
    if (this.size > 0 || this.#heart === null) return;
    clearInterval(this.#heart);
    this.#heart = null;
  }

  #beat(): void {
    // Nobody can give a sign to one who does not read.
    if (this.#members.paused) return;
    for (const member of [...this.#members]) member.beat();
  }
}

function checkNumber(name: string, option: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0 && value <= 0x7fffffff) return;
  throw new LuoError("EINVAL", `Cannot use "${name}": ${option} ${value} is no number from 0 to 2147483647`);
}
