/**
 * The opening handshake of WebSockets, by the `ws` package: with a client that asks for one, and once more, unheard, with a
 * connection that was handed over. So the package makes all WebSockets in the same way, by its public interface, and
 * nothing has to be known of their inside.
 *
 * Happy path: {@linkcode Handshakes.answer} a request; {@linkcode Handshakes.repeat} for a connection of the previous build.
 *
 * Unhappy path: a request that is no proper one: the package answers with 400 or 405 and ends the connection.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import process from "node:process";
import type { Duplex } from "node:stream";

import {
  carriedClass,
  type CarriedWebSocket,
  type PackageServer,
  packageServer,
  type UpgradeRequest,
  type WebSocketPackage,
} from "./ws_package.ts";

/** What goes out with an opening handshake. */
export interface WebSocketInit {
  /** More headers for the answer. */
  headers?: Headers | Record<string, string> | [string, string][];
  /**
   * The protocol to be spoken, chosen if the client offers it.
   *
   * @default {the first that the client offers}
   */
  protocol?: string;
}

/** What cannot stand in a header that is written here: names are tokens, values have no control characters. */
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// deno-lint-ignore no-control-regex
const CONTROL_CHARACTER = /[\0-\x08\x0a-\x1f\x7f]/;

/** These are the handshake's own. */
const RESERVED = /^(connection|upgrade|content-length|transfer-encoding|sec-websocket-.*)$/i;

/** The name of a protocol crosses an update, so it has an end. */
const LONGEST_PROTOCOL = 128;

const NOTHING = Buffer.alloc(0);

/** Makes the WebSockets of one channel. */
export class Handshakes {
  readonly #server: PackageServer;
  readonly #streams = new WeakMap<CarriedWebSocket, Duplex>();
  /** What the handshake that is under way shall say; they are synchronous. */
  #init: WebSocketInit = {};

  /**
   * @param ws the `ws` package
   * @param maxPayload the longest message in bytes; the package's own limit if absent
   * @throws {TypeError} if it is not the `ws` package
   */
  constructor(ws: WebSocketPackage, maxPayload?: number) {
    this.#server = packageServer(ws, {
      noServer: true,
      perMessageDeflate: false,
      clientTracking: false,
      allowSynchronousEvents: true,
      WebSocket: carriedClass(ws, (socket) => this.#streams.get(socket)?.writableLength ?? 0),
      handleProtocols: (offered) => this.#choose(offered),
      ...(maxPayload === undefined ? {} : { maxPayload }),
    });
    this.#server.on("headers", (lines) => lines.push(...headerLines(this.#init)));
  }

  /**
   * Answers a client.
   *
   * @param req its request
   * @param stream its connection
   * @param head what came behind the request
   * @param init what goes out with the answer
   * @returns the WebSocket, or null if there is none: then the client was told why, and the connection ends
   */
  answer(req: UpgradeRequest, stream: Duplex, head: Buffer, init: WebSocketInit): CarriedWebSocket | null {
    this.#init = init;
    try {
      return this.#handle(req, stream, head);
    } finally {
      this.#init = {};
    }
  }

  /**
   * Makes the WebSocket of a connection whose handshake the previous build has held. Nothing is sent.
   *
   * @param stream the connection
   * @param protocol the protocol that was chosen, or an empty text
   */
  repeat(stream: Duplex, protocol: string): CarriedWebSocket {
    const headers = {
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
      ...(protocol === "" ? {} : { "sec-websocket-protocol": protocol }),
    };
    const socket = unheard(stream, () => this.#handle({ method: "GET", headers }, stream, NOTHING));
    if (socket === null) {
      throw new TypeError("Cannot go on with a WebSocket: the ws package does not take it");
    }
    return socket;
  }

  #handle(req: UpgradeRequest, stream: Duplex, head: Buffer): CarriedWebSocket | null {
    let made: CarriedWebSocket | null = null;
    this.#server.handleUpgrade(req, stream, head, (socket) => made = socket);
    if (made !== null) this.#streams.set(made, stream);
    return made;
  }

  #choose(offered: Set<string>): string | false {
    const { protocol } = this.#init;
    if (protocol !== undefined) return offered.has(protocol) && protocol;
    return [...offered].find(({ length }) => length <= LONGEST_PROTOCOL) ?? false;
  }
}

/**
 * Does something during which nothing that is written to a stream is sent: it was, by the previous build.
 *
 * @param stream the stream
 * @param action what writes to it
 * @returns what it gives
 */
export function unheard<T>(stream: Duplex, action: () => T): T {
  const swallow = (...args: unknown[]): boolean => {
    const done = args.find((arg) => typeof arg === "function");
    if (done !== undefined) process.nextTick(done as () => void);
    return true;
  };
  // An own property shadows the method of the class.
  Object.defineProperty(stream, "write", { value: swallow, configurable: true, writable: true });
  try {
    return action();
  } finally {
    Reflect.deleteProperty(stream, "write");
  }
}

/**
 * Looks at what is to go out with a handshake, before the client waits for it.
 *
 * @param init as the application gives it
 * @throws {TypeError} for a header that cannot be sent, or is the handshake's own; for a protocol that is too long
 */
export function checkInit(init: WebSocketInit): void {
  headerLines(init);
  if ((init.protocol?.length ?? 0) <= LONGEST_PROTOCOL) return;
  throw new TypeError(`Cannot open a WebSocket: a protocol has at most ${LONGEST_PROTOCOL} characters`);
}

function headerLines({ headers = [] }: WebSocketInit): string[] {
  const pairs = headers instanceof Headers || Array.isArray(headers) ? [...headers] : Object.entries(headers);
  return pairs.map(([name, value]) => {
    if (!HEADER_NAME.test(name) || CONTROL_CHARACTER.test(value) || RESERVED.test(name)) {
      throw new TypeError(`Cannot open a WebSocket: header ${JSON.stringify(name)} cannot be sent with it`);
    }
    return `${name}: ${value}`;
  });
}
