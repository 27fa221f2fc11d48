/**
 * For the tests of this folder: a client that writes what it is told, byte for byte, and servers to talk to.
 *
 * @module
 */

import { createServer, type RequestListener, type Server, type ServerOptions } from "node:http";
import type { AddressInfo, Socket } from "node:net";

import type { OwnedFd } from "../../sys/owned_fd.ts";
import { read } from "../../sys/file.ts";
import { SysError } from "../../sys/errno.ts";
import type { Connections, Taken } from "./connections.ts";
import { Conversations } from "./conversations.ts";

/** How long a test waits for what must come (ms). */
const DEADLINE = 20_000;

/** Waits for a condition. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + DEADLINE;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`Waited too long for ${what}`);
    await pause(2);
  }
}

/** Waits for a time, where there is nothing else to wait for: to see that something does not happen. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until nothing owes. */
export async function settled(connections: Connections): Promise<void> {
  let done = false;
  void connections.settled().then(() => done = true);
  await until(() => done, "a moment at which nothing owes");
}

/** Has this promise been kept by now? */
export async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(() => settled = true, () => settled = true);
  await pause(0);
  return settled;
}

/** A request without a body. */
export function get(path: string, ...headers: string[]): string {
  return [`GET ${path} HTTP/1.1`, "Host: localhost", ...headers, "", ""].join("\r\n");
}

/** A client. */
export class Wire implements Disposable {
  /** All that was received, one character per byte. */
  text = "";
  /** Finished or failed. */
  ended = false;
  /** Failed, as a reset does. */
  failed = false;
  readonly #connection: Deno.Conn;

  private constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  static async to(port: number): Promise<Wire> {
    return (await Wire.deafTo(port)).listen();
  }

  static async toPath(path: string): Promise<Wire> {
    return new Wire(await Deno.connect({ transport: "unix", path })).listen();
  }

  /** A client that reads nothing until it is told to. */
  static async deafTo(port: number): Promise<Wire> {
    return new Wire(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  listen(): Wire {
    void this.#receive();
    return this;
  }

  async send(data: string | Uint8Array): Promise<void> {
    let bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    while (bytes.byteLength > 0) bytes = bytes.subarray(await this.#connection.write(bytes));
  }

  /** Waits for this text, and forgets all up to its end. */
  async receive(text: string): Promise<string> {
    await until(
      () => this.text.includes(text) || this.ended,
      `${JSON.stringify(text)}, not only ${this.text}`,
    );
    const end = this.text.indexOf(text);
    if (end < 0) throw new Error(`Connection ended after ${JSON.stringify(this.text)} without ${text}`);
    const before = this.text.slice(0, end + text.length);
    this.text = this.text.slice(end + text.length);
    return before;
  }

  /** Asks and waits for the body, which must be in the answer only once. */
  async ask(path: string, body = path): Promise<string> {
    await this.send(get(path));
    return await this.receive(`\r\n\r\n${body}`);
  }

  async finish(): Promise<void> {
    await this.#connection.closeWrite();
  }

  [Symbol.dispose](): void {
    try {
      this.#connection.close();
    } catch {
      // Closed before.
    }
  }

  async #receive(): Promise<void> {
    const buffer = new Uint8Array(65_536);
    try {
      for (;;) {
        const count = await this.#connection.read(buffer);
        if (count === null) break;
        this.text += new TextDecoder("latin1").decode(buffer.subarray(0, count));
      }
    } catch {
      this.failed = true;
    }
    this.ended = true;
  }
}

/** A listening server whose connections are watched. */
export class Host implements AsyncDisposable {
  readonly server: Server;
  readonly conversations: Conversations;
  /** The paths that were asked for, in order. */
  readonly asked: string[] = [];
  readonly #sockets: Socket[] = [];

  private constructor(server: Server, conversations: Conversations) {
    this.server = server;
    this.conversations = conversations;
  }

  static async start(listener?: RequestListener | null, options: ServerOptions = {}): Promise<Host> {
    const server = createServer(options);
    const host = new Host(server, new Conversations(server));
    server.on("connection", (socket) => host.#sockets.push(socket));
    server.on("request", (req, res) => {
      host.asked.push(req.url ?? "");
      (listener ?? echoPath)(req, res);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return host;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** How many bytes all its connections have read. */
  bytesRead(): number {
    return this.#sockets.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
  }

  async wire(): Promise<Wire> {
    const before = this.conversations.size;
    const wire = await Wire.to(this.port);
    await until(() => this.conversations.size > before, "the connection");
    return wire;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.conversations.resume();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** Answers with the path, after as many milliseconds as `?wait=` says. */
export const echoPath: RequestListener = (req, res) => {
  const url = new URL(req.url ?? "/", "http://localhost");
  const answer = (): void => void res.end(url.pathname);
  const wait = url.searchParams.get("wait");
  if (wait === null) answer();
  else setTimeout(answer, Number(wait));
};

/** Reads what the kernel holds of a connection, and waits until it is as much as this. */
export async function readKernel(fd: OwnedFd, length: number): Promise<string> {
  let text = "";
  await until(() => {
    const bytes = new Uint8Array(65_536);
    try {
      text += new TextDecoder("latin1").decode(bytes.subarray(0, read(fd.fd, bytes)));
    } catch (error) {
      if (!(error instanceof SysError && error.code === "EAGAIN")) throw error;
    }
    return text.length >= length;
  }, `${length} bytes in the kernel`);
  return text;
}

/** Disposes descriptors. */
export function disposeAll(taken: Taken[]): void {
  for (const { fd } of taken) fd[Symbol.dispose]();
}

/** The descriptor of the only connection there is. */
export function takeOne(conversations: Connections): OwnedFd {
  const [{ fd } = {}, ...others] = conversations.takeDescriptors();
  if (fd === undefined || others.length > 0) throw new Error("Expected one clean connection");
  return fd;
}

/** How many descriptors it would give. */
export function carriable(host: Host): number {
  const fds = host.conversations.takeDescriptors();
  disposeAll(fds);
  return fds.length;
}
