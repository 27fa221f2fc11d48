/**
 * What the tests of `live.datagram` share: a running application of `_datagram_app.ts`, and a client of each kind that sends
 * numbered datagrams.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { createSocket as createUdp } from "node:dgram";

import {
  bindDatagram,
  type DatagramAddress,
  socketAddressFrom,
} from "../../live/streams/datagram_address.ts";
import {
  getsockname,
  type OwnedFd,
  setIntOption,
  SOCKET_OPTIONS,
  type SocketAddress,
} from "../../sys/mod.ts";
import { receiveDatagram, sendDatagram, type Watch, watchReadable } from "../../sys/network.ts";
import { heirloomRoot, startApp, tempDir, type TestApp, waitFor } from "../../testing/mod.ts";
import type { DatagramAppOptions, DatagramAppReport } from "./_datagram_app.ts";
import { type Builds, builds } from "../update/_fixtures.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Milliseconds between two datagrams of a client. */
const BEAT_MS = 4;

/** Milliseconds that an answer may take on a busy machine. */
export const PATIENCE_MS = 30_000;

/** Room for the answers to all that has waited during a pause, where the system's limit allows it. */
const ROOM = 1_000_000;

/** A client on a socket of its own, which sends in the order in which it is told to and keeps what comes back. */
export class Client implements AsyncDisposable {
  /** Which of the application's sockets it talks to. */
  readonly name: string;
  /** What came back, in order. */
  readonly answers: string[] = [];
  readonly address: SocketAddress;
  readonly #socket: OwnedFd;
  readonly #watch: Watch;
  #target: SocketAddress | null = null;

  constructor(name: string, own: SocketAddress) {
    this.name = name;
    this.#socket = bindDatagram(own, (fd) => {
      for (const option of ["RCVBUF", "SNDBUF"] as const) setIntOption(fd, ...SOCKET_OPTIONS[option], ROOM);
    });
    this.address = getsockname(this.#socket.fd);
    this.#watch = watchReadable(this.#socket.fd, () => {
      let count = 0;
      for (let datagram; (datagram = receiveDatagram(this.#socket.fd, true)) !== null; count++) {
        this.answers.push(decoder.decode(datagram.bytes));
      }
      return count > 0;
    });
  }

  /** Says whom it talks to. */
  talkTo(target: DatagramAddress): void {
    this.#target = socketAddressFrom(target);
  }

  /** Sends one datagram; false if there is no room for it now. */
  send(text: string): boolean {
    return sendDatagram(this.#socket.fd, encoder.encode(text), this.#target);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watch.end();
    this.#socket[Symbol.dispose]();
  }
}

