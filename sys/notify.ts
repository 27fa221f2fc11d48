/**
 * Messages to the service manager, as `sd_notify(3)` sends them: text in a datagram to the socket of `NOTIFY_SOCKET`.
 *
 * Happy path: {@linkcode announceMain} sends, and gives a descriptor that hangs up once the manager has dealt with it.
 *
 * Unhappy paths: nobody listens there, or does not take it: a `SysError`. The manager ignores messages from processes that
 * it does not accept (`NotifyAccess=`), and says so nowhere but in its log.
 *
 * @module
 */

import type { OwnedFd } from "./owned_fd.ts";
import { sendFds, socketPair } from "./scm.ts";
import { connectSocket, createSocket } from "./socket.ts";
import type { SocketAddress } from "./sockaddr.ts";

/** The environment variable that names the socket. */
export const NOTIFY_VARIABLE = "NOTIFY_SOCKET";

/**
 * Announces the main process of the service, and asks the manager to say when it knows (`MAINPID=`, and `BARRIER=1` of
 * systemd 246 and later).
 *
 * @param socket the value of `NOTIFY_SOCKET`: a path, or `@` and the name of an abstract socket
 * @param pid a process of the service
 * @returns a descriptor, the caller's, on which poll(2) reports a hang-up once the manager has dealt with it
 * @throws {SysError} ENOENT or ECONNREFUSED nobody listens, EACCES, EAGAIN its queue is full
 */
export function announceMain(socket: string, pid: number): OwnedFd {
  send(socket, `MAINPID=${pid}`, []);
  using undo = new DisposableStack();
  const [ours, theirs] = socketPair();
  undo.use(ours);
  using _sent = theirs;
  send(socket, "BARRIER=1", [theirs.fd]);
  undo.move();
  return ours;
}

function send(socket: string, text: string, fds: readonly number[]): void {
  const address: SocketAddress = socket.startsWith("@")
    ? { family: "abstract", name: socket.slice(1) }
    : { family: "unix", path: socket };
  using connection = createSocket("unix", "datagram");
  connectSocket(connection.fd, address);
  sendFds(connection.fd, new TextEncoder().encode(text), fds);
}
