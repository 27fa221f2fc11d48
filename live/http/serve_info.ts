/**
 * What a handler is told besides the request: who asks. It is the same for all requests of a connection, so it is made
 * once for each.
 *
 * Unhappy path: the client has left before its first request was looked at: an empty address.
 *
 * @module
 */

import type { Socket } from "node:net";

/** The other end of a connection. */
export type RemoteAddress =
  | { readonly transport: "tcp"; readonly hostname: string; readonly port: number }
  | { readonly transport: "unix"; readonly path: string };

/** What a handler is told besides the request. */
export interface ServeInfo {
  /** The client's address; for a unix socket the path of the server, since its clients rarely have one. */
  readonly remoteAddress: RemoteAddress;
}

const known = new WeakMap<Socket, ServeInfo>();

/**
 * What a handler is told of a connection.
 *
 * @param socket a connection of a `node:http` server
 * @param meet called with a connection of which nobody has asked before
 * @returns always the same object for the same connection
 */
export function infoOf(socket: Socket, meet?: (socket: Socket) => void): ServeInfo {
  const before = known.get(socket);
  if (before !== undefined) return before;
  const info = { remoteAddress: addressOf(socket) };
  known.set(socket, info);
  meet?.(socket);
  return info;
}

function addressOf(socket: Socket): RemoteAddress {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress !== undefined) {
    return { transport: "tcp", hostname: remoteAddress, port: remotePort ?? 0 };
  }
  const { server } = socket as Socket & { server?: { address(): unknown } };
  const path = server?.address();
  if (typeof path === "string") return { transport: "unix", path };
  return { transport: "tcp", hostname: "", port: 0 };
}
