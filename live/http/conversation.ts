/**
 * One connection of a `node:http` server, and the question whether it stands between two messages. It does if three
 * things hold: no response is under way, the parser has begun no message that it has not completed, and no byte waits in
 * user space. Then all there is of the connection lies in the kernel, and it may cross an exec.
 *
 * The parser is asked by its own callbacks: the first byte of a message, and its end. Nothing else sees a request line
 * that has come in half, or the half of a pipelined request behind a whole one.
 *
 * Happy path: a keep-alive client between two requests is `clean`, and so is one that has sent a part of its headers, which
 * cross with it and are read again.
 *
 * Unhappy paths, all `owing`:
 * 1. A body that has come in part, or headers of which nobody knows what was read (`head_keeper.ts`); a request that is being answered, for ever if the answer never ends.
 * 2. A response that is complete but not yet in the kernel, or that ends with the connection (`Connection: close`).
 * 3. An upgraded connection: the parser is gone, and what is spoken now is not known here.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

import type { About, Phase } from "./connections.ts";
import { HeadKeeper, isInHead } from "./head_keeper.ts";
import type { Leave, Leaver } from "./parting.ts";
import {
  answerOf,
  handleOf,
  MESSAGE_BEGIN,
  MESSAGE_COMPLETE,
  parserOf,
  type RequestParser,
} from "./runtime.ts";
import { Tap } from "./tap.ts";
import { isTakenOver } from "./taken_over.ts";
import type { Uncarried } from "./uncarried.ts";

/** What a conversation needs to know of those it belongs to. */
export interface Circle {
  /** Is there a pause? */
  readonly paused: boolean;
  /** After how many milliseconds the server ends a connection that is silent within a request; 0 for never. */
  readonly timeout: number;
  /** Those that do not cross as they are; null where all do. */
  readonly uncarried: Uncarried<Leaver> | null;
  /** Is this the request that asked for the update? Then nobody waits for its answer. */
  isExcused(request: IncomingMessage): boolean;
  /** Something may have changed during the pause. */
  review(conversation: Conversation): void;
}

/** Parsers are pooled: one that is wrapped stays so, and finds the conversation by the socket that it serves. */
const wrapped = new WeakSet<RequestParser>();
const conversations = new WeakMap<Socket, Conversation>();

/** A connection that speaks HTTP/1. */
export class Conversation implements Leaver {
  /** Its socket. */
  readonly socket: Socket;
  readonly #circle: Circle;
  readonly #parser: RequestParser | null;
  readonly #tap: Tap | null;
  readonly #keeper: HeadKeeper | null;
  /** The parser has begun a message that it has not completed. */
  #begun = false;
  /** A message was completed during this pause. */
  #heard = false;
  /** Idle since its adoption, with a timer that ends it. */
  #resting = false;
  /** The answer to the request that has come last; only where connections may have to leave. */
  #latest: ServerResponse | null = null;
  /** The answer that says it is the last one. */
  #last: ServerResponse | null = null;
  /** The response at whose end this is reviewed. */
  #awaited: ServerResponse | null = null;

