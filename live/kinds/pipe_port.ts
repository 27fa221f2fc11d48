/**
 * A pipe or a FIFO in use: what comes out of it goes to the application while its tap is open, what the application writes
 * goes in as far as there is room. Nothing here waits for another process.
 *
 * Unhappy paths:
 * 1. The last writer of a FIFO has gone: another one may come. The descriptor would say "the end" from now on for ever, also
 *    in the next build; a new description of the same FIFO takes its place, which says so once for each time.
 * 2. There is no descriptor left for that: the FIFO is looked at now and then, until a writer comes.
 * 3. An end is closed while an update is on probation: the other side learns of it at the commit.
 *
 * @module
 */
import { type PathState, pathState } from "../../handlers/file.ts";
import { bytesWaiting, type OwnedFd, pipeCapacity, read, SysError, write } from "../../sys/mod.ts";
import { type PipeAccess, reopenPipe } from "../../sys/pipe.ts";
import { POLLIN, pollNow } from "../../sys/poll.ts";
import type { OverduePolicy } from "../port.ts";
import { Tap } from "../streams/tap.ts";
import { PipeEnd } from "./pipe_end.ts";
import type { LivePipe, PipeHandlers } from "./pipe_types.ts";

/** So many times a pipe is read before others have a turn. */
const BATCH = 64;

/** Most bytes that are read at once: a whole pipe, unless it was made larger. */
const CHUNK_BYTES = 65_536;

/** Filled and copied from within one call. */
let buffer: Uint8Array<ArrayBuffer> | undefined;

/** Milliseconds between two attempts to write into a full pipe, at most. */
const LONGEST_PAUSE_MS = 20;

/** What a pipe needs to know of its surroundings. */
export interface PipeParts {
  /** Its name. */
  name: string;
  /** The carried descriptors, owned from here on; one and the same for a FIFO that is read and written. */
  ends: { read: OwnedFd | null; write: OwnedFd | null };
  /** Is this a check, where nothing is real? */
  checking: boolean;
  /** The absolute path of a FIFO, or null. */
  path: string | null;
  /** What the application does with what comes out. */
  handlers: PipeHandlers;
  /** What happens to handlers that are late. */
  overdue: OverduePolicy;
  /** Makes the pipe what this build wants it to be, just before the tap opens. */
  settle(fd: number): void;
  /** Carries another descriptor as that end from now on, or none. A FIFO is its end for reading, whatever it is for. */
  carry(which: "read" | "write", fd: number | null): void;
  /** Forgets the pipe. */
  drop(): void;
}

/** A carried pipe. */
export class PipePort extends Tap implements LivePipe {
  readonly #parts: PipeParts;
  #read: PipeEnd | null;
  #write: PipeEnd | null;
  #open = false;
  #endTold = false;
  /** The last of what is written as soon as there is room. */
  #queue: Promise<unknown> = Promise.resolve();
  #queued = 0;
  #closed: Promise<void> | null = null;

  /** @param parts what it needs */
  constructor(parts: PipeParts) {
    super(parts.name, parts.overdue);
    this.#parts = parts;
    const { read, write } = parts.ends;
    const both = read === write;
    this.#read = read === null ? null : new PipeEnd(read, { read: true, write: both });
    this.#write = both || write === null ? null : new PipeEnd(write, { read: false, write: true });
    if (both) this.#write = this.#read;
    // Whatever is missing is to be missing now, and not when the tap opens.
    if (parts.handlers.data !== undefined) void this.#read?.fd;
  }

  get readFd(): number {
    return this.#read?.carried.fd ?? -1;
  }

  get writeFd(): number {
    return this.#write?.carried.fd ?? -1;
  }

  get path(): PathState | null {
    const fd = this.#anyFd;
    return fd === -1 || this.#parts.path === null ? null : pathState(fd, this.#parts.path);
  }

  get waiting(): number {
    return this.#anyFd === -1 ? 0 : bytesWaiting(this.#anyFd);
  }

  get capacity(): number {
    return this.#anyFd === -1 ? 0 : pipeCapacity(this.#anyFd);
  }

