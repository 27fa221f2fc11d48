/**
 * A server that is carried: its listening socket, its connections, and the tap between them and the application.
 *
 * Happy path: until `ready()` the tap is closed: the socket listens, nothing is accepted, nothing is read. Opening the tap
 * accepts what waits in the backlog and goes on with the connections that were handed over. An update pauses all
 * connections, waits until none owes an answer, and takes a duplicate of each along.
 *
 * Unhappy paths: a connection that still owes an answer at the deadline refuses the update, or is closed, as the
 * application said; and so is one whose state cannot cross (`http/uncarried.ts`).
 *
 * @module
 */
import type { Server as NetServer, Socket } from "node:net";

import { getsockname, type OwnedFd, shutdownSocket, type SocketAddress } from "../sys/mod.ts";
import { Acceptor } from "./acceptor.ts";
import type { ServerAddress } from "./address.ts";
import { Adoption } from "./adoption.ts";
import type { Connections, Taken } from "./http/connections.ts";
import type { ConnectionPolicy } from "./http/policy.ts";

export type { ConnectionPolicy };

/** What happens to connections that owe an answer when the deadline of the quiescing has passed. */
export type OverduePolicy = "refuse" | "close";

/** How a server is carried. */
export interface CarryOptions {
  /**
   * What happens to connections that still owe an answer when quiescing has taken too long: `refuse` the update, or
   * `close` them. @default {"refuse"}
   */
  overdue?: OverduePolicy;
  /**
   * What an update does with the connections: all of them, or each as a function says that is asked when the update begins.
   * `carry` them; `drain` them first, so that no half of a request crosses; `close` them politely once they owe nothing; or
   * `refuse` the update while one is open. TLS has its state in user space: such a server needs `close` or `refuse`.
   * @default {"carry"}
   */
  connections?: ConnectionPolicy | ((socket: Socket) => ConnectionPolicy);
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

/** Something whose connections are carried, as an update sees it. */
export interface Carrier {
  /** Its name; its connections are called after it. */
  readonly name: string;
  /** How patient an update is with its connections. */
  readonly options: PortOptions;
  /** Its connections. */
  readonly connections: Connections;
  /** How many there are, those among them that were handed over and are not back yet. */
  readonly size: number;
  /**
   * What an update says that waits in vain. Absent where a connection owes an answer.
   *
   * @param count how many owe something
   */
  owed?(count: number): string;
  /** Accepts new connections; those that were handed over wait for {@linkcode Carrier.open}. */
  listen(): void;
  /** Opens the tap. */
  open(): void;
  /** What was handed over is all there, and what was said of connections that do not cross counts from now on. */
  begin?(): void;
  /** Nothing new is read from now on; what was handed over is all there. */
  pause(): void;
  /** Ends all connections. */
  close(): void;
}

/** A carried server. */
export class Port implements Carrier {
  /** The name of the server. */
  readonly name: string;
  /** How patient an update is with its connections. */
  readonly options: PortOptions;
  /** Its connections. */
  readonly connections: Connections;
  readonly #server: NetServer;
  readonly #listener: OwnedFd;
  readonly #acceptor: Acceptor;
  readonly #adoption: Adoption;
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
    handed: Taken[],
    options: PortOptions,
  ) {
    this.name = name;
    this.options = options;
    this.connections = connections;
    this.#server = server;
    this.#listener = listener;
    this.#acceptor = new Acceptor(server, listener.fd);
    this.#adoption = new Adoption(connections, handed);
  }

  /** How many connections there are. */
  get size(): number {
    return this.connections.size + this.#adoption.size;
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
    this.#server.on("error", (error) => console.error(`heirloom: server "${this.name}":`, error));
    this.#acceptor.start();
  }

  /** Opens the tap. New connections first: accepting is what clients wait for without knowing. */
  open(): void {
    this.listen();
    this.#adoption.begin();
  }

  /** What was handed over is all there, and what was said of connections that do not cross counts from now on. */
  begin(): void {
    // First: whom the update before has left unheard would wait at the door again.
    this.#adoption.finish();
    this.connections.uncarried?.begin();
  }

  /** Nothing new is read from now on; what was handed over is all there. */
  pause(): void {
    this.begin();
    this.connections.pause();
  }

  /** Stops listening and ends all connections. */
  close(): void {
    this.#acceptor.stop();
    this.#server.close();
    this.connections.pause();
    this.connections.closeOwing();
    for (const { fd } of [...this.#adoption.takeAll(), ...this.connections.takeDescriptors()]) {
      endConnection(fd);
    }
    this.connections.resume();
    this.#listener[Symbol.dispose]();
  }
}

/** Carried connections without a listener of their own: they came through a server of another name. */
export class Channel implements Carrier {
  /** Its name. */
  readonly name: string;
  /** How patient an update is with its connections. */
  readonly options: PortOptions;
  /** Its connections. */
  readonly connections: Connections;
  readonly #adoption: Adoption;

  /**
   * @param name the name of the channel
   * @param connections what carries its connections
   * @param handed connections that were handed over; owned from here on
   * @param options how patient an update is with its connections
   */
  constructor(name: string, connections: Connections, handed: Taken[], options: PortOptions) {
    this.name = name;
    this.connections = connections;
    this.options = options;
    this.#adoption = new Adoption(connections, handed);
  }

  /** How many connections there are. */
  get size(): number {
    return this.connections.size + this.#adoption.size;
  }

  /** Nothing is accepted here. */
  listen(): void {}

  /** Goes on with the connections that were handed over: all of them, because an application may want to write to any. */
  open(): void {
    this.#adoption.finish();
  }

  /** Nothing new is read from now on. */
  pause(): void {
    this.open();
    this.connections.pause();
  }

  /** Ends all connections. */
  close(): void {
    this.connections.pause();
    this.connections.closeOwing();
    for (const { fd } of [...this.#adoption.takeAll(), ...this.connections.takeDescriptors()]) {
      endConnection(fd);
    }
    this.connections.resume();
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
