/**
 * Event streams (server-sent events) that do not notice an update: each goes on in the next build where it was, with what
 * the application keeps about its client.
 *
 * Happy path: `live.eventStreams("feed", { open(stream, resumed) {…} })` once, before `ready()`; `feed.respond(request,
 * state)` in a handler of `live.serve`, or `feed.attach(res, state)` with an answer of `node:http`.
 *
 * Unhappy paths:
 * 1. A client that does not read: see `maxQueueBytes`. One that leaves is forgotten; `stream.closed` resolves.
 * 2. A state that cannot be saved refuses the update; one that the next build cannot load is found by its check.
 * 3. A request that wants only the head (HEAD) gets it; no stream is opened.
 * 4. No descriptor is left for another stream: the request is answered with an error, like any whose handler fails.
 *
 * @module
 */
import type { ServerResponse } from "node:http";
import { clearInterval, setInterval } from "node:timers";

import { LuoError } from "../../luo/errors.ts";
import type { About, Taken } from "../http/connections.ts";
import { duplicateOf } from "../http/connection_set.ts";
import { giveUp } from "../http/given_up.ts";
import { handOver } from "../http/handed_on.ts";
import { handleOf } from "../http/runtime.ts";
import { incomingOf } from "../http/served_request.ts";
import type { Channel } from "../port.ts";
import { encodeEvent, type StreamEvent } from "./event_format.ts";
import { EventLine } from "./event_line.ts";
import { EventMember, type EventStream, type Feed } from "./event_stream.ts";
import { type MemberStateOptions, MemberStates } from "./member_states.ts";
import { channelOf, Members } from "./members.ts";

/** How the streams of a feed are treated. */
export interface EventStreamsOptions<State> extends MemberStateOptions<State> {
  /**
   * Called with every stream before anything else is sent on it. For those that were handed over it is called while this
   * build is not ready; what is sent then goes out when it is.
   */
  open?(stream: EventStream<State>, resumed: boolean): void;
  /** How many bytes may wait for one client; beyond, its stream is cut. @default {1048576} */
  maxQueueBytes?: number;
  /**
   * A stream on which nothing was sent for so many milliseconds gets a comment without words: so that nobody on the way
   * takes it for dead, and a client that is gone without a word is found. 0 for none. @default {15000}
   */
  heartbeatMs?: number;
}

/** What goes out with the head of a stream. */
export interface EventStreamInit {
  /** Headers, beside those that make an event stream. */
  headers?: HeadersInit;
}

/** The event streams of one name, as the application sees them. */
export interface EventFeed<State> extends Iterable<EventStream<State>> {
  /** How many streams are open. */
  readonly size: number;
  /**
   * Answers a request with a stream, in a handler of `live.serve`.
   *
   * @param request the request that the handler was given
   * @param state what is kept about this client
   * @param init what goes out with the head
   * @returns what the handler is to return; headers that are set on it go out as well
   */
  respond(request: Request, state: State, init?: EventStreamInit): Response;
  /**
   * Makes a stream of an answer of `node:http`.
   *
   * @param res the answer, with the headers that were set on it; nothing of it is sent yet
   * @param state what is kept about this client
   * @param init what goes out with the head
   * @returns the stream; it is closed if the client has left or wants only the head
   * @throws {TypeError} if the answer has begun
   * @throws {SysError} EMFILE at the limit of open files
   */
  attach(res: ServerResponse, state: State, init?: EventStreamInit): EventStream<State>;
  /**
   * Sends an event on all streams.
   *
   * @param event the event
   * @throws {TypeError} for an event that cannot be written
   */
  broadcast(event: StreamEvent): void;
}

/** The headers of an event stream. What may be changed, may be changed by the application. */
const HEADERS = { "cache-control": "no-store, no-transform", "x-accel-buffering": "no" };
const CONTENT_TYPE = "text/event-stream";

/** The event streams of one name. */
export class EventStreams<State> implements EventFeed<State> {
  readonly #name: string;
  readonly #options: EventStreamsOptions<State>;
  readonly #feed: Feed<State>;
  readonly #members: Members<EventMember<State>>;
  /** Those that are open; members are also those that are only ending. */
  readonly #open = new Set<EventMember<State>>();
  #heart: ReturnType<typeof setInterval> | null = null;

