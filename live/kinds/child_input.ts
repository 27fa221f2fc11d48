/**
 * Input of a child: the writing end of a pipe. What was written is with the kernel, and crosses there.
 *
 * Happy path: {@linkcode ChildInput.write} until it takes less than there is; then {@linkcode InputParts.drain} is called when
 * there is room again.
 *
 * Unhappy paths: the child has closed its input, or ended: `SysError` with code EPIPE.
 *
 * @module
 */
import { ERRNO, type OwnedFd, SysError, write } from "../../sys/mod.ts";
import { type Watch, watchWritable } from "../../sys/network.ts";

/** What an input needs. */
export interface InputParts {
  /** What the application calls the child, for messages. */
  readonly name: string;
  /** The writing end, nonblocking; owned from here on. */
  readonly fd: OwnedFd;
  /** Was it handed over? Then nothing is written before {@linkcode ChildInput.open}: the build may not stay. */
  readonly handed: boolean;
  /** Called when there is room again. */
  drain?(): void;
  /** Forgets the resource. */
  drop(): void;
}

/** Input of a child. */
export class ChildInput {
  readonly #parts: InputParts;
  #fd: OwnedFd | null;
  #open: boolean;
  /** Was less taken than there was, or may it have been in the build before? */
  #wanted: boolean;
  #paused = false;
  #watch: Watch | null = null;

  /** @param parts what it needs */
  constructor(parts: InputParts) {
    this.#parts = parts;
    this.#fd = parts.fd;
    this.#open = !parts.handed;
    this.#wanted = parts.handed;
  }

  /**
   * Writes what there is room for.
   *
   * @throws {SysError} EPIPE
   */
  write(bytes: Uint8Array): number {
    if (this.#fd === null) throw closedInput(this.#parts.name);
    let done = 0;
    while (this.#open && done < bytes.byteLength) {
      const count = writeNow(this.#fd.fd, bytes.subarray(done));
      if (count === 0) break;
      done += count;
    }
    if (done < bytes.byteLength) {
      this.#wanted = true;
      this.#wait();
    }
    return done;
  }

  /** From now on it is written. */
  open(): void {
    this.#open = true;
    if (this.#wanted) this.#wait();
  }

  /** Nobody is called from now on. */
  pause(): void {
    this.#paused = true;
    this.#watch?.off();
  }

  /** The inverse of {@linkcode ChildInput.pause}. */
  resume(): void {
    this.#paused = false;
    this.#watch?.on();
  }

  /** Closes it: the child reads the end. */
  close(): void {
    const fd = this.#fd;
    if (fd === null) return;
    this.#fd = null;
    this.#parts.drop();
    const ended = this.#watch?.end();
    this.#watch = null;
    if (ended === undefined) fd[Symbol.dispose]();
    else void ended.then(() => fd[Symbol.dispose]());
  }

  #wait(): void {
    const { drain } = this.#parts;
    if (drain === undefined || !this.#open || this.#fd === null || this.#watch !== null) return;
    this.#watch = watchWritable(this.#fd.fd, () => {
      void this.#watch?.end();
      this.#watch = null;
      this.#wanted = false;
      drain.call(this.#parts);
      return true;
    });
    if (this.#paused) this.#watch.off();
  }
}

/** What is said to who writes where nobody reads. */
export function closedInput(name: string): SysError {
  return new SysError("write", ERRNO.EPIPE, `to child "${name}"`);
}

/** How many bytes there was room for. */
function writeNow(fd: number, bytes: Uint8Array): number {
  try {
    return write(fd, bytes);
  } catch (error) {
    if (error instanceof SysError && error.code === "EAGAIN") return 0;
    throw error;
  }
}
