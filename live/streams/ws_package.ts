/**
 * The `ws` package as it is used here: its public interface only, structurally typed, because the application brings its
 * own copy and version.
 *
 * Happy path: `import * as ws from "npm:ws@8"`, and {@linkcode carriedClass} makes a WebSocket of it that knows what it has
 * said.
 *
 * Unhappy path: something else was given: {@linkcode carriedClass} throws a `TypeError`.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

/** What can be sent. */
export type WebSocketData = string | Uint8Array | ArrayBuffer | Blob;

/** How a message is sent. */
export interface WebSocketSendOptions {
  /** As a binary message? By default if it is no string. */
  binary?: boolean;
  /** Is this the end of the message? By default yes. */
  fin?: boolean;
}

/** What can be heard of a WebSocket. */
export interface WebSocketEvents {
  /** A message has come. */
  message: (data: Buffer, isBinary: boolean) => void;
  /** It is closed, with what the other end has said, or 1006. */
  close: (code: number, reason: Buffer) => void;
  /** The other end does not keep to the protocol. */
  error: (error: Error) => void;
  /** A ping has come; it is answered already. */
  ping: (data: Buffer) => void;
  /** A pong has come. */
  pong: (data: Buffer) => void;
}

/** A WebSocket of the `ws` package, as far as its types are known here. */
export interface WebSocketLike {
  /** 1 open, 2 closing, 3 closed. */
  readonly readyState: number;
  /** The protocol that was chosen, or an empty text. */
  readonly protocol: string;
  /** Bytes that are not on their way yet. */
  readonly bufferedAmount: number;
  /** Does nobody read, because the application wants it so? */
  readonly isPaused: boolean;
  /** In which form binary messages come. */
  binaryType: string;
  /** Sends a message. */
  send(data: WebSocketData, callback?: (error?: Error | null) => void): void;
  /** Sends a message, or a part of one. */
  send(
    data: WebSocketData,
    options: WebSocketSendOptions,
    callback?: (error?: Error | null) => void,
  ): void;
  /** Begins to close. */
  close(code?: number, reason?: string | Uint8Array): void;
  /** Ends it at once. */
  terminate(): void;
  /** Asks for a pong. */
  ping(data?: string | Uint8Array): void;
  /** Reads nothing for now. */
  pause(): void;
  /** Reads again. */
  resume(): void;
  /** Listens. */
  on<K extends keyof WebSocketEvents>(event: K, listener: WebSocketEvents[K]): this;
  /** Listens once. */
  once<K extends keyof WebSocketEvents>(event: K, listener: WebSocketEvents[K]): this;
  /** Listens no longer. */
  off<K extends keyof WebSocketEvents>(event: K, listener: WebSocketEvents[K]): this;
}

/** The `ws` package: `import * as ws from "npm:ws@8"`. */
export interface WebSocketPackage {
  /** Its class of WebSockets. */
  readonly WebSocket: abstract new (...args: never[]) => object;
  /** Its class of servers. */
  readonly WebSocketServer: abstract new (...args: never[]) => object;
}

/** What a handshake needs to know of a request. */
export type UpgradeRequest = Pick<IncomingMessage, "method" | "headers">;

/** A server of the package. */
export interface PackageServer {
  /** Listens to what goes out with a handshake, and may change it. */
  on(event: "headers", listener: (lines: string[]) => void): void;
  /** Answers a request for a WebSocket. */
  handleUpgrade(
    req: UpgradeRequest,
    socket: Duplex,
    head: Buffer,
    done: (socket: CarriedWebSocket) => void,
  ): void;
}

/** What a server of the package is made with. */
export interface PackageServerOptions {
  /** It has no listener of its own. */
  noServer: true;
  /** Nothing is compressed: the state of a compressor cannot be carried. */
  perMessageDeflate: false;
  /** It keeps no list of its WebSockets. */
  clientTracking: false;
  /** Several messages of a chunk come in one turn, so that none is on its way at a freeze. */
  allowSynchronousEvents: true;
  /** The class of the WebSockets that it makes. */
  WebSocket: CarriedClass;
  /** Chooses a protocol of those that the client offers. */
  handleProtocols(offered: Set<string>): string | false;
  /** The longest message in bytes. */
  maxPayload?: number;
}

/** A WebSocket that knows what it has said. */
export interface CarriedWebSocket extends WebSocketLike {
  /** Did it say that it closes? */
  readonly saidClose: boolean;
  /** Has it begun a message that is not in the socket's hands as a whole? */
  readonly inMessage: boolean;
}

/** A class of such WebSockets. */
export type CarriedClass = new (address: null, protocols: undefined, options: object) => CarriedWebSocket;

/** What of the package's own class is extended. */
interface BaseSocket extends WebSocketLike {
  get bufferedAmount(): number;
  send(data: WebSocketData, ...rest: unknown[]): void;
}

const OPEN = 1;

/**
 * Makes a server of the package.
 *
 * @param ws the package
 * @param options what it is made with
 * @throws {TypeError} if it is not the `ws` package
 */
export function packageServer(ws: WebSocketPackage, options: PackageServerOptions): PackageServer {
  const Server = ws.WebSocketServer as unknown as new (options: PackageServerOptions) => PackageServer;
  const server = new Server(options);
  if (typeof server.handleUpgrade !== "function") throw notThePackage();
  return server;
}

/**
 * Extends the package's class: its WebSockets know what they have said.
 *
 * @param ws the package
 * @param queued how many bytes wait in the stream that a WebSocket speaks through
 * @throws {TypeError} if it is not the `ws` package
 */
export function carriedClass(
  ws: WebSocketPackage,
  queued: (socket: CarriedWebSocket) => number,
): CarriedClass {
  if (typeof ws?.WebSocket !== "function" || typeof ws.WebSocketServer !== "function") throw notThePackage();
  const Base = ws.WebSocket as unknown as new (
    address: null,
    protocols: undefined,
    options: object,
  ) => BaseSocket;
  return class extends Base implements CarriedWebSocket {
    #saidClose = false;
    #closeWaits = false;
    #fragment = false;

    get saidClose(): boolean {
      return this.#saidClose;
    }

    get inMessage(): boolean {
      // A `Blob` is read before it is sent, and what was sent behind it waits for it.
      return this.#fragment || this.#closeWaits || (this.readyState === OPEN && super.bufferedAmount > 0);
    }

    override get bufferedAmount(): number {
      return super.bufferedAmount + queued(this);
    }

    override close(code?: number, reason?: string | Uint8Array): void {
      const wasOpen = this.readyState === OPEN;
      const waits = super.bufferedAmount > 0;
      super.close(code, reason);
      if (!wasOpen || this.readyState === OPEN) return;
      this.#saidClose = true;
      this.#closeWaits = waits;
    }

    override send(data: WebSocketData, ...rest: unknown[]): void {
      super.send(data, ...rest);
      const [options] = rest as [WebSocketSendOptions?];
      this.#fragment = options?.fin === false;
    }
  };
}

function notThePackage(): TypeError {
  return new TypeError('Cannot use WebSockets: this is not the ws package (import * as ws from "npm:ws@8")');
}
