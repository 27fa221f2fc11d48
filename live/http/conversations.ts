/**
 * The connections of a `node:http` server, so that an update fails no request: each is carried across the exec only while
 * it stands between two messages (see `conversation.ts`), and all that arrives in the meantime waits in the kernel.
 *
 * Happy path: as in `connections.ts`. A pause shuts every clean connection at once, each new one as it is accepted, and
 * each other one at the end of its answer. Without the intake stopped a busy server would never have a moment at which
 * nobody is being answered.
 *
 * Unhappy paths:
 * 1. An answer that takes until the deadline, or never ends (events, an upgraded connection): `owing` does not reach 0.
 * 2. The request that asked for the update waits for its end, which waits for the request: {@linkcode Conversations.exclude}.
 *    Its connection is not carried unless it has been answered.
 * 3. The server's time limits would end a connection that is silent because nobody reads it: they do not run meanwhile.
 *
 * A connection keeps alive only while the server is listening (a rule of the runtime), so listen before the first answer
 * on an adopted connection. Not carried: connections that were there before the server was watched, and those over TLS, which
 * are ended politely or refuse the update (`uncarried.ts`).
 *
 * @module
 */

import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { clearImmediate, setImmediate } from "node:timers";

import type { OwnedFd } from "../../sys/owned_fd.ts";
import { ConnectionSet } from "./connection_set.ts";
import { type About, type Connections, streamOf, type Taken } from "./connections.ts";
import { Conversation } from "./conversation.ts";
import type { Leaver } from "./parting.ts";
import { runtimeFault } from "./runtime.ts";
import { forgetStart, steadyList } from "./runtime_list.ts";
import type { Uncarried } from "./uncarried.ts";

/** Who hears of a request, and of no request that another one of them hears of. */
const REQUEST_EVENTS = ["request", "checkContinue", "checkExpectation"] as const;

/** Watches the connections of one HTTP server. */
export class Conversations implements Connections {
  readonly #server: Server;
  readonly #set = new ConnectionSet<Conversation>();
  readonly #excluded = new WeakSet<IncomingMessage>();
  /** Those that do not cross as they are; null where all do. */
  readonly uncarried: Uncarried<Leaver> | null;
  /** The server's own limits, while they do not run. */
  #limits: { headersTimeout: number; requestTimeout: number } | null = null;
  #restoring: ReturnType<typeof setImmediate> | null = null;

  /**
   * Watches all connections that the server gets from now on.
   *
   * @param server a server that is not listening yet
   * @param uncarried takes care of those that do not cross as they are; null where all do
   * @throws {TypeError} if this runtime does not let a connection be watched
   */
  constructor(server: Server, uncarried: Uncarried<Leaver> | null = null) {
    const fault = runtimeFault();
    if (fault !== null) throw new TypeError(`Cannot watch the connections of a server: ${fault}`);
    this.#server = server;
    const set = this.#set;
    this.uncarried = uncarried;
    uncarried?.watch(set);
    const circle = {
      uncarried,
      get paused(): boolean {
        return set.paused;
      },
      get timeout(): number {
        return server.timeout;
      },
      isExcused: (request: IncomingMessage): boolean => this.#excluded.has(request),
      review: (conversation: Conversation): void => set.review(conversation),
    };
    const event = uncarried?.isSecure ? "secureConnection" : "connection";
    server.once(event, () => steadyList(server));
    server.on(event, (socket: Socket) => set.add(new Conversation(socket, circle)));
    if (uncarried !== null) this.#hearRequests(uncarried);
  }

  /** How many connections there are. */
  get size(): number {
    return this.#set.size + (this.uncarried?.waiting ?? 0);
  }

  /** How many of them owe an answer, or have one on the way, or have begun a request. */
  get owing(): number {
    return this.#set.owing;
  }

  /** Stops the intake: of clean connections now, of new ones at once, of the others when their answer is finished. */
  pause(): void {
    this.uncarried?.begin();
    this.#suspendLimits();
    this.#set.pause();
  }

  /** Reads again. What has arrived meanwhile is answered as if it had just come. */
  resume(): void {
    this.#set.resume();
    this.uncarried?.end();
    this.#restoreLimits();
  }

