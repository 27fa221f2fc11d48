/**
 * The client of the control socket.
 *
 * Happy path: one request, one connection, one JSON document.
 *
 * Unhappy paths: nobody serves that socket: {@linkcode NoServiceError}; no answer in time: {@linkcode NoAnswerError}; the
 * service refuses: {@linkcode ControlError} with its code and message. A connection that breaks, as it may in the middle of
 * an update, is a {@linkcode BrokenConnectionError}: who waits for a verdict asks again.
 *
 * @module
 */
import { request } from "node:http";

/** Nobody serves the socket. */
export class NoServiceError extends Error {
  override readonly name = "NoServiceError";
}

/** The service did not answer in time. */
export class NoAnswerError extends Error {
  override readonly name = "NoAnswerError";
}

/** The service left before it had answered. */
export class BrokenConnectionError extends Error {
  override readonly name = "BrokenConnectionError";
}

/** The service refused. */
export class ControlError extends Error {
  override readonly name = "ControlError";
  /** Status of the answer. */
  readonly status: number;
  /** Name of the errno. */
  readonly code: string;

  /** The service's own words. */
  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** System errors that say that nobody is there. */
const NOBODY = ["ENOENT", "ECONNREFUSED", "ENOTSOCK", "ENOTDIR", "EPROTOTYPE"];

/** System errors that say that somebody was there. */
const BROKEN = ["ECONNRESET", "EPIPE"];

/** Asks a service. */
export class ControlClient {
  /** Path of the socket. */
  readonly socket: string;
  readonly #timeoutMs: number;

  /**
   * @param socket path of the control socket
   * @param options how long to wait for an answer, in milliseconds
   */
  constructor(socket: string, options: { timeoutMs: number }) {
    this.socket = socket;
    this.#timeoutMs = options.timeoutMs;
  }

  /** Asks for a document. */
  async get(path: string): Promise<unknown> {
    return JSON.parse(new TextDecoder().decode(await this.#ask("GET", path, null)));
  }

  /** Asks for bytes. */
  async getBytes(path: string): Promise<Uint8Array> {
    return await this.#ask("GET", path, null);
  }

  /** Asks for something to be done. */
  async post(path: string, body: unknown): Promise<unknown> {
    return JSON.parse(new TextDecoder().decode(await this.#ask("POST", path, JSON.stringify(body))));
  }

  #ask(method: string, path: string, body: string | null): Promise<Uint8Array> {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    const outgoing = request({ socketPath: this.socket, method, path, agent: false }, (incoming) => {
      const chunks: Uint8Array<ArrayBuffer>[] = [];
      incoming.on("data", (chunk: Uint8Array<ArrayBuffer>) => chunks.push(chunk));
      incoming.on("error", (error) => reject(this.#failure(error)));
      incoming.on("aborted", () => reject(this.#broken()));
      incoming.on("end", async () => {
        const bytes = await new Blob(chunks).bytes();
        const status = incoming.statusCode ?? 0;
        if (status < 400) resolve(bytes);
        else reject(refusal(status, bytes));
      });
    });
    const timer = setTimeout(() => {
      reject(new NoAnswerError(`Cannot ask ${this.socket}: no answer after ${this.#timeoutMs / 1000} s`));
      outgoing.destroy();
    }, this.#timeoutMs);
    outgoing.on("error", (error) => reject(this.#failure(error)));
    outgoing.end(body ?? undefined);
    return promise.finally(() => clearTimeout(timer));
  }

  #failure(error: Error): Error {
    const code = (error as { code?: string }).code ?? "";
    if (NOBODY.includes(code)) {
      return new NoServiceError(`Cannot ask ${this.socket}: nobody serves it (${code})`, { cause: error });
    }
    if (code === "EACCES") {
      return new Error(`Cannot ask ${this.socket}: it belongs to another user`, { cause: error });
    }
    return BROKEN.includes(code) ? this.#broken(error) : error;
  }

  #broken(cause?: Error): Error {
    const message = `Cannot ask ${this.socket}: the connection broke before the answer was complete`;
    return new BrokenConnectionError(message, { cause });
  }
}

function refusal(status: number, bytes: Uint8Array): ControlError {
  try {
    const { error } = JSON.parse(new TextDecoder().decode(bytes)) as {
      error: { code: string; message: string };
    };
    return new ControlError(status, error.code, error.message);
  } catch {
    return new ControlError(status, "EIO", `The service answered ${status} without a reason`);
  }
}
