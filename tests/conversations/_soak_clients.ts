/**
 * Clients of every shape that talk to a service all the time and look at every byte that they get.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { delay } from "../../testing/mod.ts";
import { masked } from "./_http_exact.ts";
import { Peer } from "./_peer.ts";

const HOST = "host: example.org\r\n";
const GET = `GET / HTTP/1.1\r\n${HOST}\r\n`;
const POST = `POST /echo HTTP/1.1\r\n${HOST}`;
const BODY = "0123456789".repeat(30);

/** What one kind of client says again and again. */
export interface Conversation {
  /** What kind that is. */
  readonly name: string;
  /** What it sends. */
  readonly sends: string;
  /** In pieces of how many bytes, with a pause behind each; all at once if absent. */
  readonly pieces?: number;
  /** Where the first piece ends, if that is elsewhere: what is ahead of it comes at once. */
  readonly from?: number;
  /** Does it have a new connection each time? */
  readonly fresh?: boolean;
  /** Does the server end the connection? */
  readonly ends?: boolean;
  /** Does it read slowly? */
  readonly slow?: boolean;
  /** Is it silent for a while before it asks? */
  readonly silent?: boolean;
  /** How many clients of the kind there are. */
  readonly clients: number;
}

/** All kinds. `gate` is a file that is there. */
export function conversations(gate: string): readonly Conversation[] {
  const chunked = `${POST}transfer-encoding: chunked\r\n\r\n64\r\n${BODY.slice(0, 100)}\r\nc8\r\n${
    BODY.slice(100)
  }\r\n0\r\n\r\n`;
  const upload = `${POST}content-length: ${BODY.length}\r\n`;
  return [
    { name: "keep-alive", sends: GET, clients: 6 },
    { name: "new connections", sends: GET, fresh: true, clients: 3 },
    { name: "silent at first", sends: GET, fresh: true, silent: true, clients: 2 },
    {
      name: "connection: close",
      sends: GET.replace(HOST, `${HOST}connection: close\r\n`),
      ends: true,
      clients: 2,
    },
    { name: "HTTP/1.0", sends: "GET / HTTP/1.0\r\n\r\n", ends: true, clients: 1 },
    { name: "HTTP/1.0 keep-alive", sends: "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", clients: 1 },
    { name: "pipelined", sends: GET + GET + GET, clients: 2 },
    { name: "pipelined, cut", sends: GET + GET + GET, pieces: 45, clients: 2 },
    {
      name: "uploads in a row, cut",
      sends: [GET, `${upload}\r\n${BODY}`, GET, `${upload}\r\n${BODY}`].join(""),
      pieces: 59,
      clients: 2,
    },
    { name: "heads in pieces", sends: GET, pieces: 7, clients: 3 },
    { name: "slow uploads", sends: `${upload}\r\n${BODY}`, pieces: 25, from: 80, clients: 2 },
    { name: "chunked uploads", sends: chunked, pieces: 40, clients: 1 },
    { name: "100-continue", sends: `${upload}expect: 100-continue\r\n\r\n${BODY}`, pieces: 110, clients: 1 },
    { name: "chunked answers", sends: `GET /halves?file=${gate} HTTP/1.1\r\n${HOST}\r\n`, clients: 1 },
    {
      name: "no bodies",
      sends: ["HEAD /", "GET /204", "GET /304"].map((ask) => `${ask} HTTP/1.1\r\n${HOST}\r\n`).join(""),
      clients: 1,
    },
    { name: "slow downloads", sends: `GET /big HTTP/1.1\r\n${HOST}\r\n`, slow: true, clients: 1 },
  ];
}

/** What became of the clients of one kind. */
export interface ClientReport {
  /** Which kind. */
  readonly name: string;
  /** Whole conversations without a fault. */
  done: number;
  /** Connections. */
  connections: number;
  /** Bytes that were compared. */
  bytes: number;
  /** The longest conversation, in milliseconds. */
  longestMs: number;
  /** What went wrong. */
  readonly failures: string[];
}

