/**
 * The places where this folder looks behind `node:http` of the runtime: the handle of a socket with its descriptor, its
 * parser, and the response it is occupied with. No public interface
 * tells whether a connection stands between two messages, and it may cross an exec only then. Nothing else in the project
 * looks there, but `runtime_answer.ts` and `runtime_list.ts` beside it.
 *
 * Happy path: {@linkcode runtimeFault} gives null, as with Deno 2.9; the other functions read what they name.
 *
 * Unhappy paths:
 * 1. A runtime that keeps its responses elsewhere: {@linkcode runtimeFault} says so before the first connection.
 * 2. A socket without such a handle or parser (TLS, a stream made by hand): null. Such a connection is never carried.
 *
 * @module
 */

import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";

/** Index of the parser's callback for the first byte of a message (llhttp's `on_message_begin`). */
export const MESSAGE_BEGIN = 0;

/** Index of the parser's callback for the end of a message (llhttp's `on_message_complete`). */
export const MESSAGE_COMPLETE = 4;

/** The native half of a socket. */
export interface StreamHandle {
  /** What the stream above wants; it stays as it is while a tap is closed. */
  reading: boolean;
  /** Starts to read from the kernel; 0 or a negative error number. */
  readStart(): number;
  /** Stops it, at once and also from within a read. */
  readStop(): number;
  /** A fresh duplicate of the descriptor, close-on-exec; -1 if there is none. */
  fdForIpc(): number;
  /** How many bytes were read from the kernel so far. */
  getBytesRead(): number;
  /** Reads into this buffer from now on. */
  useUserBuffer?(buffer: Uint8Array): void;
}

/** A parser of requests. The runtime keeps a pool of them, so one parser serves many sockets in its life. */
export interface RequestParser {
  /** The socket it serves now. */
  socket: Socket | null;
  /** The message that it reads, or has read last. */
  incoming?: IncomingMessage | null;
  /** Set anew for each connection. */
  [MESSAGE_BEGIN]: (() => unknown) | null;
  /** Set once in the life of a parser. */
  [MESSAGE_COMPLETE]: (() => unknown) | null;
  /** Parses what JavaScript has read. */
  execute(chunk: Uint8Array): unknown;
  /** Leaves the reading to JavaScript from now on; also in the middle of a message. */
  unconsume(): void;
  /** The native half. */
  _native?: { getLastBytesParsed?(): number };
}

/** The buffer that a connection reads into. */
export interface ReadBuffer {
  /** A copy of what was read last. */
  lastChunk(): Uint8Array;
}

/** Size of the buffer of a connection; only what was written to takes memory. */
const READ_BUFFER_BYTES = 16 * 1024;

/** A socket as `node:http` sees it. */
interface InnerSocket {
  _handle?: Partial<StreamHandle> | null;
  _parent?: Socket | null;
  parser?: Partial<RequestParser> | null;
  _httpMessage?: ServerResponse | null;
}

/**
 * The native handle of a connected socket.
 *
 * @param socket any socket
 * @returns its handle, or null if it has none that can be stopped and duplicated
 */
export function handleOf(socket: Socket): StreamHandle | null {
  const handle = (socket as unknown as InnerSocket)._handle;
  if (typeof handle?.readStart !== "function" || typeof handle.readStop !== "function") return null;
  return typeof handle.fdForIpc === "function" ? handle as StreamHandle : null;
}

/**
 * The socket underneath one that speaks TLS.
 *
 * @param socket any socket
 * @returns the socket that has the descriptor: this one itself where nothing is underneath
 */
export function bottomOf(socket: Socket): Socket {
  return (socket as unknown as InnerSocket)._parent ?? socket;
}

/**
 * The parser that reads a socket of a `node:http` server. It is taken away when the connection is upgraded, fails or
 * closes.
 *
 * @param socket a socket that a server was given
 * @returns its parser, or null if there is none with the expected callbacks
 */
