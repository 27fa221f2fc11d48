/**
 * One stream of events to one client, over a connection that the HTTP server has given up. The answer is delimited by the
 * end of the connection, so there is no framing in it, and any byte is as good as another to cross an update at.
 *
 * Happy path: {@linkcode EventStream.send}, as often as there is something to say.
 *
 * Unhappy paths:
 * 1. The client reads slowly: what the kernel does not take waits, `send` answers false. More than the limit: the stream is
 *    cut, and the client comes back when it can.
 * 2. The client leaves: `closed` resolves, and `send` answers false.
 * 3. An update while the end waits behind what the client has not read: the next build goes on ending it.
 *
 * @module
 */
import { LuoError } from "../../luo/errors.ts";
import type { OwnedFd } from "../../sys/owned_fd.ts";
import type { About } from "../http/connections.ts";
import { encodeEvent, HEARTBEAT, type StreamEvent } from "./event_format.ts";
import { EventLine } from "./event_line.ts";
import type { MemberStates } from "./member_states.ts";
import type { Member } from "./members.ts";

/** A stream of events, as the application sees it. */
export interface EventStream<State> {
  /** What the application keeps about this client; saved at an update. */
  state: State;
  /** Was it handed over by the previous build? */
  readonly resumed: boolean;
  /** Resolves when the connection is closed, whoever closed it. */
  readonly closed: Promise<void>;
  /** How many bytes wait for the client. */
  readonly queued: number;
  /**
   * Sends an event.
   *
   * @param event the event
   * @returns false if more waits for this client than is good, or the stream is closed
   * @throws {TypeError} for an event that cannot be written
   */
  send(event: StreamEvent): boolean;
  /** Ends the stream once the client has all that was sent. */
  close(): void;
}

/** What a stream needs to know of those it belongs to. */
export interface Feed<State> {
  /** How states are saved. */
  readonly states: MemberStates<State>;
  /** How many bytes may wait for one client. */
  readonly maxQueueBytes: number;
  /** Nothing more is sent on this stream. */
  ended(member: EventMember<State>): void;
  /** The connection is closed. */
  gone(member: EventMember<State>): void;
}

type Stage = "open" | "closing" | "gone";

/** A stream of events, as its feed sees it. */
export class EventMember<State> implements EventStream<State>, Member {
  /** See {@linkcode EventStream.state}. */
  state: State;
  /** See {@linkcode EventStream.resumed}. */
  readonly resumed: boolean;
  readonly #feed: Feed<State>;
  readonly #closed = Promise.withResolvers<void>();
  #stage: Stage = "open";
  /** What was sent before there was a connection. */
  #early: Uint8Array[] = [];
  #line: EventLine | null = null;
  #held = false;
  #isQuiet = true;

  /**
   * @param feed those it belongs to
   * @param state what is kept about the client
   * @param resumed was it handed over?
   */
  constructor(feed: Feed<State>, state: State, resumed: boolean) {
    this.#feed = feed;
    this.state = state;
    this.resumed = resumed;
  }

  /**
   * Makes a stream of what was handed over, held.
   *
   * @param feed those it belongs to
   * @param fd the connection; the stream's if this returns
   * @param about what crossed beside it
   * @throws {LuoError} `EOPNOTSUPP` for a version or a stage that this build does not read; what `load` throws
   */
  static restore<State>(feed: Feed<State>, fd: OwnedFd, about: About | null): EventMember<State> {
    const { stage = "open", output } = about ?? {};
    if (stage !== "open" && stage !== "closing") {
      throw new LuoError(
        "EOPNOTSUPP",
        `Cannot go on with an event stream: its stage "${stage}" is not known`,
      );
    }
    const member = new EventMember(feed, feed.states.load(about, ""), true);
    member.#held = true;
    member.begin(EventLine.of(fd, output));
    if (stage === "closing") member.close();
    return member;
  }

  /** Is it open, so that the application may send? */
  get isOpen(): boolean {
    return this.#stage === "open";
  }

  /** See {@linkcode EventStream.closed}. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** See {@linkcode EventStream.queued}. */
  get queued(): number {
    return this.#line?.queued ?? this.#early.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** See {@linkcode EventStream.send}. */
  send(event: StreamEvent): boolean {
    return this.write(encodeEvent(event));
  }

  /** Sends what is encoded already. */
  write(bytes: Uint8Array): boolean {
    if (this.#stage !== "open") return false;
    this.#isQuiet = false;
    if (this.#line === null) {
      this.#early.push(bytes);
      return false;
    }
    const more = this.#line.write(bytes);
    // In an update nobody can read: that is not the client's fault.
    if (!this.#held && this.#line.queued > this.#feed.maxQueueBytes) this.destroy();
    return more && this.isOpen;
  }

  /** A sign of life, if nothing else was sent since the last one. */
  beat(): void {
    if (this.#isQuiet && this.#line?.queued === 0) this.write(HEARTBEAT);
    this.#isQuiet = true;
  }

  /** See {@linkcode EventStream.close}. */
  close(): void {
    if (this.#stage !== "open") return;
    this.#stage = "closing";
    this.#feed.ended(this);
    this.#line?.end();
  }

  /**
   * Goes on with a connection, on which the head of the answer is sent or on its way.
   *
   * @param line the connection; the stream's from then on
   */
  begin(line: EventLine): void {
    this.#line = line;
    line.onLeft = () => this.destroy();
    line.onClosed = () => this.#gone();
    for (const bytes of this.#early) line.write(bytes);
    this.#early = [];
    if (this.#stage === "closing") line.end();
    if (this.#stage === "gone") line.destroy();
  }

  /** There will be no connection: the client has left, or wanted no more than the head. */
  giveUp(): void {
    if (this.#line === null) this.#gone();
  }

  /** See `Member.owing`. */
  get owing(): boolean {
    return this.#stage === "gone" || (this.#line?.owing ?? false);
  }

  /** See `Member.hold`. */
  hold(): void {
    this.#held = true;
    this.#line?.hold();
  }

  /** See `Member.release`. */
  release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#line?.release();
    if (this.queued > this.#feed.maxQueueBytes) this.destroy();
  }

  /** See `Member.about`. */
  about(): About {
    const { states } = this.#feed;
    const output = this.#line?.pending() ?? new Uint8Array();
    if (this.#stage !== "open") return { output, stage: "closing", version: states.version, state: null };
    return { output, stage: "open", ...states.save(this.state, () => this.#line?.peer ?? "") };
  }

  /** See `Member.take`. */
  take(): OwnedFd {
    if (this.#line === null) throw new TypeError("Cannot take an event stream along: it has no connection");
    return this.#line.take();
  }

  /** See `Member.destroy`. */
  destroy(): void {
    if (this.#stage === "open") this.#feed.ended(this);
    this.#stage = "gone";
    this.#line?.destroy();
  }

  #gone(): void {
    if (this.#stage === "open") this.#feed.ended(this);
    this.#stage = "gone";
    this.#feed.gone(this);
    this.#closed.resolve();
  }
}
