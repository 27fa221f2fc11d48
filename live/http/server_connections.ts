/**
 * Which class takes care of the connections of a server.
 *
 * Happy path: {@linkcode uncarriedOf} first, before anything is bound; then {@linkcode connectionsOf}.
 *
 * Unhappy paths: what was said of the connections is no policy, or cannot be kept for this server.
 *
 * @module
 */
import { Server as HttpServer } from "node:http";
import type { Server } from "node:net";

import type { Connections } from "./connections.ts";
import { Conversations } from "./conversations.ts";
import type { Leaver } from "./parting.ts";
import type { PolicyChoice } from "./policy.ts";
import { RawConnections } from "./raw_connections.ts";
import type { Uncarried } from "./uncarried.ts";

/**
 * Who takes care of the connections that do not cross an update as they are.
 *
 * @param name the name of the server
 * @param server a server that is not listening yet
 * @param choice what was said of its connections
 * @returns null where all of them cross
 * @throws {LuoError} `EINVAL` it is no policy, `EOPNOTSUPP` it cannot be kept for this server
 */
export async function uncarriedOf(
  name: string,
  server: Server,
  choice: PolicyChoice = "carry",
): Promise<Uncarried<Leaver> | null> {
  // TLS, HTTP/2: their connections never cross.
  const inUserSpace = "setSecureContext" in server || "updateSettings" in server;
  if (choice === "carry" && !inUserSpace) return null;
  const { Uncarried } = await import("./uncarried.ts");
  return new Uncarried(server, name, choice);
}

/**
 * Watches the connections of a server.
 *
 * @param server a server that is not listening yet
 * @param uncarried who takes care of those that do not cross as they are
 */
export function connectionsOf(server: Server, uncarried: Uncarried<Leaver> | null): Connections {
  if (server instanceof HttpServer) return new Conversations(server, uncarried);
  // A server of node:https is none of node:http, but has all of it.
  if (uncarried?.isSecureHttp) return new Conversations(server as HttpServer, uncarried);
  return new RawConnections(server, uncarried);
}
