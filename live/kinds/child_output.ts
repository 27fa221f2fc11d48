/**
 * Output of a child: the reading end of a pipe, read by callback until its end.
 *
 * Happy path: what comes is handed on in the order in which it was written, and at the end the name is free and the
 * descriptor closed. What the child writes while an update lets the tap stand still waits in the pipe, and when that is full
 * (64 KiB), so does the child.
 *
 * Unhappy paths: those of a {@linkcode Tap}.
 *
 * @module
 */
import { type OwnedFd, read, SysError } from "../../sys/mod.ts";
import { bytesWaiting } from "../../sys/pipe.ts";
import type { OverduePolicy } from "../port.ts";
import { Tap } from "../streams/tap.ts";

/** So many times output is read before others have a turn. */
const BATCH = 16;

const CHUNK_BYTES = 65_536;

let chunk: Uint8Array<ArrayBuffer> | undefined;

/** What an output needs. */
export interface OutputParts {
  /** The name of its resource. */
  readonly name: string;
  /** The reading end, nonblocking; owned from here on. */
  readonly fd: OwnedFd;
  /** What happens to handlers that are late. */
  readonly overdue: OverduePolicy;
  /** Gets the bytes, which are its own. */
  data(bytes: Uint8Array<ArrayBuffer>): unknown;
  /** The pipe is at its end, and its name free. */
  ended(): void;
  /** Forgets the resource. */
  drop(): void;
  /** No handler is left to wait for. */
  settled(): void;
}

/** Output of a child. */
export class Output extends Tap {
  readonly #parts: OutputParts;
  readonly #fd: OwnedFd;
  #over = false;

  /** @param parts what it needs */
  constructor(parts: OutputParts) {
    super(parts.name, parts.overdue);
    this.#parts = parts;
    this.#fd = parts.fd;
  }

  /** Is nothing to be read any more? */
  get over(): boolean {
    return this.#over;
  }

  override open(): void {
    if (!this.#over) this.watch(this.#fd.fd);
  }

  /** Reads what was in the pipe at this moment, whatever comes behind it. */
  drain(): void {
    for (let left = this.#over ? 0 : bytesWaiting(this.#fd.fd); left > 0 && !this.#over;) {
      const count = this.#read(Math.min(left, CHUNK_BYTES));
      if (count === 0) break;
      left -= count;
    }
    // Nothing comes behind it if that was all: the end is told before the child's.
    if (!this.#over && bytesWaiting(this.#fd.fd) === 0) this.#read(CHUNK_BYTES);
  }

  override close(): void {
    if (this.#over) return;
    this.closeOwing();
    this.#end();
  }

  protected override receive(): boolean {
    let count = 0;
    while (count < BATCH && this.isOn && this.#read(CHUNK_BYTES) > 0) count++;
    return count > 0;
  }

  /** Reads once; answers how many bytes. */
  #read(most: number): number {
    chunk ??= new Uint8Array(CHUNK_BYTES);
    const count = readNow(this.#fd.fd, chunk.subarray(0, most));
    if (count === null) return 0;
    if (count === 0) {
      this.#end();
      this.#parts.ended();
      return 0;
    }
    this.await(this.#parts.data(chunk.slice(0, count)));
    return count;
  }

  #end(): void {
    this.#over = true;
    this.#parts.drop();
    void this.unwatch().then(() => this.#fd[Symbol.dispose]());
    // A handler may have begun something with the last bytes, and an update waits for that.
    queueMicrotask(() => void this.settled().then(() => this.#parts.settled()));
  }
}

/** How many bytes were read, 0 at the end; null when there is nothing now. */
function readNow(fd: number, into: Uint8Array): number | null {
  try {
    return read(fd, into);
  } catch (error) {
    if (error instanceof SysError && error.code === "EAGAIN") return null;
    throw error;
  }
}
