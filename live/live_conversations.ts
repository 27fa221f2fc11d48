/**
 * The part of {@linkcode Live} that is about conversations which have a state: event streams, WebSockets, protocols of the
 * application's own. Their modules are loaded when they are asked for, so that a service without them starts without them.
 *
 * Happy path: a channel is opened by name before `ready()`; in the next build the same call goes on with its connections,
 * each with the state that it had.
 *
 * Unhappy paths: see the methods. A channel that the next build does not open ends with the commit, and its connections
 * with it; the check of a build says so.
 *
 * @module
 */
import { openEventStreams, openWebSockets } from "./channels.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { LiveResources } from "./live_resources.ts";
import type { EventFeed, EventStreamsOptions } from "./streams/event_streams.ts";
import type { ServerAddress } from "./address.ts";
import type { DatagramOptions } from "./streams/datagram.ts";
import type { DatagramAddress } from "./streams/datagram_address.ts";
import type { DatagramSocket } from "./streams/datagram_socket.ts";
import type { ListenOptions, RawServer } from "./streams/listen.ts";
import type { WebSockets, WebSocketsOptions } from "./streams/web_sockets.ts";
import type { WebSocketLike, WebSocketPackage } from "./streams/ws_package.ts";

/** Conversations of an application. */
export class LiveConversations extends LiveResources {
  readonly #life: Lifecycle;

  /** For `open()` only. */
  constructor(life: Lifecycle) {
    super(life);
    this.#life = life;
  }

  /**
   * Event streams (server-sent events) that live through updates, each with a state.
   *
   * @param name 1 to 63 bytes without `#` and `@`
   * @param options what is done with each stream, and how its state is saved and loaded
   * @throws {LuoError} `EEXIST`, `EINVAL`, `EOPNOTSUPP` for a state that this build does not read
   * @throws whatever `open` and `load` throw
   */
  async eventStreams<State = undefined>(
    name: string,
    options: EventStreamsOptions<State> = {},
  ): Promise<EventFeed<State>> {
    return await openEventStreams(this.#life, name, options);
  }

  /**
   * WebSockets that live through updates, each with a state.
   *
   * @param name 1 to 63 bytes without `#` and `@`
   * @param ws the application's own copy of the package: `import * as ws from "npm:ws@8"`
   * @param options what is done with each WebSocket, and how its state is saved and loaded
   * @throws {TypeError} if `ws` is not the package, or a version of it that does not do
   * @throws {LuoError} `EEXIST`, `EINVAL`, `EOPNOTSUPP` for a state that this build does not read
   * @throws whatever `open` and `load` throw
   */
  async webSockets<State, Socket = WebSocketLike>(
    name: string,
    ws: WebSocketPackage,
    options: WebSocketsOptions<State, Socket>,
  ): Promise<WebSockets<State, Socket>> {
    return await openWebSockets(this.#life, name, ws, options);
  }

  /**
   * Listens for connections with a protocol of the application's own, on TCP or a unix socket. They live through updates,
   * each with a state, with what was read and not dealt with (`unread`), and with what the other end has not read.
   *
   * @param name 1 to 63 bytes without `#` and `@`
   * @param address where to listen; a socket of that name and address that was handed over is taken back
   * @param options what is done with each connection, and how its state is saved and loaded
   * @throws {LuoError} `EEXIST`, `EINVAL`, `EOPNOTSUPP` for a state that this build does not read
   * @throws {SysError} `EADDRINUSE` and what else bind(2) answers
   * @throws whatever `open` and `load` throw for a connection that was handed over
   */
  async listen<State = undefined>(
    name: string,
    address: ServerAddress,
    options: ListenOptions<State>,
  ): Promise<RawServer<State>> {
    const { openListen } = await import("./streams/listen.ts");
    return await openListen(this.#life, name, address, options);
  }

  /**
   * Receives and sends datagrams, UDP or unix, on a socket that lives through updates with what waits in it.
   *
   * Nothing is received before `ready()`. From the pause of an update until the next build is ready, what arrives waits in
   * the socket; `receiveBufferBytes` says how much of it there is room for.
   *
   * @param name 1 to 63 bytes without `#` and `@`
   * @param address where to receive; a socket of that name and address that was handed over is taken back
   * @param options what is done with datagrams, and how the socket is made
   * @throws {LuoError} `EEXIST`, `EINVAL`
   * @throws {SysError} `EADDRINUSE` and what else bind(2) and connect(2) answer
   * @throws {RangeError} an address or a size that is none
   */
  async datagram(name: string, address: DatagramAddress, options: DatagramOptions): Promise<DatagramSocket> {
    const { openDatagram } = await import("./streams/datagram.ts");
    return await openDatagram(this.#life, name, address, options);
  }
}