  get #anyFd(): number {
    return Math.max(this.readFd, this.writeFd);
  }

  read(): Uint8Array<ArrayBuffer> | null {
    if (this.#parts.handlers.data !== undefined) {
      throw new TypeError(`Cannot read from pipe "${this.name}": what comes out of it goes to data`);
    }
    if (this.#parts.checking) return null;
    if (this.#read === null) throw closed("read from", this.name, "reading");
    if (!this.#open || this.stalledSinceNs() !== null) return null;
    const chunk = this.#chunk(this.#read);
    if (chunk?.byteLength === 0) this.#forgetWriters(this.#read);
    return chunk;
  }

  write(bytes: Uint8Array): number {
    if (this.#parts.checking) return bytes.byteLength;
    return this.#queued > 0 ? 0 : this.#put(bytes);
  }

  writeAll(bytes: Uint8Array): Promise<void> {
    if (this.#parts.checking) return Promise.resolve();
    const own = bytes.slice();
    this.#queued++;
    const done = this.#queue.then(() => this.#putAll(own)).finally(() => void this.#queued--);
    // It is the caller who hears of a failure.
    this.#queue = done.catch(() => {});
    this.await(this.#queue);
    return done;
  }

  override open(): void {
    this.#open = true;
    if (this.#anyFd === -1) return;
    this.#parts.settle(this.#anyFd);
    if (this.#read !== null && this.#parts.handlers.data !== undefined) this.watch(this.#read.fd);
  }

  async closeRead(): Promise<void> {
    const end = this.#read;
    if (end === null) return;
    if (this.#write === null) return await this.close();
    if (end === this.#write) this.#write = this.#reopen(end, { read: false, write: true });
    else this.#parts.carry("read", null);
    this.#read = null;
    await this.unwatch();
    end.close();
  }

  async closeWrite(): Promise<void> {
    await this.#queue;
    const end = this.#write;
    if (end === null) return;
    if (this.#read === null) return await this.close();
    if (end === this.#read) {
      const fresh = this.#reopen(end, { read: true, write: false });
      this.#write = null;
      return await this.#replace(end, fresh);
    }
    this.#parts.carry("write", null);
    this.#write = null;
    end.close();
  }

  override close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  /** Reads what is there, up to a limit. Answers whether something was there. */
  protected override receive(): boolean {
    for (let count = 0; count < BATCH; count++) {
      if (!this.isOn || this.#read === null) return true;
      const chunk = this.#chunk(this.#read);
      if (chunk === null) return count > 0;
      if (chunk.byteLength === 0) {
        this.#end(this.#read);
        return count > 0;
      }
      this.#endTold = false;
      this.await(this.#parts.handlers.data?.(chunk, this));
    }
    return true;
  }

  #chunk(end: PipeEnd): Uint8Array<ArrayBuffer> | null {
    // A FIFO that nobody has opened for writing yet reads like one whose last writer is gone.
    const [bits = 0] = pollNow([end.fd], POLLIN);
    if (bits === 0) return null;
    buffer ??= new Uint8Array(CHUNK_BYTES);
    try {
      return buffer.slice(0, read(end.fd, buffer));
    } catch (error) {
      if (error instanceof SysError && error.code === "EAGAIN") return null;
      throw error;
    }
  }

  #end(end: PipeEnd): void {
    if (end.anonymous) void this.unwatch();
    const told = this.#endTold;
    this.#endTold = !this.#forgetWriters(end);
    if (!told) this.await(this.#parts.handlers.end?.(this));
  }

  /** The writers of a FIFO are gone; the next ones are others. Answers whether the pipe can tell. */
  #forgetWriters(end: PipeEnd): boolean {
    if (end.anonymous) return true;
    try {
      const fresh = this.#reopen(end, { read: true, write: false });
      void this.#replace(end, fresh);
      return true;
    } catch (error) {
      if (error instanceof SysError) return false;
      throw error;
    }
  }

  /** Another description of a FIFO, carried instead of the one that there is. */
  #reopen(end: PipeEnd, access: PipeAccess): PipeEnd {
    using undo = new DisposableStack();
    const fresh = undo.use(reopenPipe(end.carried.fd, access));
    undo.defer(() => this.#parts.carry("read", end.carried.fd));
    this.#parts.carry("read", fresh.fd);
    undo.move();
    return new PipeEnd(fresh, access);
  }

  async #replace(old: PipeEnd, fresh: PipeEnd): Promise<void> {
    this.#read = fresh;
    const ended = this.unwatch();
    if (this.#open && this.#parts.handlers.data !== undefined) this.watch(fresh.fd);
    await ended;
    old.close();
  }

  #put(bytes: Uint8Array): number {
    if (this.#write === null) throw closed("write to", this.name, "writing");
    if (bytes.byteLength === 0) return 0;
    try {
      return write(this.#write.fd, bytes);
    } catch (error) {
      if (error instanceof SysError && error.code === "EAGAIN") return 0;
      throw error;
    }
  }

  async #putAll(bytes: Uint8Array): Promise<void> {
    for (let at = 0, pauseMs = 1;;) {
      const count = this.#put(bytes.subarray(at));
      at += count;
      if (at >= bytes.byteLength) return;
      pauseMs = count > 0 ? 1 : Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      const pause = pauseMs;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  async #close(): Promise<void> {
    const ends = new Set([this.#read, this.#write]);
    this.#read = null;
    this.#write = null;
    this.#parts.drop();
    this.closeOwing();
    await this.unwatch();
    for (const end of ends) end?.close();
  }
}

function closed(action: string, name: string, what: string): TypeError {
  return new TypeError(`Cannot ${action} pipe "${name}": its end for ${what} is closed`);
}
