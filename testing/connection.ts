/**
 * One raw client connection that says why it ended. A request and its answer go over it with
 * {@linkcode ClientConnection.exchange}; whatever goes wrong is a {@linkcode ConnectionFault} with a reason from a closed
 * list, so that a load generator can count it. The connection is read all the time, so that a close or a reset is seen
 * when it happens and not at the next request.
 *
 * @module
 */

import { type HttpAnswer, ResponseParser } from "./http_response.ts";

/** Where to connect to: TCP, or a unix socket by its path. */
export type ConnectTarget = { readonly hostname: string; readonly port: number } | { readonly unix: string };

/**
 * Why a request or a connection failed. `refused`: nobody listens. `connect`: another reason not to connect. `closed`:
 * the other side closed. `reset`: it reset the connection. `timeout`: no answer in time. `malformed`: the answer is not
 * HTTP/1.1. `unsolicited`: bytes came that no request asked for.
 */
export type FaultReason =
  | "refused"
  | "connect"
  | "closed"
  | "reset"
  | "timeout"
  | "malformed"
  | "unsolicited";

/** A failure of a connection, told by its reason. */
export class ConnectionFault extends Error {
  /** The name of the class. */
  override readonly name = "ConnectionFault";
  /** Why. */
  readonly reason: FaultReason;

  /**
   * Makes a fault.
   *
   * @param reason Why.
   * @param message The details, in words.
   * @param options The error behind it.
   */
  constructor(reason: FaultReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** The request under way. */
interface Exchange {
  readonly resolve: (answer: HttpAnswer) => void;
  readonly reject: (fault: ConnectionFault) => void;
}

/** A client's connection; one request at a time. */
export class ClientConnection implements Disposable {
  readonly #conn: Deno.Conn;
  readonly #parser = new ResponseParser();
  #exchange: Exchange | null = null;
  #fault: ConnectionFault | null = null;
  #disposed = false;

  /** Called when the connection ends by itself while no request is under way. Must not throw. */
  onEnd: ((fault: ConnectionFault) => void) | null = null;

  private constructor(conn: Deno.Conn) {
    this.#conn = conn;
    // Never rejects: what goes wrong becomes the fault.
    void this.#read();
  }

  /**
   * Connects.
   *
   * @param target Where to.
   * @param options How long to try, in milliseconds, and a signal to give up at once.
   * @returns The connection, owned by the caller.
   * @throws {ConnectionFault} `refused`, `timeout` or `connect`.
   */
  static async open(
    target: ConnectTarget,
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<ClientConnection> {
    return new ClientConnection(await connect(target, options));
  }

  /** Why the connection ended, null while it is open. */
  get fault(): ConnectionFault | null {
    return this.#fault;
  }

  /**
   * Sends a request and waits for the answer.
   *
   * @param request The bytes of the request.
   * @param timeoutMs How long to wait, in milliseconds. A connection that did not answer in time is closed.
   * @returns The answer, complete.
   * @throws {ConnectionFault} If there is none, and the connection has then ended.
   */
  async exchange(request: Uint8Array, timeoutMs: number): Promise<HttpAnswer> {
    if (this.#fault !== null) throw this.#fault;
    if (this.#exchange !== null) throw new TypeError("Cannot send a request: another one is under way");
    const timer = setTimeout(
      () => this.#fail(new ConnectionFault("timeout", `No answer within ${timeoutMs} ms${this.#progress()}`)),
      timeoutMs,
    );
    try {
      return await new Promise<HttpAnswer>((resolve, reject) => {
        this.#exchange = { resolve, reject };
        void this.#write(request);
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the connection. A request under way fails as `closed`; nothing else is reported. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#fail(new ConnectionFault("closed", "Closed by the client"));
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
    } catch (error) {
      this.#fail(this.#explain(error));
    }
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(16 * 1024);
    try {
      for (;;) {
        const size = await this.#conn.read(buffer);
        if (size === null) break;
        this.#parser.push(buffer.subarray(0, size));
        this.#deliver();
      }
      this.#parser.end();
      this.#deliver();
      this.#fail(new ConnectionFault("closed", `Closed by the server${this.#progress()}`));
    } catch (error) {
      this.#fail(this.#explain(error));
    }
  }

  #deliver(): void {
    for (let answer = this.#parser.next(); answer !== undefined; answer = this.#parser.next()) {
      const exchange = this.#exchange;
      if (exchange === null) {
        throw new ConnectionFault("unsolicited", `An answer ${answer.status} came that no request asked for`);
      }
      this.#exchange = null;
      exchange.resolve(answer);
    }
    if (this.#exchange === null && this.#parser.partial) {
      throw new ConnectionFault("unsolicited", "Bytes came that no request asked for");
    }
  }

  /** Ends the connection for a reason, the first one counts. */
  #fail(fault: ConnectionFault): void {
    if (this.#fault !== null) return;
    this.#fault = fault;
    try {
      this.#conn.close();
    } catch {
      // Already closed: what counts is the fault.
    }
    const exchange = this.#exchange;
    this.#exchange = null;
    if (exchange !== null) exchange.reject(fault);
    else if (!this.#disposed) this.onEnd?.(fault);
  }

  #explain(error: unknown): ConnectionFault {
    if (error instanceof ConnectionFault) return error;
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof SyntaxError) return new ConnectionFault("malformed", message, { cause: error });
    return new ConnectionFault("reset", `${message}${this.#progress()}`, { cause: error });
  }

  #progress(): string {
    return this.#parser.partial
      ? ", in the middle of an answer"
      : this.#exchange
      ? ", with a request unanswered"
      : "";
  }
}

/** Connects, and gives up in time: a SYN that is dropped is sent again for minutes. */
async function connect(
  target: ConnectTarget,
  options: { timeoutMs: number; signal?: AbortSignal },
): Promise<Deno.Conn> {
  const { timeoutMs, signal } = options;
  const connecting: Promise<Deno.Conn> = "unix" in target
    ? Deno.connect({ transport: "unix", path: target.unix })
    : connectTcp(target.hostname, target.port);
  const late = Promise.withResolvers<never>();
  const giveUp = (message: string): void => {
    // One that comes after all must not stay open.
    connecting.then((conn) => conn.close(), () => {});
    late.reject(new ConnectionFault("timeout", message));
  };
  const abort = (): void => giveUp("Given up before it was connected");
  const timer = setTimeout(() => giveUp(`Not connected within ${timeoutMs} ms`), timeoutMs);
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  try {
    return await Promise.race([connecting, late.promise]);
  } catch (error) {
    throw error instanceof ConnectionFault ? error : explainConnect(error);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

async function connectTcp(hostname: string, port: number): Promise<Deno.Conn> {
  const conn = await Deno.connect({ hostname, port });
  try {
    conn.setNoDelay(true);
    return conn;
  } catch (error) {
    conn.close();
    throw error;
  }
}

function explainConnect(error: unknown): ConnectionFault {
  const message = error instanceof Error ? error.message : String(error);
  // A unix socket whose path is gone has nobody listening, just as a closed port has not.
  const refused = error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.NotFound;
  return new ConnectionFault(refused ? "refused" : "connect", message, { cause: error });
}
