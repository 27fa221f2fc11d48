/**
 * `live.listen`: connections for applications that speak their own protocol, on TCP or unix sockets. Each goes on in the next
 * build: with its state, in the middle of a message, of a slow reader's queue, half-closed.
 *
 * ```ts ignore
 * const echo = await live.listen("echo", { port: 7 }, {
 *   open({ socket }) {
 *     socket.on("data", (bytes) => socket.write(bytes));
 *   },
 * });
 * ```
 *
 * Happy path: `open` is called for every connection, also in the next build for those that it takes over, before anything is
 * read from it or sent to it. Until `ready()` nothing is accepted, read or sent.
 *
 * Unhappy paths:
 * 1. `open` throws: for a new connection it is logged, and the connection closed; for one that was handed over this build
 *    fails, and the previous one comes back.
 * 2. There is no descriptor left for a new connection: it is closed, and that is logged.
 * 3. A state that cannot be saved refuses the update; one that this build does not read fails its check.
 *
 * Not carried: TLS.
 *
 * @module
 */
import { createServer, type Socket } from "node:net";

import { LuoError } from "../../luo/errors.ts";
import { type OwnedFd, SysError } from "../../sys/mod.ts";
import { type ServerAddress, serverAddressOf } from "../address.ts";
import { checkChannel } from "../channels.ts";
import type { About, Taken } from "../http/connections.ts";
import type { Lifecycle } from "../lifecycle.ts";
import { type Carrier, type Channel, type OverduePolicy, Port, type PortOptions } from "../port.ts";
import { takeListener } from "../take.ts";
import { takeover } from "../takeover.ts";
import { CarriedSocket } from "./carried_socket.ts";
import { type MemberStateOptions, MemberStates } from "./member_states.ts";
import { channelOf, Members } from "./members.ts";
import { type RawConnection, RawMember, restoreRaw } from "./raw_member.ts";

/** Milliseconds between two lines of the log about the same trouble of the system's. */
const QUIET_MS = 1000;

/** How the connections of a server with its own protocol are treated. */
export interface ListenOptions<State> extends MemberStateOptions<State> {
  /**
   * Called for every connection before anything is read from it: listen to the events of its `socket` here. For those that
   * were handed over it is called before `live.listen` returns.
   *
   * @param connection the connection
   * @param resumed was it handed over by the previous build? Then it knows nothing of the update, and is not to be greeted
   */
  open(connection: RawConnection<State>, resumed: boolean): void;
  /** Makes the state of a new connection. By default there is none. */
  initial?(): State;
  /** May this end go on writing when the other end has finished? @default {false} */
  allowHalfOpen?: boolean;
  /**
   * What happens to connections that cannot cross when quiescing has taken too long, because their streams are corked:
   * `refuse` the update, or `close` them. @default {"refuse"}
   */
  overdue?: OverduePolicy;
}

/** A server with a protocol of the application's own. */
export interface RawServer<State> extends Iterable<RawConnection<State>> {
  /** Where it listens: a TCP port that was asked for as 0 is known here. */
  readonly address: ServerAddress;
  /** How many connections there are. */
  readonly size: number;
}

/** The connections of one such server, as an update sees them. */
export class Listening<State> implements RawServer<State> {
  readonly #name: string;
  readonly #options: ListenOptions<State>;
  readonly #states: MemberStates<State>;
  readonly #members: Members<RawMember<State>>;
  #address: ServerAddress;
  #quietUntil = 0;

