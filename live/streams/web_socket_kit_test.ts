/**
 * A WebSocket client whose bytes a test makes and reads itself, so that it can stop in the middle of a frame.
 *
 * @module
 */
import { assertEquals } from "@std/assert";

/** Milliseconds that an answer may take on a busy machine. */
const PATIENCE_MS = 30_000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What a frame is for. */
export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** A frame that the server has sent. */
export interface ServerFrame {
  /** What it is for. */
  opcode: number;
  /** Is it the last one of its message? */
  fin: boolean;
  /** Its payload. */
  payload: Uint8Array;
}

/** Bytes in a row. */
export function joined(...parts: (Uint8Array | string)[]): Uint8Array<ArrayBuffer> {
  const bytes = parts.map((part) => typeof part === "string" ? encoder.encode(part) : part);
  const all = new Uint8Array(bytes.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const part of bytes) {
    all.set(part, at);
    at += part.byteLength;
  }
  return all;
}

/** A frame of a client, masked. */
export function clientFrame(
  opcode: number,
  payload: Uint8Array | string = "",
  fin = true,
): Uint8Array<ArrayBuffer> {
  const bytes = joined(payload);
  const mask = crypto.getRandomValues(new Uint8Array(4));
  const size = bytes.byteLength;
  const head = new DataView(new ArrayBuffer(size < 126 ? 2 : size < 65_536 ? 4 : 10));
  head.setUint8(0, opcode | (fin ? 0x80 : 0));
  head.setUint8(1, 0x80 | (size < 126 ? size : size < 65_536 ? 126 : 127));
  if (size >= 65_536) head.setBigUint64(2, BigInt(size));
  else if (size >= 126) head.setUint16(2, size);
  return joined(new Uint8Array(head.buffer), mask, bytes.map((byte, at) => byte ^ mask[at & 3]!));
}

/** The payload of a close frame. */
export function closePayload(code: number, reason = ""): Uint8Array<ArrayBuffer> {
  return joined(Uint8Array.of(code >> 8, code & 255), reason);
}

/** Such a client. */
export class RawWebSocket implements Disposable {
  readonly #connection: Deno.Conn;
  #unread = new Uint8Array(0);
  #ended = false;
  /** The head of the server's answer. */
  readonly head: string;

  private constructor(connection: Deno.Conn, head: string, unread: Uint8Array<ArrayBuffer>) {
    this.#connection = connection;
    this.head = head;
    this.#unread = unread;
  }

  /**
   * Asks for a WebSocket.
   *
   * @param port where the server listens on the loopback
   * @param path what is asked for
   * @param headers more lines of the request
   * @param behind bytes that are sent in one piece with the request
   */
  static async open(
    port: number,
    path = "/",
    headers: readonly string[] = [],
    behind: Uint8Array = new Uint8Array(0),
  ): Promise<RawWebSocket> {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    connection.setNoDelay(true);
    const lines = [
      `GET ${path} HTTP/1.1`,
      "host: localhost",
      "connection: Upgrade",
      "upgrade: websocket",
      "sec-websocket-version: 13",
      "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
      ...headers,
    ];
    await writeAll(connection, joined(`${lines.join("\r\n")}\r\n\r\n`, behind));
    let bytes = new Uint8Array(0);
    for (;;) {
      const end = decoder.decode(bytes).indexOf("\r\n\r\n");
      if (end >= 0) {
        const head = decoder.decode(bytes.subarray(0, end));
        return new RawWebSocket(connection, head, bytes.slice(end + 4));
      }
      const more = await readSome(connection);
      if (more === null) throw new Error(`The connection ended after ${decoder.decode(bytes)}`);
      bytes = joined(bytes, more);
    }
  }

  /** Sends bytes as they are. */
  async send(...parts: Uint8Array[]): Promise<void> {
    await writeAll(this.#connection, joined(...parts));
  }

  /** The next frame; null when the server has ended the connection behind a whole frame. */
  async next(): Promise<ServerFrame | null> {
    for (;;) {
      const frame = this.#take();
      if (frame !== null) return frame;
      if (!await this.#more()) break;
    }
    assertEquals(this.#unread.byteLength, 0, "the connection ended in the middle of a frame");
    return null;
  }

  /** The next message as a text; control frames before it are an error. */
  async message(): Promise<string> {
    const frame = await this.next();
    assertEquals(frame?.fin, true, `${frame?.opcode}`);
    assertEquals([1, 2].includes(frame?.opcode ?? -1), true, `opcode ${frame?.opcode}`);
    return decoder.decode(frame?.payload);
  }

  /** The next frame, which closes: its code and reason. */
  async closing(): Promise<[code: number | null, reason: string]> {
    const frame = await this.next();
    assertEquals(frame?.opcode, OPCODE.close, `opcode ${frame?.opcode}: ${decoder.decode(frame?.payload)}`);
    const payload = frame?.payload ?? new Uint8Array(0);
    const code = payload.byteLength < 2 ? null : payload[0]! << 8 | payload[1]!;
    return [code, decoder.decode(payload.subarray(2))];
  }

  /** Everything that still comes until the server ends the connection. */
  async rest(): Promise<Uint8Array> {
    while (await this.#more());
    return this.#unread;
  }

  /** Says that it sends nothing more. */
  async finish(): Promise<void> {
    await (this.#connection as Deno.TcpConn).closeWrite();
  }

  /** Ends the connection. */
  [Symbol.dispose](): void {
    try {
      this.#connection.close();
    } catch {
      // It is closed already.
    }
  }

  #take(): ServerFrame | null {
    const bytes = this.#unread;
    if (bytes.byteLength < 2) return null;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const short = bytes[1]! & 0x7f;
    const start = short === 127 ? 10 : short === 126 ? 4 : 2;
    assertEquals(bytes[1]! & 0x80, 0, "a server does not mask");
    assertEquals(bytes[0]! & 0x70, 0, "no extension was agreed upon");
    if (bytes.byteLength < start) return null;
    const size = short === 127 ? Number(view.getBigUint64(2)) : short === 126 ? view.getUint16(2) : short;
    if (bytes.byteLength < start + size) return null;
    this.#unread = bytes.subarray(start + size);
    return {
      opcode: bytes[0]! & 15,
      fin: (bytes[0]! & 0x80) !== 0,
      payload: bytes.slice(start, start + size),
    };
  }

  async #more(): Promise<boolean> {
    if (this.#ended) return false;
    const bytes = await readSome(this.#connection);
    if (bytes === null) this.#ended = true;
    else this.#unread = joined(this.#unread, bytes);
    return bytes !== null;
  }
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.byteLength;) at += await connection.write(bytes.subarray(at));
}

/** Reads what comes; a server that says nothing for long is an error. */
async function readSome(connection: Deno.Conn): Promise<Uint8Array | null> {
  const buffer = new Uint8Array(65_536);
  const timer = setTimeout(() => connection.close(), PATIENCE_MS);
  try {
    const size = await connection.read(buffer);
    return size === null ? null : buffer.subarray(0, size);
  } finally {
    clearTimeout(timer);
  }
}