  /**
   * Watches a connection. To be called in the server's `connection` event, after the server has given it a parser.
   *
   * @param socket the connection
   * @param circle those it belongs to
   */
  constructor(socket: Socket, circle: Circle) {
    this.socket = socket;
    this.#circle = circle;
    const handle = handleOf(socket);
    this.#tap = handle === null ? null : new Tap(socket, handle);
    this.#parser = parserOf(socket);
    this.#keeper = handle === null || this.#parser === null
      ? null
      : new HeadKeeper(socket, handle, this.#parser);
    if (this.#parser === null) return;
    conversations.set(socket, this);
    wrapBegin(this.#parser, () => this.#begin());
    wrapComplete(this.#parser);
  }

  /**
   * Where the connection stands.
   *
   * @returns its phase
   */
  phase(): Phase {
    const { socket } = this;
    if (socket.destroyed) return "gone";
    if (isTakenOver(socket)) return "excused";
    const answer = answerOf(socket);
    // Requests that are pipelined behind an excused one cannot be answered before it, so they are not waited for either.
    if (answer !== null) return this.#circle.isExcused(answer.req) ? "excused" : "owing";
    const { uncarried } = this.#circle;
    const between = this.#isParsed() &&
      (!this.#begun || (!uncarried?.drains(socket) && this.#head() !== null));
    const empty = socket.writableLength === 0 && socket.readableLength === 0;
    return between && empty && !socket.writableEnded && !uncarried?.blocks(socket) ? "clean" : "owing";
  }

  /**
   * Reads no more than the rest of a message that has begun. While an answer is under way the tap stays open, so that a
   * client that leaves is noticed; but not for a client that goes on sending requests meanwhile, for it would never end.
   * An upgraded connection is left alone: it may need to read in order to come to its end.
   */
  hold(): void {
    if (isTakenOver(this.socket) || this.#circle.uncarried?.blocks(this.socket)) return;
    const clean = this.phase() !== "owing";
    if ((this.#begun && !clean) || !this.#isParsed()) this.#tap?.open();
    else if (this.#heard || clean) this.#tap?.close();
    const answer = answerOf(this.socket);
    if (answer === null && this.#begun) this.#discard();
    if (answer === null || answer === this.#awaited) return;
    this.#awaited = answer;
    answer.once("close", () => {
      this.#awaited = null;
      this.#circle.review(this);
    });
  }

  /** Reads again, whatever comes. */
  release(): void {
    this.#heard = false;
    if (!isTakenOver(this.socket)) this.#tap?.open();
  }

  /** Was the other end told that no answer follows? */
  get bowed(): boolean {
    return this.#last?.headersSent ?? false;
  }

  /**
   * Says with the next head of an answer that it is the last one.
   *
   * @returns what is owed
   */
  bow(): Leave {
    const { socket } = this;
    const answer = answerOf(socket);
    if (answer !== null) {
      const latest = this.#latest;
      this.#tellLast(latest === null || latest.writableFinished ? answer : latest);
      return "owes";
    }
    if (!this.#isParsed()) return "unclear";
    return this.#begun || socket.writableLength > 0 ? "owes" : "idle";
  }

  /**
   * A request has come, and its application has not heard of it yet.
   *
   * @param answer its answer
   * @param leaves is this connection asked to leave?
   */
  asked(answer: ServerResponse, leaves: boolean): void {
    this.#latest = answer;
    if (leaves) this.#tellLast(answer);
  }

  /** Is not asked to leave any more. */
  stay(): void {
    this.#untell();
  }

  /** Reads nothing more. */
  deafen(): void {
    this.#tap?.close();
    this.socket.pause();
  }

  /** The beginning of a request, if it is in the middle of one. */
  about(): About | null {
    const head = this.#begun ? this.#head() : null;
    return head === null ? null : { input: head };
  }

  /**
   * Reads again what the build before has read of a request.
   *
   * @param bytes its beginning
   */
  replay(bytes: Uint8Array): void {
    this.#keeper?.replay(bytes);
  }

  /**
   * Ends the connection if no request comes for a while, as the server does with a connection that it has answered.
   *
   * @param milliseconds how long to wait
   */
  rest(milliseconds: number): void {
    this.#resting = true;
    this.#tap?.setTimeout(milliseconds);
  }

  /** The parser has completed a message; the next one may begin in the same chunk of bytes. */
  complete(): void {
    this.#begun = false;
    this.#keeper?.ended();
    if (!this.#circle.paused) return;
    this.#heard = true;
    this.#circle.review(this);
  }

  /** What was read of a head that is not whole; null where it is whole or nobody knows. */
  #head(): Uint8Array | null {
    if (this.#parser === null || !isInHead(this.#parser)) return null;
    return this.#keeper?.bytes() ?? null;
  }

  /** Is the parser still there that this has listened to since the begin? */
  #isParsed(): boolean {
    return this.#parser !== null && parserOf(this.socket) === this.#parser;
  }

  /**
   * The request is answered, and its body still comes. The runtime leaves it unread if nobody wants it, and with it the
   * connection would be stuck in the middle of a message.
   */
  #discard(): void {
    const incoming = this.#parser?.incoming ?? null;
    if (incoming === null || incoming.complete) return;
    const wanted = incoming.listenerCount("data") + incoming.listenerCount("readable") > 0;
    if (!wanted) incoming.resume();
  }

  /** Says with an answer that it is the last one, unless its head is made already or says so anyway. */
  #tellLast(answer: ServerResponse): void {
    if (answer.headersSent || !answer.shouldKeepAlive) return;
    this.#untell();
    answer.shouldKeepAlive = false;
    this.#last = answer;
  }

  #untell(): void {
    if (this.#last !== null && !this.#last.headersSent) this.#last.shouldKeepAlive = true;
    this.#last = null;
  }

  #begin(): void {
    this.#begun = true;
    this.#keeper?.began();
    if (this.#resting) {
      this.#resting = false;
      this.#tap?.setTimeout(this.#circle.timeout);
    }
    // The tap may have been closed at the end of the message before, in the chunk that this one begins in.
    this.#tap?.open();
  }
}

/** The runtime sets this callback anew for each connection. */
function wrapBegin(parser: RequestParser, told: () => void): void {
  const original = parser[MESSAGE_BEGIN];
  parser[MESSAGE_BEGIN] = function (this: unknown): unknown {
    told();
    return original?.call(this);
  };
}

/** The runtime sets this callback once per parser. */
function wrapComplete(parser: RequestParser): void {
  if (wrapped.has(parser)) return;
  wrapped.add(parser);
  const original = parser[MESSAGE_COMPLETE];
  parser[MESSAGE_COMPLETE] = function (this: RequestParser): unknown {
    // Read before: the listeners of the message may end the connection, and with it the tie to its socket.
    const { socket } = this;
    const result = original?.call(this);
    if (socket !== null) conversations.get(socket)?.complete();
    return result;
  };
}
