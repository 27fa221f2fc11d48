/**
 * A descriptor that an application reads by a callback: the tap of `live.pipe`, `live.eventfd` and the like.
 *
 * Happy path: `new Source({ … })`, `life.addPort(source)`; it is read when the application is ready.
 *
 * Unhappy paths: those of a {@linkcode Tap}. After {@linkcode Source.close} nothing is read any more.
 *
 * @module
 */
import type { OwnedFd } from "../../sys/mod.ts";
import type { OverduePolicy } from "../port.ts";
import { Tap } from "../streams/tap.ts";

/** What a source needs. */
export interface SourceParts {
  /** The name of the resource. */
  name: string;
  /** The descriptor, nonblocking; owned from here on. */
  fd: OwnedFd;
  /** What happens to handlers that are late when an update quiesces. @default {"refuse"} */
  overdue?: OverduePolicy;
  /**
   * Reads once from the descriptor. Called again and again until it finds nothing, or the tap is closed.
   *
   * @param fd the descriptor, borrowed
   * @returns what the application's handler gave, in a tuple; null when there was nothing to read
   */
  read(fd: number): [result: unknown] | null;
  /** Forgets the resource. */
  drop(): void;
}

/** So many times a source is read before others have a turn. */
const BATCH = 64;

/** A descriptor that is read while its tap is open. */
export class Source extends Tap {
  readonly #parts: SourceParts;
  readonly #fd: OwnedFd;
  #closed: Promise<void> | null = null;

  /** @param parts what it needs */
  constructor(parts: SourceParts) {
    super(parts.name, parts.overdue ?? "refuse");
    this.#parts = parts;
    this.#fd = parts.fd;
  }

  /** The descriptor, borrowed; -1 after the end. */
  get fd(): number {
    return this.#fd.disposed ? -1 : this.#fd.fd;
  }

  override open(): void {
    if (this.#closed === null) this.watch(this.#fd.fd);
  }

  /**
   * Gives the resource up.
   *
   * @returns resolves when its descriptor is closed
   */
  override close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  protected override receive(): boolean {
    for (let count = 0; count < BATCH; count++) {
      if (!this.isOn) return true;
      const found = this.#parts.read(this.#fd.fd);
      if (found === null) return count > 0;
      this.await(found[0]);
    }
    return true;
  }

  async #close(): Promise<void> {
    this.#parts.drop();
    this.closeOwing();
    await this.unwatch();
    this.#fd[Symbol.dispose]();
  }
}