  /**
   * @param name the name of the feed
   * @param options how its streams are treated
   * @throws {LuoError} `EINVAL` for a version, a limit or a time that is none
   */
  constructor(name: string, options: EventStreamsOptions<State> = {}) {
    const { maxQueueBytes = 1024 * 1024, heartbeatMs = 15_000 } = options;
    checkNumber(name, "maxQueueBytes", maxQueueBytes);
    checkNumber(name, "heartbeatMs", heartbeatMs);
    this.#name = name;
    this.#options = { ...options, maxQueueBytes, heartbeatMs };
    this.#feed = {
      states: new MemberStates(name, options),
      maxQueueBytes,
      ended: (member) => this.#ended(member),
      gone: (member) => this.#members.delete(member),
    };
    this.#members = new Members({
      restore: (fd, about) => EventMember.restore(this.#feed, fd, about),
      restored: (member) => {
        if (member.isOpen) this.#welcome(member);
      },
    });
  }

  /** The version in which states are saved. */
  get version(): number {
    return this.#feed.states.version;
  }

  /**
   * What the application's life has to know of this.
   *
   * @param handed streams that were handed over; owned from here on
   * @returns the channel
   * @throws whatever is wrong with what was handed over
   */
  channel(handed: readonly Taken[]): Channel {
    return channelOf(this.#name, this.#members, handed);
  }

  /**
   * Tries what {@linkcode EventStreams.channel} will do with what crosses beside a descriptor, in the check of a build.
   *
   * @param about what would be handed over
   * @throws what loading its state throws
   */
  check(about: About): void {
    this.#feed.states.load(about, "");
  }

  /** See {@linkcode EventFeed.size}. */
  get size(): number {
    return this.#open.size;
  }

  /** All open streams, in the order in which they came. */
  [Symbol.iterator](): IterableIterator<EventStream<State>> {
    return this.#open.values();
  }

  /** See {@linkcode EventFeed.respond}. */
  respond(request: Request, state: State, init: EventStreamInit = {}): Response {
    if (incomingOf(request) === undefined) {
      throw new TypeError("Cannot open an event stream: this is not the request that a handler was given");
    }
    const headers = new Headers(init.headers);
    for (const [name, value] of Object.entries(HEADERS)) {
      if (!headers.has(name)) headers.set(name, value);
    }
    headers.set("content-type", CONTENT_TYPE);
    const body = handOver((res, response) => void this.attach(res, state, { headers: response.headers }));
    return new Response(body, { headers });
  }

  /** See {@linkcode EventFeed.attach}. */
  attach(res: ServerResponse, state: State, init: EventStreamInit = {}): EventStream<State> {
    if (res.headersSent || res.writableEnded) {
      throw new TypeError("Cannot open an event stream: the answer has begun already");
    }
    setHead(res, new Headers(init.headers));
    const member = new EventMember(this.#feed, state, false);
    if (res.req.method === "HEAD") {
      res.setHeader("connection", "close");
      res.end();
      member.giveUp();
    } else if (res.destroyed || res.req.socket.destroyed) {
      member.giveUp();
    } else if (res.socket === null) {
      // Behind the answer to a request before this one. What is sent until then waits.
      res.once("socket", () => this.#beginLate(res, member));
      res.once("close", () => member.giveUp());
    } else {
      this.#begin(res, member);
    }
    return member;
  }

  /** See {@linkcode EventFeed.broadcast}. */
  broadcast(event: StreamEvent): void {
    const bytes = encodeEvent(event);
    for (const member of this.#open) member.write(bytes);
  }

  #begin(res: ServerResponse, member: EventMember<State>): void {
    const handle = res.socket === null ? null : handleOf(res.socket);
    if (handle === null) {
      throw new TypeError("Cannot open an event stream: the connection is none of the kernel's");
    }
    using undo = new DisposableStack();
    // First, for it may fail.
    const duplicate = undo.use(duplicateOf(handle));
    const socket = giveUp(res, () => member.close());
    undo.move();
    member.begin(EventLine.over(socket, duplicate));
    this.#members.add(member);
    this.#welcome(member);
  }

  /** Nobody waits any more for what goes wrong here. */
  #beginLate(res: ServerResponse, member: EventMember<State>): void {
    try {
      this.#begin(res, member);
    } catch (error) {
      console.error(`heirloom: event stream of "${this.#name}":`, error);
      res.destroy();
    }
  }

  #welcome(member: EventMember<State>): void {
    this.#open.add(member);
    const { heartbeatMs = 0 } = this.#options;
    if (heartbeatMs > 0 && this.#heart === null) {
      this.#heart = setInterval(() => this.#beat(), heartbeatMs);
      this.#heart.unref();
    }
    try {
      this.#options.open?.(member, member.resumed);
    } catch (error) {
      member.destroy();
      throw error;
    }
  }

  #ended(member: EventMember<State>): void {
    this.#open.delete(member);
    if (this.#open.size > 0 || this.#heart === null) return;
    clearInterval(this.#heart);
    this.#heart = null;
  }

  #beat(): void {
    if (this.#members.paused) return;
    for (const member of this.#open) member.beat();
  }
}

/** What the application has set on the answer stays, but for what makes it an event stream. */
function setHead(res: ServerResponse, headers: Headers): void {
  for (const [name, value] of Object.entries(HEADERS)) {
    if (!res.hasHeader(name)) res.setHeader(name, value);
  }
  headers.forEach((value, name) => {
    if (name !== "set-cookie") res.setHeader(name, value);
  });
  const cookies = headers.getSetCookie();
  if (cookies.length > 0) res.setHeader("set-cookie", cookies);
  res.setHeader("content-type", CONTENT_TYPE);
  res.statusCode = 200;
}

function checkNumber(name: string, option: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0 && value <= 0x7fffffff) return;
  throw new LuoError("EINVAL", `Cannot use "${name}": ${option} ${value} is no number from 0 to 2147483647`);
}
