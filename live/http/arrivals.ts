/**
 * The connections of a TLS server whose handshake is under way: the server has not told its application of them.
 *
 * Happy path: a handshake takes milliseconds, and the connection is one like the others then.
 *
 * Unhappy path: whoever connects and says nothing must not hold up an update: {@linkcode Arrivals.turnAway}.
 *
 * @module
 */
import type { Server, Socket } from "node:net";

import { bottomOf } from "./runtime.ts";

/** How long a handshake may take when an update waits for it (ms). */
const PATIENCE_MS = 1000;

/** Watches the handshakes of one server. */
export class Arrivals {
  readonly #since = new Map<Socket, number>();

  /** @param server a TLS server that is not listening yet */
  constructor(server: Server) {
    server.on("connection", (socket) => {
      this.#since.set(socket, performance.now());
      socket.once("close", () => this.#since.delete(socket));
    });
    server.on("secureConnection", (socket: Socket) => this.#since.delete(bottomOf(socket)));
  }

  /** How many handshakes are under way. */
  get size(): number {
    return this.#since.size;
  }

  /**
   * Ends those that have taken too long.
   *
   * @returns how many
   */
  turnAway(): number {
    const latest = performance.now() - PATIENCE_MS;
    const late = [...this.#since].filter(([, since]) => since <= latest);
    for (const [socket] of late) {
      this.#since.delete(socket);
      socket.destroy();
    }
    return late.length;
  }
}
