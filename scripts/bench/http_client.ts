/**
 * A connection of the load generator: it writes a request, and counts the bytes of the answer, on the bare descriptor. A
 * client that understood what it reads would cost more than the server that it measures.
 *
 * Happy path: {@linkcode HttpClient.learn} reads one answer in full and looks at it; from then on `send`, and `receive`
 * whenever there is something to read, until it says true.
 *
 * Unhappy path: an answer that is not the one that is expected, or a connection that ends: an Error.
 *
 * @module
 */
import { connectSocket, createSocket, type OwnedFd, read, sendNow } from "../../sys/mod.ts";
import { poll, POLLIN } from "../../sys/poll.ts";

/** How long an answer may take (ms). */
const PATIENCE_MS = 20_000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Where everybody reads to: what comes is looked at before the next one reads. */
const buffer = new Uint8Array(128 * 1024);

/** One connection. */
export class HttpClient implements Disposable {
  readonly #fd: OwnedFd;
  #request: Uint8Array = new Uint8Array(0);
  #expected = 0;
  #received = 0;

  /**
   * Connects to a port of 127.0.0.1.
   *
   * @param port the port
   */
  constructor(port: number) {
    using undo = new DisposableStack();
    this.#fd = undo.use(createSocket("inet", "stream"));
    connectSocket(this.#fd.fd, { family: "inet", host: "127.0.0.1", port });
    undo.move();
  }

  /** The descriptor, to wait for. */
  get fd(): number {
    return this.#fd.fd;
  }

  /**
   * Makes one request, and expects answers of the same length from then on.
   *
   * @param request the request
   * @param answer the body that has to come
   * @throws {Error} if another one comes
   */
  learn(request: string, answer: string): void {
    this.#request = encoder.encode(request);
    const length = encoder.encode(answer).byteLength;
    this.send();
    let text = "";
    for (let head = -1; head < 0 || text.length < head + 4 + length; head = text.indexOf("\r\n\r\n")) {
      if (poll([{ fd: this.fd, events: POLLIN }], PATIENCE_MS)[0] === 0) throw new Error("No answer in time");
      text += decoder.decode(buffer.subarray(0, this.#read()));
    }
    if (!text.startsWith("HTTP/1.1 200 OK\r\n") || !text.endsWith(`\r\n\r\n${answer}`)) {
      throw new Error(`Cannot use this answer: ${text.slice(0, 400)}`);
    }
    this.#expected = text.length;
  }

  /**
   * Makes a request whose answer begins and does not end, and reads its head.
   *
   * @param request the request
   * @throws {Error} if another answer comes
   */
  open(request: string): void {
    this.#request = encoder.encode(request);
    this.send();
    const text = this.#readUntil("\r\n\r\n");
    if (!text.startsWith("HTTP/1.1 200 OK\r\n")) {
      throw new Error(`Cannot use this answer: ${text.slice(0, 400)}`);
    }
  }

  /**
   * Reads the next part of such an answer.
   *
   * @param part what has to come, and nothing behind it
   * @throws {Error} if something else comes
   */
  expect(part: string): void {
    const text = this.#readUntil(part);
    if (text !== part) throw new Error(`Cannot use this part of an answer: ${text.slice(0, 400)}`);
  }

  /** Sends the request again. */
  send(): void {
    this.#received = 0;
    let rest = this.#request;
    while (rest.byteLength > 0) rest = rest.subarray(sendNow(this.fd, rest));
  }

  /**
   * Reads what there is. To be called when there is something.
   *
   * @returns is the answer complete?
   * @throws {Error} if it is not what is expected
   */
  receive(): boolean {
    const size = this.#read();
    // The status: "HTTP/1.1 200".
    if (this.#received === 0 && buffer[9] !== 0x32) {
      throw new Error("Cannot use this answer: its status is not 200");
    }
    this.#received += size;
    if (this.#received > this.#expected) throw new Error("Cannot use this answer: it is too long");
    return this.#received === this.#expected;
  }

  /** Ends the connection. */
  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }

  #readUntil(end: string): string {
    let text = "";
    while (!text.endsWith(end)) {
      if (poll([{ fd: this.fd, events: POLLIN }], PATIENCE_MS)[0] === 0) {
        throw new Error(`No more of an answer in time: ${text.slice(0, 400)}`);
      }
      text += decoder.decode(buffer.subarray(0, this.#read()));
    }
    return text;
  }

  #read(): number {
    const size = read(this.fd, buffer);
    if (size === 0) throw new Error("The server has closed a connection");
    return size;
  }
}
