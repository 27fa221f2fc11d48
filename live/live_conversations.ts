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
import type { EventFeed, EventStreamsOptions } from "./streams/event_streams.ts";
import type { WebSockets, WebSocketsOptions } from "./streams/web_sockets.ts";
import type { WebSocketLike, WebSocketPackage } from "./streams/ws_package.ts";

/** Conversations of an application. */
export class LiveConversations {
  readonly #life: Lifecycle;

  /** For `open()` only. */
  constructor(life: Lifecycle) {
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
}
