/**
 * A service with WebSockets for the tests of this folder.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { Buffer } from "node:buffer";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import * as ws from "npm:ws@8.23.0";
import { decodeConnections, encodeConnections } from "../../kho/abi/connections.ts";
import { waitFor } from "../../testing/mod.ts";
import type { Taken } from "../http/connections.ts";
import type { Channel } from "../port.ts";
import type { WebSocketInit } from "./handshakes.ts";
import type { WebSocketPeer } from "./web_socket.ts";
import { WebSocketChannel, type WebSockets, type WebSocketsOptions } from "./web_sockets.ts";

/** What the tests keep about a client. */
export interface State {
  name: string;
  count: number;
}

/** Options of a channel. */
export type Options = WebSocketsOptions<State>;
/** A client, seen by the application. */
export type Peer = WebSocketPeer<State>;

/** What a build has of a channel. */
interface Build {
  sockets: WebSockets<State>;
  channel: Channel;
}

/** One build after the other, all of them in this process: what crosses goes through the wire format. */
export class Service implements AsyncDisposable {
  readonly #server = createServer();
  readonly #options: Partial<Options>;
  #generation = 0;
  #current: Build;
  /** What the application heard, in order. */
  readonly heard: string[] = [];
  init: WebSocketInit = {};

  constructor(options: Partial<Options> = {}) {
    this.#options = options;
    this.#current = this.#build([]);
    this.#current.channel.open();
    this.#server.on("upgrade", (req: IncomingMessage, socket: Duplex, head: Buffer) => {
      const name = (req.url ?? "/").slice(1);
      this.sockets.accept(req, socket, head, { name, count: 0 }, this.init);
    });
  }

  get sockets(): WebSockets<State> {
    return this.#current.sockets;
  }

  get members(): Channel["connections"] {
    return this.#current.channel.connections;
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  peer(at = 0): Peer {
    return [...this.sockets][at]!;
  }

  /** An update, in which something may happen before the taps open. */
  async update(options: Partial<Options> = {}, between?: () => Promise<void> | void): Promise<void> {
    const { members } = this;
    members.pause();
    await members.settled();
    const taken = crossed(members.takeDescriptors());
    // What an exec does to the old build: its sockets are closed, and it hears nothing of that.
    this.#generation++;
    for (const { socket } of this.sockets) socket.terminate();
    this.#current = this.#build(taken, options);
    await between?.();
    this.#current.channel.open();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { socket } of this.sockets) socket.terminate();
    await waitFor(() => this.sockets.size === 0, { what: "all to be closed" });
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #build(handed: Taken[], options: Partial<Options> = {}): Build {
    const own: Options = { open: (peer) => this.#listen(peer), ...this.#options, ...options };
    const sockets = new WebSocketChannel<State>("chat", ws, own);
    return { sockets, channel: sockets.channel(handed) };
  }

  #listen({ socket, state, resumed }: Peer): void {
    const generation = this.#generation;
    const hear = (what: string): void => {
      if (generation === this.#generation) this.heard.push(`${state.name} ${what}`);
    };
    hear(`${resumed ? "resumed" : "came"}${socket.readyState === 1 ? "" : " closing"}`);
    socket.on("message", (data, isBinary) => {
      state.count++;
      hear(`${state.count}: ${data.byteLength < 100 ? data : data.byteLength}`);
      socket.send(isBinary ? data : `${data}`);
    });
    socket.on("ping", (data) => hear(`ping ${data}`));
    socket.on("error", (error) => hear(`error ${error.message}`));
    socket.on("close", (code, reason) => hear(`closed ${code} ${reason}`));
  }
}

/** What the next build gets. */
export function crossed(taken: Taken[]): Taken[] {
  const nothing = new Uint8Array(0);
  const records = decodeConnections(encodeConnections(taken.map(({ about }, at) => ({
    name: `chat#${at}`,
    input: about?.input ?? nothing,
    output: about?.output ?? nothing,
    stage: about?.stage ?? "",
    version: about?.version ?? 0,
    state: about?.state ?? null,
  }))));
  return taken.map(({ fd }, at) => ({ fd, about: records[at] ?? null }));
}

/** Waits until the application has heard so much, and compares. */
export async function heardIs(service: Service, ...wanted: string[]): Promise<void> {
  await waitFor(() => service.heard.length >= wanted.length, { what: `the application to hear ${wanted}` });
  assertEquals(service.heard, wanted);
}

/** Bytes as a text. */
export function decode(bytes: Uint8Array | undefined): string {
  return new TextDecoder().decode(bytes);
}