export function parserOf(socket: Socket): RequestParser | null {
  const parser = (socket as unknown as InnerSocket).parser;
  if (typeof parser?.[MESSAGE_BEGIN] !== "function") return null;
  return typeof parser[MESSAGE_COMPLETE] === "function" ? parser as RequestParser : null;
}

/**
 * The response that a socket is occupied with, from its request on until its last byte is in the kernel. Of several
 * pipelined requests it is the first one's.
 *
 * @param socket a socket of a `node:http` server
 * @returns the response, or null
 */
export function answerOf(socket: Socket): ServerResponse | null {
  return (socket as unknown as InnerSocket)._httpMessage ?? null;
}

/** Keys under which the runtime keeps the buffer of a socket that reads into one (`onread` of `net.Socket`). */
interface BufferKeys {
  buffer: symbol;
  callback: symbol;
}

let bufferKeys: BufferKeys | null | undefined;

/**
 * Lets a connection read into a buffer of its own, natively as well as by hand.
 *
 * @param socket a connection that was just accepted
 * @param handle its handle
 * @param parser its parser
 * @returns the buffer, or null where this runtime has none
 */
export function readBufferOf(
  socket: Socket,
  handle: StreamHandle,
  parser: RequestParser,
): ReadBuffer | null {
  bufferKeys = bufferKeys === undefined ? findBufferKeys(socket) : bufferKeys;
  const native = parser._native;
  if (bufferKeys === null || typeof handle.useUserBuffer !== "function") return null;
  if (typeof parser.unconsume !== "function" || typeof native?.getLastBytesParsed !== "function") return null;
  const buffer = new Uint8Array(READ_BUFFER_BYTES);
  handle.useUserBuffer(buffer);
  Object.assign(socket, {
    [bufferKeys.buffer]: buffer,
    // Called once the parser has left the reading to JavaScript. The next read writes over the buffer: hence the copy.
    [bufferKeys.callback]: (count: number) => socket.push(buffer.slice(0, count)),
  });
  return { lastChunk: () => buffer.slice(0, native.getLastBytesParsed?.() ?? 0) };
}

function findBufferKeys(socket: Socket): BufferKeys | null {
  const keys = Object.getOwnPropertySymbols(socket);
  const buffer = keys.find(({ description }) => description === "kBuffer");
  const callback = keys.find(({ description }) => description === "kBufferCb");
  return buffer === undefined || callback === undefined ? null : { buffer, callback };
}

/**
 * In how many messages do these bytes begin?
 *
 * @param parser any parser of the runtime; another one of its kind is made for this
 * @param bytes whole messages, and the beginning of one more
 * @returns the number, or null where that cannot be found out
 */
export function countBegins(parser: RequestParser, bytes: Uint8Array): number | null {
  try {
    const kind = parser.constructor as { new (): RequestParser & Record<string, unknown>; REQUEST?: number };
    const other = new kind();
    (other["initialize"] as (type: number, resource: object) => void)(kind.REQUEST ?? 1, {});
    let count = 0;
    other[MESSAGE_BEGIN] = () => void count++;
    other.execute(bytes);
    return count;
  } catch {
    return null;
  }
}

/**
 * Says of a request without a body that nobody reads it: the runtime then spares itself the reading to its end.
 *
 * @param incoming a request that has neither a length nor an encoding, of which nothing was read yet
 */
export function closeUnread(incoming: IncomingMessage): void {
  (incoming as { _dumpAndCloseReadable?(): void })._dumpAndCloseReadable?.();
}

let fault: string | null | undefined;

/**
 * Does this runtime keep the response of a socket where {@linkcode answerOf} looks? Tried once, on a socket that is not
 * connected.
 *
 * @returns null, or what is wrong
 */
export function runtimeFault(): string | null {
  if (fault === undefined) {
    const socket = new Socket();
    const response = new ServerResponse(new IncomingMessage(socket));
    response.assignSocket(socket);
    const assigned = answerOf(socket) === response;
    response.detachSocket(socket);
    fault = assigned && answerOf(socket) === null
      ? null
      : "this runtime's node:http does not show which response a socket is occupied with";
  }
  return fault;
}