  /**
   * @param name its name
   * @param address where it is to listen
   * @param options what the application wants
   * @throws {LuoError} `EINVAL` for a version that is none
   */
  constructor(name: string, address: ServerAddress, options: ListenOptions<State>) {
    if (typeof options.open !== "function") {
      throw new LuoError("EINVAL", `Cannot listen as "${name}": there is no function open`);
    }
    const { allowHalfOpen = false } = options;
    this.#name = name;
    this.#options = options;
    this.#states = new MemberStates(name, options);
    this.#address = address;
    this.#members = new Members({
      restore: (fd, about) => restoreRaw(fd, about, this.#states, allowHalfOpen),
      restored: (member) => this.#welcome(member),
    });
  }

  /** Where it listens: a TCP port that was asked for as 0 is known here. */
  get address(): ServerAddress {
    return this.#address;
  }

  /** How many connections there are. */
  get size(): number {
    return this.#members.size;
  }

  /** All connections, in the order in which they came. */
  [Symbol.iterator](): IterableIterator<RawConnection<State>> {
    return this.#members[Symbol.iterator]();
  }

  /**
   * Takes connections, once its carrier is open.
   *
   * @param listener the listening socket; owned from here on
   * @param handed what was handed over
   * @param options how patient an update is
   * @returns what is to be added to the application's life
   * @throws whatever `open` and `load` throw for what was handed over
   */
  carry(listener: OwnedFd, handed: readonly Taken[], options: PortOptions): Carrier {
    using undo = new DisposableStack();
    undo.use(listener);
    const channel = channelOf(this.#name, this.#members, handed, options);
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
    const port = new RawPort(channel, this.#name, server, listener, this.#members, [], options);
    this.#address = serverAddressOf(port.address);
    undo.move();
    return port;
  }

  /**
   * For a check: reads a state that was handed over.
   *
   * @param about what crossed with a connection
   * @throws {LuoError} `EOPNOTSUPP` for a state that this build does not read
   * @throws whatever `load` throws
   */
  load(about: About): void {
    this.#states.load(about, "");
  }

  #accept(socket: Socket): void {
    let member: RawMember<State> | null = null;
    try {
      const { allowHalfOpen = false } = this.#options;
      const stream = CarriedSocket.over(socket, { allowHalfOpen });
      member = new RawMember(stream, this.#states, this.#options.initial?.() as State, false);
      this.#members.add(member);
      this.#welcome(member);
    } catch (error) {
      if (member === null) socket.destroy();
      else member.destroy();
      this.#complain(error);
    }
  }

  /** Where descriptors are short, every client that is turned away would be a line in the log. */
  #complain(error: unknown): void {
    const now = performance.now();
    if (error instanceof SysError && now < this.#quietUntil) return;
    if (error instanceof SysError) this.#quietUntil = now + QUIET_MS;
    console.error(`heirloom: connection of "${this.#name}":`, error);
  }

  #welcome(member: RawMember<State>): void {
    member.socket.once("close", () => this.#members.delete(member));
    this.#options.open(member, member.resumed);
  }
}

/** A port whose connections are complete before its tap opens. */
class RawPort extends Port {
  readonly #channel: Channel;

  constructor(channel: Channel, ...rest: ConstructorParameters<typeof Port>) {
    super(...rest);
    this.#channel = channel;
  }

  override open(): void {
    super.open();
    this.#channel.open();
  }
}

/**
 * Takes back a listening socket with its connections, or makes one.
 *
 * @param life the application
 * @param name 1 to 63 bytes without `#` and `@`
 * @param address where to listen
 * @param options what is done with connections
 * @returns the server; nothing is accepted before the application is ready
 * @throws {LuoError} `EEXIST`, `EINVAL`, `EOPNOTSUPP` for a state that is not read
 * @throws {SysError} `EADDRINUSE` and what else bind(2) answers
 */
export async function openListen<State>(
  life: Lifecycle,
  name: string,
  address: ServerAddress,
  options: ListenOptions<State>,
): Promise<RawServer<State>> {
  const server = new Listening(name, address, options);
  if (takeover.check !== null) {
    checkChannel(life, name, (about) => server.load(about), options.version ?? 1);
  }
  const listener = await takeListener(life.resources, name, address);
  if (takeover.check !== null) {
    listener[Symbol.dispose]();
    return server;
  }
  const handed = life.resources.claimConnections(name);
  life.addPort(server.carry(listener, handed, { overdue: options.overdue ?? "refuse" }));
  return server;
}