  /**
   * Waits until, during a pause, no connection owes anything. Look at {@linkcode Conversations.owing} again in the turn in
   * which you rely on it.
   *
   * @returns at that moment; pending for as long as there is no pause
   */
  settled(): Promise<void> {
    return this.#set.settled();
  }

  /**
   * When the pause began: from then on something that arrives may have to wait.
   *
   * @returns nanoseconds on `CLOCK_MONOTONIC`, or null without a pause
   */
  stalledSinceNs(): bigint | null {
    return this.#set.stalledSinceNs();
  }

  /**
   * Ends the connections that still owe, for an update that shall not wait for them. Their requests fail.
   *
   * @returns how many were closed
   */
  closeOwing(): number {
    return this.#set.closeOwing();
  }

  /**
   * Duplicates the descriptors of the clean connections. The originals stay as they are, and close at the exec.
   *
   * @param most how many at most; all of them if absent
   * @returns close-on-exec descriptors, in the order in which the connections came; the caller owns them
   * @throws {SysError} EMFILE at the limit of open files; then none is taken
   */
  takeDescriptors(most?: number): Taken[] {
    return this.#set.takeDescriptors(most, this.uncarried);
  }

  /**
   * Makes a connected socket a connection of this server, which owns the descriptor then. Requests that wait in it are
   * answered, during a pause after its end.
   *
   * @param fd a connected stream socket that stands between two messages
   * @param about the beginning of a request that was read already, if there is one
   * @throws {TypeError} if it is disposed, or no stream can be made of it; then it stays the caller's
   */
  adopt(fd: OwnedFd, about: About | null = null): void {
    // The server decides itself what a client means that has finished writing, as for a connection it has accepted.
    const socket = streamOf(fd, !this.uncarried?.isSecure);
    this.#server.emit("connection", socket);
    const conversation = this.#set.get(socket);
    if (conversation === undefined || socket.destroyed) return;
    forgetStart(this.#server, socket);
    const patience = this.#patience();
    if (patience > 0) conversation.rest(patience);
    if (about?.input !== undefined && about.input.byteLength > 0) conversation.replay(about.input);
  }

  /**
   * Does not wait for the answer to this request: it is the one that asked for the update.
   *
   * @param request a request of this server
   */
  exclude(request: IncomingMessage): void {
    this.#excluded.add(request);
    const conversation = this.#set.get(request.socket);
    if (conversation !== undefined) this.#set.review(conversation);
  }

  /**
   * How long an adopted connection may be idle (ms), 0 for no limit of ours. Whether it has ever had an answer is not
   * known here, so it gets the longer of the two times that the server gives.
   */
  #patience(): number {
    const { keepAliveTimeout, headersTimeout, timeout } = this.#server;
    if (timeout > 0 || keepAliveTimeout === 0) return 0;
    // The runtime adds this second to what it tells the client.
    return Math.max(keepAliveTimeout + 1000, this.#limits?.headersTimeout ?? headersTimeout);
  }

  /** An answer to a connection that leaves says so, and that has to be known before the application makes its head. */
  #hearRequests(uncarried: Uncarried<Leaver>): void {
    const server = this.#server;
    const hear = ({ socket }: IncomingMessage, response: ServerResponse): void => {
      this.#set.get(socket)?.asked(response, uncarried.isParting && uncarried.blocks(socket));
    };
    for (const event of REQUEST_EVENTS) {
      // A listener of the other two would take the request away from the first.
      if (event === "request" || server.listenerCount(event) > 0) server.prependListener(event, hear);
    }
  }

  #suspendLimits(): void {
    if (this.#restoring !== null) clearImmediate(this.#restoring);
    this.#restoring = null;
    const { headersTimeout, requestTimeout } = this.#server;
    this.#limits ??= { headersTimeout, requestTimeout };
    this.#server.headersTimeout = 0;
    this.#server.requestTimeout = 0;
  }

  /**
   * The server measures from the last begin of a request, for a new connection from its start. So the limits come back
   * only when what has waited in the kernel is read, which is one turn of the event loop away.
   */
  #restoreLimits(): void {
    if (this.#limits === null || this.#restoring !== null) return;
    this.#restoring = setImmediate(() => {
      this.#restoring = setImmediate(() => {
        this.#restoring = null;
        if (this.#limits !== null) Object.assign(this.#server, this.#limits);
        this.#limits = null;
      });
    });
  }
}