/** Milliseconds between two pieces, and between two conversations of a client. */
const PIECE_MS = 4;
const REST_MS = 12;

/** Milliseconds of silence, and of not reading. */
const SLOW_MS = 40;

/** The clients of one kind. */
export class Clients {
  /** What became of them so far. */
  readonly report: ClientReport;
  readonly #conversation: Conversation;
  readonly #target: number | string;
  readonly #wanted: Uint8Array;
  #stopped = false;

  /**
   * @param conversation what they say
   * @param target whom to
   * @param wanted what has to come for it, masked
   */
  constructor(conversation: Conversation, target: number | string, wanted: string) {
    this.report = {
      name: conversation.name,
      done: 0,
      connections: 0,
      bytes: 0,
      longestMs: 0,
      failures: [],
    };
    this.#conversation = conversation;
    this.#target = target;
    this.#wanted = Uint8Array.from(wanted, (c) => c.charCodeAt(0));
  }

  /** Talks until it is stopped. Never rejects: what goes wrong is in the report. */
  async run(): Promise<void> {
    await Promise.all(Array.from({ length: this.#conversation.clients }, () => this.#client()));
  }

  /** Lets each come to the end of what it is saying. */
  stop(): void {
    this.#stopped = true;
  }

  async #client(): Promise<void> {
    const { fresh, ends } = this.#conversation;
    let peer: Peer | null = null;
    try {
      while (!this.#stopped) {
        const began = performance.now();
        try {
          if (peer === null) {
            peer = await Peer.connect(this.#target);
            this.report.connections++;
          }
          await this.#talk(peer);
          this.report.done++;
          this.report.longestMs = Math.max(this.report.longestMs, performance.now() - began);
        } catch (error) {
          this.report.failures.push(error instanceof Error ? error.message : String(error));
          peer?.[Symbol.dispose]();
          peer = null;
        }
        if (fresh || ends) {
          peer?.[Symbol.dispose]();
          peer = null;
        }
        await delay(REST_MS);
      }
    } finally {
      peer?.[Symbol.dispose]();
    }
  }

  async #talk(peer: Peer): Promise<void> {
    const { sends, pieces = sends.length, from = 0, ends, slow, silent } = this.#conversation;
    peer.forget();
    if (silent) await delay(SLOW_MS);
    if (slow) peer.hold();
    peer.send(sends.slice(0, from));
    for (let at = from; at < sends.length; at += pieces) {
      if (at > from) await delay(PIECE_MS);
      peer.send(sends.slice(at, at + pieces));
    }
    if (slow) {
      await delay(SLOW_MS);
      peer.goOn();
    }
    const { length } = this.#wanted;
    await peer.until("a whole answer", ({ size, ending }) => size >= length || ending !== "open");
    if (ends) await peer.ended();
    this.#compare(peer);
    if (peer.ending !== (ends ? "finished" : "open")) throw new Error(`Connection ${peer.ending}`);
  }

  #compare(peer: Peer): void {
    const bytes = peer.bytes();
    const wanted = this.#wanted;
    this.report.bytes += bytes.length;
    // The heads, in which something may differ, are at the beginning.
    const mixed = 4096;
    const start = masked(String.fromCharCode(...bytes.subarray(0, mixed)));
    let at = 0;
    while (at < start.length && start.charCodeAt(at) === wanted[at]) at++;
    if (at === start.length) {
      if (Buffer.compare(bytes.subarray(mixed), wanted.subarray(mixed)) === 0) return;
      while (at < bytes.length && bytes[at] === wanted[at]) at++;
    }
    const came = String.fromCharCode(...bytes.subarray(Math.max(0, at - 20), at + 120));
    throw new Error(
      `Wrong byte ${at} of ${wanted.length}, ${bytes.length} came, ${peer.ending}: ${JSON.stringify(came)}`,
    );
  }
}
