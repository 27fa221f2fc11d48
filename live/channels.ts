/**
 * Channels in the life of an application: connections without a listener of their own (event streams, WebSockets), or with
 * one, of which each has a state.
 *
 * Happy path: {@linkcode claimChannel} takes what was handed over under a name, and the channel is added like a server.
 *
 * Unhappy paths: a name that is in use is `EEXIST`. In a check nothing is there to be taken; {@linkcode checkChannel} loads
 * a copy of every state instead, and what is wrong with one is in the report.
 *
 * @module
 */
import { LuoError } from "../luo/errors.ts";
import type { About, Taken } from "./http/connections.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { EventFeed, EventStreamsOptions } from "./streams/event_streams.ts";
import type { WebSockets, WebSocketsOptions } from "./streams/web_sockets.ts";
import type { WebSocketPackage } from "./streams/ws_package.ts";
import { takeover } from "./takeover.ts";

/**
 * Takes back the connections of a channel.
 *
 * @param life the application
 * @param name the name of the channel, 1 to 63 bytes without `#` and `@`
 * @returns the connections, the caller's
 * @throws {LuoError} `EEXIST` the name is in use, `EINVAL` it is no name
 */
export function claimChannel(life: Lifecycle, name: string): Taken[] {
  checkName(life, name);
  return life.resources.claimConnections(name);
}

/**
 * Loads copies of the states of a channel's connections, in the check of a build.
 *
 * @param life the application
 * @param name the name of the channel
 * @param load loads one state; throws what is wrong with it
 * @param version the version that this build writes
 * @throws {LuoError} `EEXIST`, `EINVAL`
 */
export function checkChannel(
  life: Lifecycle,
  name: string,
  load: (about: About) => unknown,
  version: number,
): void {
  checkName(life, name);
  takeover.check?.channel(name);
  for (const record of life.resources.aboutConnections(name)) {
    takeover.check?.connection(record.name, record.version, version, () => load(record));
  }
}

function checkName(life: Lifecycle, name: string): void {
  life.resources.checkName(name);
  if (life.ports().some((port) => port.name === name)) {
    throw new LuoError("EEXIST", `Cannot use "${name}" for a channel: it is in use`);
  }
}

/**
 * Opens a channel of WebSockets; see `Live.webSockets`.
 *
 * @param life the application
 * @param name the name of the channel
 * @param ws the application's copy of the package
 * @param options of the channel
 */
export async function openWebSockets<State, Socket>(
  life: Lifecycle,
  name: string,
  ws: WebSocketPackage,
  options: WebSocketsOptions<State, Socket>,
): Promise<WebSockets<State, Socket>> {
  const { WebSocketChannel } = await import("./streams/web_sockets.ts");
  const sockets = new WebSocketChannel<State, Socket>(name, ws, options);
  if (takeover.check === null) life.addPort(sockets.channel(claimChannel(life, name)));
  else checkChannel(life, name, (about) => sockets.check(about), options.version ?? 1);
  return sockets;
}

/**
 * Opens a channel of event streams; see `Live.eventStreams`.
 *
 * @param life the application
 * @param name the name of the channel
 * @param options of the channel
 */
export async function openEventStreams<State>(
  life: Lifecycle,
  name: string,
  options: EventStreamsOptions<State>,
): Promise<EventFeed<State>> {
  const { EventStreams } = await import("./streams/event_streams.ts");
  const streams = new EventStreams<State>(name, options);
  if (takeover.check === null) life.addPort(streams.channel(claimChannel(life, name)));
  else checkChannel(life, name, (about) => streams.check(about), streams.version);
  return streams;
}
