/**
 * The bridge from an HTTP request that asks for a WebSocket to a web-standard handler: it is asked like for any other
 * request, and answers with a `Response` that hands the connection on to a channel of WebSockets, or with an ordinary one.
 *
 * Happy path: `createServer(UPGRADING, requestListener(handler))` and `server.on("upgrade", upgradeListener(handler))`; the
 * handler returns what `upgrade()` of a channel gives.
 *
 * Unhappy paths:
 * 1. An ordinary response: it is written as one, and the connection ends with it, for its parser is gone.
 * 2. A request for another protocol (`h2c`), or in an application without WebSockets: no upgrade, but a request like any
 *    other ({@linkcode UPGRADING}).
 * 3. The connection cannot be handed on: the handler's `onError` answers, by default with 500.
 * 4. The client leaves while the handler thinks: nobody reads meanwhile, so that is found when it has answered.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { type IncomingMessage, type ServerOptions, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

import { type BridgeOptions, type FetchHandler, requestListener } from "./fetch_bridge.ts";
import { handedOn } from "./handed_on.ts";

let expected = false;

/** Requests whose connection is nobody's until the handler has answered. */
const upgrading = new WeakSet<IncomingMessage>();

/** Says that this application has WebSockets. Until then a request for one is a request like any other. */
export function expectUpgrades(): void {
  expected = true;
}

/**
 * Options of a server of `node:http` that emits `upgrade` for a request for a WebSocket, where this application has them,
 * and `request` for all others. (The types of the runtime do not know of them.)
 */
export const UPGRADING: ServerOptions = { shouldUpgradeCallback: isUpgrade } as ServerOptions;

function isUpgrade(req: IncomingMessage): boolean {
  if (!expected || req.method !== "GET") return false;
  const wanted = (req.headers.upgrade ?? "").split(",");
  return wanted.some((protocol) => protocol.trim().toLowerCase() === "websocket");
}

/**
 * Could the connection of a request be handed on?
 *
 * @param req a request
 * @returns whether it came through {@linkcode upgradeListener}
 */
export function isUpgrading(req: IncomingMessage): boolean {
  return upgrading.has(req);
}

/**
 * Makes a listener for the `upgrade` event of a `node:http` server.
 *
 * @param handler answers each request
 * @param options what to do when it fails
 * @returns the listener; it never throws
 */
export function upgradeListener(
  handler: FetchHandler,
  options: BridgeOptions = {},
): (req: IncomingMessage, socket: Duplex, head: Buffer) => void {
  return (req, duplex, head): void => {
    const socket = duplex as Socket;
    upgrading.add(req);
    const res = new ServerResponse(req);
    res.shouldKeepAlive = false;
    res.assignSocket(socket);
    res.once("finish", () => {
      res.detachSocket(socket);
      socket.destroySoon();
    });
    const answer: FetchHandler = async (request, info) => {
      const response = await handler(request, info);
      const goOn = handedOn(response);
      if (goOn === undefined) return response;
      if (!socket.destroyed) goOn(req, socket, head);
      res.detachSocket(socket);
      // There is nothing to send: this answer never comes.
      return await new Promise<never>(() => {});
    };
    requestListener(answer, options)(req, res);
  };
}
