/**
 * What the tests of `live.listen` share: a running application of `_raw_app.ts`, clients that stream, and clients that behave
 * badly.
 *
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import { createHash, type Hash } from "node:crypto";

import { type ServerAddress, socketAddressOf } from "../../live/address.ts";
import { pattern, Peer } from "../../live/streams/helpers_test.ts";
import { connectSocket, createSocket, setIntOption, SOCKET_OPTIONS } from "../../sys/mod.ts";
import { sendNow } from "../../sys/socket.ts";
import {
  delay,
  heirloomRoot,
  startApp,
  type StartOptions,
  tempDir,
  type TestApp,
  type UpdateRecord,
  waitFor,
} from "../../testing/mod.ts";
import { builds } from "../update/_fixtures.ts";
import type { RawAppOptions, RawAppReport } from "./_raw_app.ts";

/** Milliseconds that something may take on a busy machine. */
export const PATIENCE_MS = 30_000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A running application. */
export interface Scene extends AsyncDisposable {
  readonly app: TestApp;
  /** Where a server listens. */
  address(name: string): ServerAddress;
  /** A connection to a server, driven by hand. */
  connect(name: string, receiveBuffer?: number): Peer;
  /** What the builds have said when they were ready. */
  reports(): RawAppReport[];
  /** Writes a build. */
  write(label: string, more?: Partial<RawAppOptions>): Promise<string>;
  /** Updates to a build that must commit. */
  commits(label: string, more?: Partial<RawAppOptions>): Promise<UpdateRecord>;
  /** Makes a file that builds wait for. */
  open(gate: string): void;
}

export async function startScene(
  first: Partial<RawAppOptions> = {},
  start: Partial<StartOptions> = {},
): Promise<Scene> {
  await using undo = new AsyncDisposableStack();
  const all = undo.use(builds());
  const dir = undo.use(tempDir("heirloom-raw-"));
  const module = `file://${heirloomRoot()}/tests/conversations/_raw_app.ts`;
  const write: Scene["write"] = (label, more = {}) => {
    const options = JSON.stringify({ directory: dir.path, ...more, label });
    return all.write(label, `import { runRawApp } from "${module}";\nawait runRawApp(${options});\n`);
  };
  const app = undo.use(await startApp({ ...start, entry: await write("v1", first) }));
  const reports = (): RawAppReport[] =>
    app.output().stdout.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  await waitFor(() => reports().length === 1, { what: "the first build" });
  const address: Scene["address"] = (name) => reports()[0]!.addresses[name]!;
  const kept = undo.move();
  return {
    app,
    address,
    connect(name, receiveBuffer) {
      const target = socketAddressOf(address(name));
      const socket = createSocket(target.family === "inet" ? "inet" : "unix", "stream");
      if (receiveBuffer !== undefined) setIntOption(socket.fd, ...SOCKET_OPTIONS.RCVBUF, receiveBuffer);
      connectSocket(socket.fd, target);
      return new Peer(socket);
    },
    reports,
    write,
    async commits(label, more) {
      const record = await app.upgrade({ build: await write(label, more) });
      assertEquals([record.outcome, record.reason], ["committed", null], app.output().stderr);
      return record;
    },
    open: (gate) => Deno.writeTextFileSync(`${dir.path}/${gate}`, ""),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Reads a text of known length. */
export async function readText(peer: Peer, text: string): Promise<void> {
  assertEquals(decoder.decode(await peer.readBytes(encoder.encode(text).byteLength)), text);
}

/** Asks and compares: a line to `lines`, and what has to come back. */
export async function ask(peer: Peer, line: string, answer: string): Promise<void> {
  peer.write(`${line}\n`);
  await readText(peer, `${answer} ${line}\n`);
}

/** A client that streams random bytes and reads what comes back, at a steady rate, until it is told to stop. */
export class Stream {
  readonly #connection: Deno.TcpConn;
  readonly #sent: Hash = createHash("sha256");
  readonly #received: Hash = createHash("sha256");
  #stopping = false;
  sentBytes = 0;
  receivedBytes = 0;
  readonly done: Promise<void>;

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
    this.done = Promise.all([this.#send(), this.#receive()]).then(() => connection.close());
    // Whoever stops it hears of it.
    this.done.catch(() => {});
  }

  static async open(address: ServerAddress): Promise<Stream> {
    return new Stream(await Deno.connect(address as { hostname: string; port: number }));
  }

  /** Finishes, and waits for the rest of what it has sent. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.done;
  }

  /** What was sent and what came back: the same bytes? */
  digests(): [string, string] {
    return [this.#sent.digest("hex"), this.#received.digest("hex")];
  }

  async #send(): Promise<void> {
    const buffer = new Uint8Array(16 * 1024);
    while (!this.#stopping) {
      const chunk = crypto.getRandomValues(buffer.subarray(0, 1 + Math.floor(Math.random() * buffer.length)));
      this.#sent.update(chunk);
      this.sentBytes += chunk.byteLength;
      for (let at = 0; at < chunk.byteLength;) at += await this.#connection.write(chunk.subarray(at));
      await delay(Math.random() * 20);
    }
    await this.#connection.closeWrite();
  }

  async #receive(): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    for (;;) {
      const count = await this.#connection.read(buffer);
      if (count === null) return;
      this.#received.update(buffer.subarray(0, count));
      this.receivedBytes += count;
    }
  }
}

/** Clients that behave badly, again and again, in whatever phase the service is. */
export class Nuisance {
  #stopping = false;
  count = 0;
  readonly #done: Promise<void>;

  constructor(scene: Scene) {
    this.#done = Promise.all(
      ["echo", "lines", "source", "path", "abstract"].map((name, index) => this.#bother(scene, name, index)),
    ).then(() => {});
    this.#done.catch(() => {});
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#done;
  }

  async #bother(scene: Scene, name: string, turn: number): Promise<void> {
    const garbage = crypto.getRandomValues(new Uint8Array(2000));
    while (!this.#stopping) {
      const peer = scene.connect(name);
      await delay(Math.random() * 5);
      // A unix socket that is accepted late is not connected yet when the backlog is full; TCP may be on its way.
      try {
        peer.write(garbage.subarray(0, 1 + turn % 2000));
        if (turn % 3 === 0) peer.finish();
        if (turn % 3 === 1) reset(peer);
      } catch (error) {
        assertMatch(String(error), /EPIPE|ECONNRESET|buffer is full/);
      }
      await delay(Math.random() * 10);
      peer[Symbol.dispose]();
      this.count++;
      turn += 7;
    }
  }
}

/** Lets the close of a connection be a reset (`SO_LINGER` of no time). */
export function reset({ fd }: Peer): void {
  const libc = Deno.dlopen("libc.so.6", {
    setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  });
  libc.symbols.setsockopt(fd.fd, ...SOCKET_OPTIONS.LINGER, new Uint8Array(new Int32Array([1, 0]).buffer), 8);
  libc.close();
}

/** Sends the pattern until the kernel takes no more, and gives how much that was. */
export async function fill(peer: Peer): Promise<number> {
  let size = 0;
  for (let stuck = 0; stuck < 20; stuck++) {
    for (let sent = 1; sent > 0; size += sent) {
      sent = sendNow(peer.fd.fd, pattern(size, 16 * 1024));
      if (sent > 0) stuck = 0;
    }
    await delay(5);
  }
  return size;
}
