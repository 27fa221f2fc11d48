/**
 * A server that is carried: its listening socket, its connections, and the tap between them and the application.
 *
 * Happy path: until `ready()` the tap is closed: the socket listens, nothing is accepted, nothing is read. Opening the tap
 * accepts what waits in the backlog and goes on with the connections that were handed over. An update pauses all
 * connections, waits until none owes an answer, and takes a duplicate of each along.
 *
 * Unhappy paths: a connection that still owes an answer at the deadline refuses the update, or is closed, as the
 * application said.
 *
 * @module
 */
import type { Server as NetServer } from "node:net";

import { dupFd, getsockname, type OwnedFd, shutdownSocket, type SocketAddress } from "../sys/mod.ts";
import type { ServerAddress } from "./address.ts";
import type { Connections } from "./http/connections.ts";

/** What happens to connections that owe an answer when the deadline of the quiescing has passed. */
export type OverduePolicy = "refuse" | "close";

/** How a server is carried. */
export interface CarryOptions {
  /**
   * What happens to connections that still owe an answer when quiescing has taken too long: `refuse` the update, or
   * `close` them. @default {"refuse"}
   */
  overdue?: OverduePolicy;
}

/** A carried server, as its application sees it. */
export interface ServerHandle {
  /** The address in use: a TCP port that was asked for as 0 is known here. */
  readonly address: ServerAddress;
  /** How many connections are open. */
  readonly connections: number;
}

/** How patient an update is with the connections of a server. */
export interface PortOptions {
  /** What happens to connections that are late. */
  overdue: OverduePolicy;
  /** Milliseconds after which they are late, if that is before the deadline of the quiescing. */
  patienceMs?: number;
}

/** A carried server. */
export class Port {
  /** The name of the server. */
  readonly name: string;
  /** How patient an update is with its connections. */
  readonly options: PortOptions;
  /** Its connections. */
  readonly connections: Connections;
  readonly #server: NetServer;
  readonly #listener: OwnedFd;
  #waiting: OwnedFd[];
  #open = false;

  /**
   * @param name the name of the server
   * @param server a server that does not listen yet
   * @param listener the listening socket; owned from here on
   * @param connections what carries its connections
   * @param handed connections that were handed over; owned from here on
   * @param options how patient an update is with its connections
   */
  constructor(
    name: string,
    server: NetServer,
    listener: OwnedFd,
    connections: Connections,
    handed: OwnedFd[],
    options: PortOptions,
  ) {
    this.name = name;
    this.options = options;
    this.connections = connections;
    this.#server = server;
    this.#listener = listener;
    this.#waiting = handed;
  }

  /** Where it listens. */
  get address(): SocketAddress {
    return getsockname(this.#listener.fd);
  }

  /** The listening socket; it stays the port's. */
  get fd(): number {
    return this.#listener.fd;
  }

  /** Accepts new connections; those that were handed over wait for {@linkcode open}. */
  listen(): void {
    if (this.#open) return;
    this.#open = true;
    // The server closes the descriptor that it is given, and the listener is to outlive it.
    const fd = dupFd(this.#listener.fd).release();
    this.#server.on("error", (error) => console.error(`heirloom: server "${this.name}":`, error));
    this.#server.listen({ fd });
  }

  /** Opens the tap. New connections first: accepting is what clients wait for without knowing. */
  open(): void {
    this.listen();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const connection of waiting) this.connections.adopt(connection);
  }

  /** Stops listening and ends all connections. */
  close(): void {
    this.#server.close();
    this.connections.pause();
    this.connections.closeOwing();
    for (const connection of [...this.#waiting, ...this.connections.takeDescriptors()]) {
      endConnection(connection);
    }
    this.#waiting = [];
    this.connections.resume();
    this.#listener[Symbol.dispose]();
  }
}

/**
 * Ends a connection that nobody goes on with: a duplicate that is still held would hide the close from the peer, and
 * shutdown(2) tells it.
 *
 * @param connection the descriptor; closed here
 */
export function endConnection(connection: OwnedFd): void {
  using fd = connection;
  try {
    shutdownSocket(fd.fd, "both");
  } catch {
    // The peer was faster: there is nothing left to end.
  }
}
