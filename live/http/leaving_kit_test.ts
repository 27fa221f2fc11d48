/**
 * For the tests of connections that do not cross: servers of which something was said. No tests here.
 *
 * @module
 */
import { createServer as createHttp, type RequestListener, type Server as HttpServer } from "node:http";
import { type AddressInfo, createServer as createNet, type Server, type Socket } from "node:net";

import type { Connections } from "./connections.ts";
import { Conversations } from "./conversations.ts";
import type { PolicyChoice } from "./policy.ts";
import { RawConnections } from "./raw_connections.ts";
import { Uncarried } from "./uncarried.ts";
import type { Leaver } from "./parting.ts";
import { echoPath, until, Wire } from "./wire_test.ts";

/** Longer than everything here takes (ms). */
const PATIENCE_MS = 20_000;

/** A listening server of whose connections something was said. */
export class LeavingHost<S extends Server = Server> implements AsyncDisposable {
  readonly server: S;
  readonly connections: Connections;
  readonly uncarried: Uncarried<Leaver>;
  readonly sockets: Socket[] = [];
  /** The paths that were asked for, in order. */
  readonly asked: string[] = [];
  /** How many connections were ended. */
  ended = 0;

  private constructor(server: S, connections: Connections, uncarried: Uncarried<Leaver>) {
    this.server = server;
    this.connections = connections;
    this.uncarried = uncarried;
    server.on("connection", (socket) => this.sockets.push(socket));
  }

  static async http(
    choice: PolicyChoice,
    listener: RequestListener = echoPath,
  ): Promise<LeavingHost<HttpServer>> {
    const server = createHttp();
    const uncarried = new Uncarried<Leaver>(server, "web", choice);
    const host = new LeavingHost(server, new Conversations(server, uncarried), uncarried);
    server.on("request", (req, res) => {
      host.asked.push(req.url ?? "");
      listener(req, res);
    });
    return await host.#listen();
  }

  static async raw(choice: PolicyChoice, listener: (socket: Socket) => void): Promise<LeavingHost> {
    const server = createNet(listener);
    const uncarried = new Uncarried<Leaver>(server, "raw", choice);
    return await new LeavingHost(server, new RawConnections(server, uncarried), uncarried).#listen();
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** A client of whom the server has heard. */
  async wire(): Promise<Wire> {
    const before = this.sockets.length;
    const wire = await Wire.to(this.port);
    await until(() => this.sockets.length > before, "the connection");
    return wire;
  }

  /** Begins an update as far as it is about those who leave. */
  part(patienceMs = PATIENCE_MS): Promise<void> {
    this.uncarried.begin();
    return this.uncarried.part(Date.now() + patienceMs, () => this.ended++);
  }

  async #listen(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.connections.resume();
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
