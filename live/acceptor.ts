/**
 * A server that accepts from a listening socket of somebody else, and goes on to accept.
 *
 * Happy path: {@linkcode Acceptor.start}; the server gets a duplicate of the socket, for it closes what it is given.
 *
 * Unhappy path: at the limit of open files accept(2) fails, and this runtime then never accepts again, without a word. So
 * once a second it is looked whether somebody waits in the backlog and nobody was accepted for a second; then the server
 * gets a new duplicate. Whoever waited is accepted as soon as there is a descriptor for him.
 *
 * @module
 */
import { Server as NetServer } from "node:net";

import { dupFd } from "../sys/owned_fd.ts";
import { POLLIN, pollNow } from "../sys/poll.ts";

/** How long somebody may wait in the backlog before that is strange, in milliseconds. */
const PATIENCE_MS = 1000;

/** Accepts for one server. */
export class Acceptor {
  readonly #server: NetServer;
  readonly #listener: number;
  #accepted = 0;
  /** How many were accepted when somebody was seen to wait; null while nobody was. */
  #seen: number | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;

  /**
   * @param server a server that does not listen yet
   * @param listener a listening socket, which outlives this
   */
  constructor(server: NetServer, listener: number) {
    this.#server = server;
    this.#listener = listener;
  }

  /**
   * Accepts from now on.
   *
   * @throws {SysError} EMFILE
   */
  start(): void {
    this.#server.on("connection", () => void this.#accepted++);
    this.#server.listen({ fd: dupFd(this.#listener).release() });
    this.#timer = setInterval(() => this.#look(), PATIENCE_MS);
    Deno.unrefTimer(this.#timer);
  }

  /** Looks no more whether somebody waits. The server is closed by whoever has it. */
  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const waits = ((pollNow([this.#listener], POLLIN)[0] ?? 0) & POLLIN) !== 0;
    const stuck = waits && this.#seen === this.#accepted;
    this.#seen = waits ? this.#accepted : null;
    if (!stuck) return;
    let fd: number;
    try {
      fd = dupFd(this.#listener).release();
    } catch {
      // Still no descriptor: in a second perhaps.
      return;
    }
    // That of an HTTP server would end idle connections as well.
    NetServer.prototype.close.call(this.#server);
    this.#server.listen({ fd });
  }
}
