/**
 * A tap on one descriptor: what there is to read is handed to the application while it is open and no update lets it stand
 * still. Everything else waits in the kernel, and crosses there.
 *
 * Happy path: until `ready()` the tap is closed. {@linkcode Tap.watch} opens it; `receive` is called whenever there is
 * something. An update closes the tap, waits for what the application has promised, and jumps.
 *
 * Unhappy paths: a handler throws: an uncaught error, like one of an event listener. A promise that is not settled at the
 * deadline of the quiescing refuses the update, or is forgotten, as the application said. The update is refused: the tap
 * opens again.
 *
 * @module
 */
import { monotonicNs, type OwnedFd } from "../../sys/mod.ts";
import { type Watch, watchReadable } from "../../sys/network.ts";
import type { Connections, Taken } from "../http/connections.ts";
import type { Carrier, OverduePolicy, PortOptions } from "../port.ts";

/** A tap; it has no connections, but handlers under way, which an update waits for. */
export abstract class Tap implements Carrier, Connections {
  /** The name of the resource. */
  readonly name: string;
  /** How patient an update is with handlers. */
  readonly options: PortOptions;
  /** Itself: an update asks it as it asks the connections of a server. */
  readonly connections: Connections = this;
  readonly #pending = new Set<Promise<unknown>>();
  #watch: Watch | null = null;
  #change: PromiseWithResolvers<void> | null = null;
  #pausedNs: bigint | null = null;

  /**
   * @param name the name of the resource
   * @param overdue what happens to handlers that are late
   */
  constructor(name: string, overdue: OverduePolicy) {
    this.name = name;
    this.options = { overdue };
  }

  /** Opens the tap. */
  abstract open(): void;
  /** Gives the resource up. */
  abstract close(): void;
  /** Reads what is there, up to a limit, and answers whether something was there. */
  protected abstract receive(): boolean;

  /** There is nothing to listen for. */
  listen(): void {}

  /** It has no connections. */
  get size(): number {
    return 0;
  }

  /** How many promises of handlers are not settled. */
  get owing(): number {
    return this.#pending.size;
  }

  /** See `Carrier.owed`. */
  owed(count: number): string {
    if (count === 1) return `1 handler of "${this.name}" is not done`;
    return `${count} handlers of "${this.name}" are not done`;
  }

  /** Nothing is read from now on. */
  pause(): void {
    this.#pausedNs ??= monotonicNs();
    this.#watch?.off();
  }

  /** The inverse of {@linkcode Tap.pause}. */
  resume(): void {
    this.#pausedNs = null;
    this.#watch?.on();
  }

  /** Resolves when no promise is left. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) {
      this.#change ??= Promise.withResolvers();
      await this.#change.promise;
    }
  }

  /** Since when it stands still, or null. */
  stalledSinceNs(): bigint | null {
    return this.#pausedNs;
  }

  /** Waits for no promise any more; gives their number. */
  closeOwing(): number {
    const count = this.#pending.size;
    this.#pending.clear();
    this.#announce();
    return count;
  }

  /** None: the descriptor itself is a resource of its own name. */
  takeDescriptors(): Taken[] {
    return [];
  }

  /** There are none to adopt. */
  adopt(fd: OwnedFd): void {
    throw new TypeError(`Cannot adopt fd ${fd.fd}: "${this.name}" has no connections`);
  }

  /** Is the tap open, so that what is there may be read? */
  protected get isOn(): boolean {
    return this.#watch?.isOn ?? false;
  }

  /**
   * Opens the tap on a descriptor, unless an update lets it stand still.
   *
   * @param fd borrowed until {@linkcode Tap.unwatch} resolves
   */
  protected watch(fd: number): void {
    this.#watch = watchReadable(fd, () => this.receive());
    if (this.#pausedNs !== null) this.#watch.off();
  }

  /** Closes the tap for good. Resolves when the descriptor may be closed. */
  protected async unwatch(): Promise<void> {
    const watch = this.#watch;
    this.#watch = null;
    await watch?.end();
  }

  /** An update waits for what a handler has given, if it is a promise. */
  protected await(result: unknown): void {
    if (typeof (result as PromiseLike<unknown> | undefined)?.then !== "function") return;
    // What it rejects with stays what it is: a rejection that nobody handles.
    const done = Promise.resolve(result).finally(() => {
      this.#pending.delete(done);
      this.#announce();
    });
    this.#pending.add(done);
  }

  #announce(): void {
    if (this.#pending.size > 0) return;
    this.#change?.resolve();
    this.#change = null;
  }
}
