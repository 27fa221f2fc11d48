/**
 * A peer that knows every byte: it sends what it is told to, in the pieces in which it is told to, and keeps everything
 * that comes, and how the connection ends.
 *
 * @module
 */
import { connect, type Socket } from "node:net";

/** Milliseconds that something may take on a busy machine. */
const PATIENCE_MS = 30_000;

/**
 * How a connection stands: `open`; `finished`, the other side has sent all that it wants to; `reset`, or another error.
 */
export type Ending = "open" | "finished" | string;

/** One connection. */
export class Peer implements Disposable {
  readonly #socket: Socket;
  #chunks: Uint8Array[] = [];
  #size = 0;
  #ending: Ending = "open";
  #change: PromiseWithResolvers<void> | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Uint8Array) => {
      this.#chunks.push(chunk);
      this.#size += chunk.byteLength;
      this.#tell();
    });
    socket.on("end", () => this.#end("finished"));
    socket.on("error", (error) => this.#end((error as { code?: string }).code ?? error.message));
  }

  /**
   * Connects to a port of the loopback, or to a unix socket.
   *
   * @throws {Error} when it is refused
   */
  static async connect(target: number | string): Promise<Peer> {
    const where = typeof target === "number" ? { host: "127.0.0.1", port: target } : { path: target };
    const socket = connect({ ...where, allowHalfOpen: true });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new Peer(socket);
  }

  /** How the connection stands. */
  get ending(): Ending {
    return this.#ending;
  }

  /** How many bytes have come. */
  get size(): number {
    return this.#size;
  }

  /** All bytes that have come, one character each. */
  get text(): string {
    const bytes = this.bytes();
    let text = "";
    for (let at = 0; at < bytes.length; at += 8192) {
      text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    }
    return text;
  }

  /** All bytes that have come. */
  bytes(): Uint8Array {
    if (this.#chunks.length > 1) {
      const all = new Uint8Array(this.#size);
      let at = 0;
      for (const chunk of this.#chunks) {
        all.set(chunk, at);
        at += chunk.byteLength;
      }
      this.#chunks = [all];
    }
    return this.#chunks[0] ?? new Uint8Array();
  }

  /** Forgets what has come. */
  forget(): void {
    this.#chunks = [];
    this.#size = 0;
  }

  /** Sends text of one byte a character, or bytes. */
  send(data: string | Uint8Array): void {
    if (data.length === 0) return;
    this.#socket.write(typeof data === "string" ? Uint8Array.from(data, (c) => c.charCodeAt(0)) : data);
  }

  /** Says that nothing more will be sent. */
  finish(): void {
    this.#socket.end();
  }

  /** Ends the connection with a reset. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** Reads nothing from the kernel until {@linkcode Peer.goOn}. */
  hold(): void {
    this.#socket.pause();
  }

  /** Reads again. */
  goOn(): void {
    this.#socket.resume();
  }

  /** Waits for something about what has come. */
  async until(what: string, condition: (peer: Peer) => boolean): Promise<void> {
    const late = Promise.withResolvers<true>();
    const timer = setTimeout(() => late.resolve(true), PATIENCE_MS);
    try {
      while (!condition(this)) {
        this.#change ??= Promise.withResolvers();
        if (await Promise.race([this.#change.promise, late.promise]) === true) {
          const had = JSON.stringify(this.text.slice(-2000));
          throw new Error(
            `Cannot wait for ${what}: not so within ${PATIENCE_MS} ms; it is ${this.#ending}, it had ${had}`,
          );
        }
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits until the other side has finished, or worse. */
  async ended(): Promise<Ending> {
    await this.until("the connection to end", () => this.#ending !== "open");
    return this.#ending;
  }

  /** Closes the connection. */
  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #end(ending: Ending): void {
    if (this.#ending === "open") this.#ending = ending;
    this.#tell();
  }

  #tell(): void {
    this.#change?.resolve();
    this.#change = null;
  }
}
