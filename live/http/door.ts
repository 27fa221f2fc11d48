/**
 * The door of a server: while it is shut, those who come wait outside. The kernel and the runtime have accepted them, but no
 * byte of theirs is read and the application has not heard of them; a TLS handshake is not begun either. So they wait as if
 * they were in the listen backlog still, and may cross an exec as they are. To leave them in the backlog itself would need
 * another handle for the listener, and the application would see its server stop and start again.
 *
 * Happy path: {@linkcode Door.shut}; then an exec with {@linkcode Door.duplicates}, or {@linkcode Door.open}, which lets them
 * in as if they had just come.
 *
 * Unhappy path: a server that was closed meanwhile: at the opening, those who wait are sent away.
 *
 * @module
 */
import type { Server, Socket } from "node:net";

import type { OwnedFd } from "../../sys/owned_fd.ts";
import { duplicateOf } from "./connection_set.ts";
import { handleOf } from "./runtime.ts";
import { Tap } from "./tap.ts";

type Emit = Server["emit"];

/** One who waits. */
interface Waiting {
  socket: Socket;
  tap: Tap | null;
}

/** Keeps new connections from a server. */
export class Door {
  readonly #server: Server;
  #waiting: Waiting[] = [];
  #shut = false;
  /** Takes the place of the server's own while the door is shut. */
  #emit: Emit | null = null;
  /** Puts the server's own back. */
  #restore: () => void = () => {};

  /** @param server the server behind it */
  constructor(server: Server) {
    this.#server = server;
  }

  /** How many wait. */
  get size(): number {
    return this.#waiting.length;
  }

  /** From now on, those who come wait. A second call changes nothing. */
  shut(): void {
    if (this.#shut) return;
    this.#shut = true;
    const server = this.#server;
    const own = Object.getOwnPropertyDescriptor(server, "emit");
    this.#restore = () =>
      own ? Object.defineProperty(server, "emit", own) : Reflect.deleteProperty(server, "emit");
    const { emit } = server;
    const guarded = (...args: Parameters<Emit>): boolean => {
      const [event, socket] = args as unknown as [string, Socket];
      if (event === "connection" && this.#shut) return this.#keep(socket);
      return emit.apply(server, args);
    };
    this.#emit = guarded as Emit;
    server.emit = this.#emit;
  }

  /** Lets in those who wait, and whoever comes. */
  open(): void {
    if (!this.#shut) return;
    this.#shut = false;
    // Somebody may have put his own in front meanwhile, which calls this one: it lets everything through now.
    if (this.#server.emit === this.#emit) this.#restore();
    this.#emit = null;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { socket, tap } of waiting) {
      if (!this.#server.listening) {
        socket.destroy();
        continue;
      }
      tap?.open();
      this.#server.emit("connection", socket);
    }
  }

  /**
   * Duplicates of those who wait.
   *
   * @param most how many at most
   * @returns close-on-exec descriptors, in the order in which they came; the caller's
   * @throws {SysError} EMFILE at the limit of open files; then there is none
   */
  duplicates(most: number): OwnedFd[] {
    using owned = new DisposableStack();
    const handles = this.#waiting.slice(0, most).map(({ socket }) => handleOf(socket))
      .filter((handle) => handle !== null);
    const all = handles.map((handle) => owned.use(duplicateOf(handle)));
    owned.move();
    return all;
  }

  #keep(socket: Socket): true {
    const handle = handleOf(socket);
    const tap = handle === null ? null : new Tap(socket, handle);
    tap?.close();
    this.#waiting.push({ socket, tap });
    return true;
  }
}