/** A client as the runtime makes them. */
export async function udpClient(
  target: DatagramAddress,
): Promise<Pick<Client, "answers" | "send"> & AsyncDisposable> {
  const { hostname, port } = target as { hostname: string; port: number };
  const socket = createUdp(hostname.includes(":") ? "udp6" : "udp4");
  await new Promise<void>((resolve) => socket.bind(0, hostname, resolve));
  const answers: string[] = [];
  socket.on("message", (data) => answers.push(decoder.decode(data)));
  return {
    answers,
    send(text) {
      socket.send(encoder.encode(text), port, hostname);
      return true;
    },
    [Symbol.asyncDispose]: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

/** Lets clients send at a steady rate until they are told to stop; gives how many each has sent. */
export function beat(clients: readonly Client[]): { stop(): Map<string, number> } {
  const sent = new Map(clients.map(({ name }) => [name, 0]));
  const waiting = new Map(clients.map(({ name }) => [name, 0]));
  const timer = setInterval(() => {
    for (const client of clients) {
      const { name } = client;
      // A sender over unix waits for room, and what it has to say waits with it.
      waiting.set(name, waiting.get(name)! + 1);
      while (waiting.get(name)! > 0 && client.send(`${name} ${sent.get(name)! + 1}`)) {
        sent.set(name, sent.get(name)! + 1);
        waiting.set(name, waiting.get(name)! - 1);
      }
    }
  }, BEAT_MS);
  return {
    stop() {
      clearInterval(timer);
      return sent;
    },
  };
}

/** A running application with a client of each kind. */
export interface Scene extends AsyncDisposable {
  readonly app: TestApp;
  readonly clients: readonly Client[];
  readonly directory: string;
  /** One of them. */
  client(name: string): Client;
  /** What the connected socket's peer heard that was no answer. */
  readonly heard: () => string[];
  readonly report: () => DatagramAppReport;
  /** Writes a build of the application. */
  write(label: string, more?: Partial<DatagramAppOptions>): Promise<string>;
  /** Lets a handler go on that waits for this name. */
  open(gate: string): void;
  /** What the application has written down that it received on one socket. */
  received(name: string): string[];
}

export function writeBuild(all: Builds, options: DatagramAppOptions): Promise<string> {
  const app = `file://${heirloomRoot()}/tests/conversations/_datagram_app.ts`;
  const text = `import { runDatagramApp } from "${app}";\nawait runDatagramApp(${
    JSON.stringify(options)
  });\n`;
  return all.write(options.label, text);
}

export function reports(app: TestApp): DatagramAppReport[] {
  return app.output().stdout.split("\n").filter((line) => line.startsWith("{")).map((line) =>
    JSON.parse(line)
  );
}

export async function startScene(more: Partial<DatagramAppOptions> = {}): Promise<Scene> {
  await using undo = new AsyncDisposableStack();
  const all = undo.use(builds());
  const dir = undo.use(tempDir("heirloom-dgram-"));
  const own: Record<string, SocketAddress> = {
    v4: { family: "inet", host: "127.0.0.1", port: 0 },
    v6: { family: "inet6", host: "::1", port: 0 },
    // The other end of the connected socket.
    peer: { family: "inet", host: "127.0.0.1", port: 0 },
    path: { family: "unix", path: `${dir.path}/client` },
    abstract: { family: "abstract", name: `${dir.path}/client` },
  };
  const clients = Object.entries(own).map(([name, address]) => undo.use(new Client(name, address)));
  const client = (name: string): Client => clients.find((client) => client.name === name)!;
  const { port } = client("peer").address as { port: number };
  const write: Scene["write"] = (label, extra = {}) =>
    writeBuild(all, { directory: dir.path, peer: port, ...more, ...extra, label });
  const app = undo.use(await startApp({ entry: await write("v1") }));
  const report = await waitFor(() => reports(app)[0], { what: "the first build" });
  for (const each of clients) {
    const { address } = report[each.name]!;
    const isAny = "hostname" in address && address.hostname === "0.0.0.0";
    each.talkTo(isAny ? { ...address, hostname: "127.0.0.1" } : address);
  }
  const kept = undo.move();
  return {
    app,
    clients,
    directory: dir.path,
    client,
    heard: () => greetings(client("peer")),
    report: () => reports(app).at(-1) ?? {},
    write,
    open: (gate) => Deno.writeTextFileSync(`${dir.path}/${gate}`, ""),
    received: (name) =>
      Deno.readTextFileSync(`${dir.path}/received.log`).split("\n")
        .filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1)),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** What the connected socket's peer heard that was no answer. */
export function greetings({ answers }: Client): string[] {
  return answers.filter((text) => text.startsWith("hello"));
}

/** Asserts that every datagram was received once and in order, and that its answer went to who had sent it. */
export async function assertAllAnswered(
  scene: Scene,
  sent: Map<string, number>,
  builds: string[],
): Promise<void> {
  for (const client of scene.clients) {
    const { name } = client;
    const expected = Array.from({ length: sent.get(name) ?? 0 }, (_, index) => `${name} ${index + 1}`);
    const answers = (): string[] => client.answers.filter((text) => !text.startsWith("hello"));
    await waitFor(() => scene.received(name).length >= expected.length, {
      what: `${expected.length} datagrams to arrive at ${name}`,
      timeoutMs: PATIENCE_MS,
      intervalMs: 100,
    }).catch(() => {});
    assertEquals(scene.received(name), expected, `what arrived at ${name}`);
    await waitFor(() => answers().length >= expected.length, {
      what: `${expected.length} answers to ${name}`,
      timeoutMs: PATIENCE_MS,
    }).catch(() => {});
    const texts = answers().map((text) => text.slice(text.indexOf(" ") + 1));
    assertEquals(texts, expected, `answers to ${name}`);
    const labels = answers().map((text) => text.slice(0, text.indexOf(" ")));
    assertEquals(labels.filter((label, index) => label !== labels[index - 1]), builds, `builds of ${name}`);
  }
}
