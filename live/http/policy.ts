/**
 * What an update does with the connections of a server: the application says it once for all of them, or for each.
 *
 * Happy path: {@linkcode checkPolicy} when the server is given, {@linkcode askPolicy} for one connection when an update
 * begins.
 *
 * Unhappy paths, all `LuoError`: a word that is no policy is `EINVAL`; a server whose connections have a state in user
 * space (TLS, HTTP/2) and that shall be carried all the same is `EOPNOTSUPP`, and the message says what is allowed.
 *
 * @module
 */
import type { Server, Socket } from "node:net";

import { LuoError } from "../../luo/errors.ts";

/**
 * What an update does with a connection. `carry`: it crosses, in the middle of a request head too. `drain`: everything that
 * was begun is answered, then it crosses. `close`: what is owed is answered, and then the connection is ended politely.
 * `refuse`: while it is open, there is no update.
 */
export type ConnectionPolicy = "carry" | "drain" | "close" | "refuse";

/** One policy for all connections, or a function that is asked for each when an update begins. */
export type PolicyChoice = ConnectionPolicy | ((socket: Socket) => ConnectionPolicy);

const ALL: readonly ConnectionPolicy[] = ["carry", "drain", "close", "refuse"];

/**
 * Does a server speak TLS?
 *
 * @param server any server of `node:net` or above
 */
export function isSecure(server: Server): boolean {
  return "setSecureContext" in server;
}

/**
 * Does a server speak HTTP/1 over TLS?
 *
 * @param server any server of `node:net` or above
 */
export function isSecureHttp(server: Server): boolean {
  return isSecure(server) && "closeIdleConnections" in server && !isHttp2(server);
}

/**
 * Which policies can be kept for the connections of a server?
 *
 * @param server any server of `node:net` or above
 * @returns the policies, and why there are no more
 */
export function policiesFor(server: Server): { allowed: readonly ConnectionPolicy[]; why: string } {
  // What belongs to sessions and streams of HTTP/2 is known to nobody but the runtime, the end of them included.
  if (isHttp2(server)) return { allowed: ["refuse"], why: "HTTP/2 sessions live in user space" };
  if (isSecure(server)) return { allowed: ["close", "refuse"], why: "TLS sessions live in user space" };
  return { allowed: ALL, why: "" };
}

/**
 * Checks what an application has chosen for a server.
 *
 * @param name the name of the server
 * @param server the server
 * @param choice what was chosen
 * @throws {LuoError} `EINVAL` it is no policy, `EOPNOTSUPP` it cannot be kept for this server
 */
export function checkPolicy(name: string, server: Server, choice: PolicyChoice): void {
  if (typeof choice === "function") return;
  const place = `Cannot carry server "${name}"`;
  if (!ALL.includes(choice)) {
    throw new LuoError("EINVAL", `${place}: connections ${JSON.stringify(choice)} is none of ${words(ALL)}`);
  }
  const { allowed, why } = policiesFor(server);
  if (allowed.includes(choice)) return;
  throw new LuoError(
    "EOPNOTSUPP",
    `${place}: ${why}, so its connections cannot cross: say connections: ${words(allowed)}`,
  );
}

/**
 * What shall be done with this connection?
 *
 * @param server its server
 * @param choice what was chosen for that
 * @param socket the connection
 * @throws {LuoError} `EINVAL` the function gave no policy, `EOPNOTSUPP` one that cannot be kept
 * @throws what the function throws
 */
export function askPolicy(server: Server, choice: PolicyChoice, socket: Socket): ConnectionPolicy {
  if (typeof choice !== "function") return choice;
  const policy: unknown = choice(socket);
  const { allowed, why } = policiesFor(server);
  if ((allowed as readonly unknown[]).includes(policy)) return policy as ConnectionPolicy;
  const known = (ALL as readonly unknown[]).includes(policy);
  throw new LuoError(
    known ? "EOPNOTSUPP" : "EINVAL",
    `${JSON.stringify(policy)} is none of ${words(allowed)}${known ? `: ${why}` : ""}`,
  );
}

function isHttp2(server: Server): boolean {
  return "updateSettings" in server;
}

function words(policies: readonly ConnectionPolicy[]): string {
  return policies.map((policy) => `"${policy}"`).join(" or ");
}
