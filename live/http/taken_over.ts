/**
 * Sockets of an HTTP server that somebody else goes on with: an event stream, a WebSocket. From then on the server's
 * connections neither wait for them nor carry them nor touch their taps.
 *
 * @module
 */
import type { Socket } from "node:net";

const takenOver = new WeakSet<Socket>();

/**
 * Says that a socket belongs to somebody else from now on.
 *
 * @param socket a socket of an HTTP server
 */
export function takeOver(socket: Socket): void {
  takenOver.add(socket);
}

/**
 * Does a socket belong to somebody else?
 *
 * @param socket any socket
 */
export function isTakenOver(socket: Socket): boolean {
  return takenOver.has(socket);
}
