/**
 * The connections of a server that do not cross an update as they are, because the application has said so: what was said
 * of which, who keeps the update from happening, and the polite end of the others.
 *
 * Loaded by applications that say something else than `carry`; the others do not pay for it at a restart.
 *
 * Happy path: {@linkcode Uncarried.begin} when an update is about to let the connections stand still: from then on nobody
 * new is heard, and what was said of a connection counts. {@linkcode Uncarried.refusing} is 0, and {@linkcode Uncarried.part}
 * ends those that are to be closed. Who has come meanwhile crosses unheard.
 *
 * Unhappy paths:
 * 1. The update is refused: {@linkcode Uncarried.end}: who was not ended yet stays, and who waits at the door comes in.
 * 2. The application's function throws, or gives a policy that cannot be kept: `refusing` throws that.
 *
 * @module
 */
import type { Server, Socket } from "node:net";

import { Arrivals } from "./arrivals.ts";
import type { Taken } from "./connections.ts";
import { Door } from "./door.ts";
import { type Leaver, Parting } from "./parting.ts";
import {
  askPolicy,
  checkPolicy,
  type ConnectionPolicy,
  isSecure,
  isSecureHttp,
  type PolicyChoice,
} from "./policy.ts";

/** What an update asks of connections that do not cross as they are. */
export interface Leavers {
  /** Nobody new is heard from now on; and what was said of a connection counts. A second call changes nothing. */
  begin(): void;
  /**
   * How many keep the update from happening.
   *
   * @throws what the application's function throws, or what is wrong with what it gives
   */
  refusing(): number;
  /**
   * Ends those that are to be closed.
   *
   * @param deadline until when, in milliseconds since the epoch
   * @param ended called for each that was ended
   * @returns when they are gone, or the deadline has come
   */
  part(deadline: number, ended: () => void): Promise<void>;
}

/** The connections of one server that do not cross as they are. */
export class Uncarried<C extends Leaver> implements Leavers {
  /** Does the server speak TLS? */
  readonly isSecure: boolean;
  /** And HTTP/1 within it? */
  readonly isSecureHttp: boolean;
  readonly #server: Server;
  readonly #choice: PolicyChoice;
  #connections: Iterable<C> = [];
  readonly #door: Door;
  readonly #arrivals: Arrivals | null;
  /** What was said of whom; only while it counts. */
  #said: Map<Socket, ConnectionPolicy> | null = null;
  #fault: { error: unknown } | null = null;
  #parting: Parting<C> | null = null;

  /**
   * @param server a server that is not listening yet
   * @param name its name
   * @param choice what was said of its connections
   * @throws {LuoError} `EINVAL` it is no policy, `EOPNOTSUPP` it cannot be kept for this server
   */
  constructor(server: Server, name: string, choice: PolicyChoice) {
    checkPolicy(name, server, choice);
    this.#server = server;
    this.#choice = choice;
    this.isSecure = isSecure(server);
    this.isSecureHttp = isSecureHttp(server);
    this.#door = new Door(server);
    this.#arrivals = this.isSecure ? new Arrivals(server) : null;
  }

  /**
   * Says which connections the server has.
   *
   * @param connections gives all of them, each time it is asked
   */
  watch(connections: Iterable<C>): void {
    this.#connections = connections;
  }

  /** How many wait to be heard. */
  get waiting(): number {
    return this.#door.size;
  }

  /** Are those that are to be closed leaving at this moment? */
  get isParting(): boolean {
    return this.#parting !== null;
  }

  begin(): void {
    if (this.#said !== null) return;
    this.#said = new Map();
    // Of those that cross in any case, whoever comes crosses as well.
    if (this.#choice !== "drain") this.#door.shut();
  }

  /** Goes on as if there had been no update. */
  end(): void {
    this.#said = null;
    this.#fault = null;
    this.#parting?.stop();
    this.#parting = null;
    this.#door.open();
  }

  refusing(): number {
    let count = this.#choice === "refuse" ? this.#arrivals?.size ?? 0 : 0;
    for (const connection of this.#present()) {
      const policy = this.#said === null ? this.#ask(connection.socket) : this.#saidOf(connection.socket);
      if (policy === "refuse") count++;
    }
    if (this.#fault !== null) throw this.#fault.error;
    return count;
  }

  async part(deadline: number, ended: () => void): Promise<void> {
    const parting = new Parting<C>({ arrivals: this.#arrivals, leavers: () => this.#leavers(), ended });
    this.#parting = parting;
    await parting.run(deadline);
  }

  /**
   * Must this connection not cross the update that has begun?
   *
   * @param socket a connection of the server
   */
  blocks(socket: Socket): boolean {
    if (this.#said === null) return false;
    const policy = this.#saidOf(socket);
    return policy === "close" || policy === "refuse";
  }

  /**
   * Must everything that was begun be answered before this connection crosses the update that has begun?
   *
   * @param socket a connection of the server
   */
  drains(socket: Socket): boolean {
    return this.#said !== null && this.#saidOf(socket) === "drain";
  }

  /**
   * Those who wait to be heard, as connections that cross.
   *
   * @param most how many at most
   * @throws {SysError} EMFILE at the limit of open files; then there is none
   */
  takeWaiting(most: number): Taken[] {
    return this.#door.duplicates(most).map((fd) => ({ fd, about: null }));
  }

  *#present(): Iterable<C> {
    for (const connection of this.#connections) {
      const phase = connection.phase();
      if (phase !== "gone" && phase !== "excused") yield connection;
    }
  }

  *#leavers(): Iterable<C> {
    for (const connection of this.#present()) {
      if (this.#saidOf(connection.socket) === "close") yield connection;
    }
  }

  /** What counts for this update; a fault of the function refuses it, but nobody here may fail of it. */
  #saidOf(socket: Socket): ConnectionPolicy {
    let policy = this.#said?.get(socket);
    if (policy !== undefined) return policy;
    try {
      policy = this.#ask(socket);
    } catch (error) {
      this.#fault ??= { error };
      policy = "refuse";
    }
    this.#said?.set(socket, policy);
    return policy;
  }

  #ask(socket: Socket): ConnectionPolicy {
    return askPolicy(this.#server, this.#choice, socket);
  }
}
