/**
 * What a stream needs in order to pass for a `net.Socket`: addresses, options, the time of silence. Reading and writing is
 * the business of who extends it.
 *
 * @module
 */
import type { Socket } from "node:net";
import { Duplex, type DuplexOptions } from "node:stream";
import { clearTimeout, setTimeout } from "node:timers";

/** A stream that looks like a socket. */
export class SocketLook extends Duplex {
  /** The socket underneath. */
  protected readonly socket: Socket;
  #idleMs = 0;
  #idle: ReturnType<typeof setTimeout> | null = null;
  /** A connection is never being made here. */
  readonly connecting: boolean = false;

  /**
   * @param socket the socket underneath
   * @param options as for any stream
   */
  constructor(socket: Socket, options: DuplexOptions) {
    super(options);
    this.socket = socket;
  }

  /** The address of the other end. */
  get remoteAddress(): string | undefined {
    return this.socket.remoteAddress;
  }

  /** The port of the other end. */
  get remotePort(): number | undefined {
    return this.socket.remotePort;
  }

  /** `IPv4` or `IPv6`. */
  get remoteFamily(): string | undefined {
    return this.socket.remoteFamily;
  }

  /** The address of this end. */
  get localAddress(): string | undefined {
    return this.socket.localAddress;
  }

  /** The port of this end. */
  get localPort(): number | undefined {
    return this.socket.localPort;
  }

  /** Sends small pieces at once, or gathers them (`TCP_NODELAY`). */
  setNoDelay(noDelay = true): this {
    this.socket.setNoDelay(noDelay);
    return this;
  }

  /** Asks a silent peer whether it is still there (`SO_KEEPALIVE`). */
  setKeepAlive(enable = false, initialDelay = 0): this {
    this.socket.setKeepAlive(enable, initialDelay);
    return this;
  }

  /**
   * Emits `timeout` when nothing was read or written for a while.
   *
   * @param milliseconds how long; 0 for ever
   * @param callback a listener for one `timeout`
   */
  setTimeout(milliseconds: number, callback?: () => void): this {
    if (callback !== undefined) {
      if (milliseconds > 0) this.once("timeout", callback);
      else this.off("timeout", callback);
    }
    this.#idleMs = milliseconds;
    this.rest();
    this.touch();
    return this;
  }

  /** Keeps the process alive. */
  ref(): this {
    this.socket.ref();
    return this;
  }

  /** Lets the process end. */
  unref(): this {
    this.socket.unref();
    return this;
  }

  /** Ends the connection when all that was written is sent. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }

  /** Something was read or written: the time of silence begins anew. */
  protected touch(): void {
    if (this.#idle !== null) return void this.#idle.refresh();
    if (this.#idleMs <= 0 || this.destroyed) return;
    this.#idle = setTimeout(() => this.emit("timeout"), this.#idleMs);
    this.#idle.unref();
  }

  /** Silence does not count, until the next {@linkcode SocketLook.touch}. */
  protected rest(): void {
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = null;
  }
}
