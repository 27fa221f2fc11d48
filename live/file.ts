/**
 * An open file that survives updates, with its position, its flags and its locks.
 *
 * Happy path: `const log = await live.file("log", "app.log", { append: true, create: true })`, then `log.write(bytes)`.
 *
 * Unhappy paths: a file whose path was replaced or unlinked stays the file that was opened; {@linkcode LiveFile.path}
 * says so, and {@linkcode LiveFile.reopen} follows the path. Errors of the system are `SysError`s.
 *
 * Calls are synchronous: what they move goes to or comes from the page cache, and nothing is in flight at a jump.
 *
 * @module
 */
import { type PathState, pathState, statAt } from "../handlers/file.ts";
import { LuoError } from "../luo/errors.ts";
import {
  describeFd,
  fstat,
  openFile,
  type OwnedFd,
  read,
  seek,
  setNonblocking,
  sync,
  SysError,
  truncate,
  type Whence,
  writeAll,
} from "../sys/mod.ts";

/** Takes what is written and gives nothing. */
const NOWHERE = "/dev/null";

/** How a file is opened when it was not handed over. */
export interface LiveFileOptions {
  /** Open for reading. @default {false} where it is written, {true} otherwise */
  read?: boolean;
  /** Open for writing. @default {false} */
  write?: boolean;
  /** Every write goes to the end; implies `write`. @default {false} */
  append?: boolean;
  /** Create it if it is not there; implies `write`. @default {false} */
  create?: boolean;
  /** Empty it; implies `write`. Only when it is opened, never when it is taken over. @default {false} */
  truncate?: boolean;
  /** Permission bits of a new file, before the umask. @default {0o666} */
  mode?: number;
}

/** An open file under a name. */
export class LiveFile {
  /** Its name. */
  readonly name: string;
  readonly #path: string;
  readonly #options: LiveFileOptions;
  readonly #swap: (fd: number | null) => void;
  #file: OwnedFd;

  /**
   * For `live` only.
   *
   * @param name its name
   * @param path the path it was asked for
   * @param options how it is opened
   * @param file the open file; owned from here on
   * @param swap puts another descriptor behind the name, or none
   */
  constructor(
    name: string,
    path: string,
    options: LiveFileOptions,
    file: OwnedFd,
    swap: (fd: number | null) => void,
  ) {
    this.name = name;
    // Relative to where the application was then, wherever it may be later.
    this.#path = path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
    this.#options = options;
    this.#file = file;
    this.#swap = swap;
  }

  /** The descriptor; it stays the file's. */
  get fd(): number {
    return this.#file.fd;
  }

  /** Does the path under which it was opened still lead to it? */
  get path(): PathState {
    return pathState(this.#file.fd, this.#path);
  }

  /** Writes all bytes at the position, or at the end of a file opened for appending. Text is written as UTF-8. */
  write(data: Uint8Array | string): void {
    writeAll(this.#file.fd, typeof data === "string" ? new TextEncoder().encode(data) : data);
  }

  /**
   * Reads at the position.
   *
   * @returns how many bytes were read; 0 at the end
   */
  read(into: Uint8Array): number {
    return read(this.#file.fd, into);
  }

  /** Moves the position and returns it, in bytes from the beginning. */
  seek(offset: number, whence: Whence = "set"): number {
    return seek(this.#file.fd, offset, whence);
  }

  /** Cuts or extends the file. */
  truncate(size: number): void {
    truncate(this.#file.fd, size);
  }

  /** Waits until the content is on the disk. */
  sync(): void {
    sync(this.#file.fd);
  }

  /** Opens the path anew, as after a rotation of logs, and closes the old file. */
  reopen(): void {
    const file = openLiveFile(this.#path, { ...this.#options, truncate: false });
    const old = this.#file;
    try {
      this.#swap(file.fd);
    } catch (error) {
      // What the path leads to now cannot be carried: everything stays as it was.
      file[Symbol.dispose]();
      this.#swap(old.fd);
      throw error;
    }
    this.#file = file;
    old[Symbol.dispose]();
  }

  /** Closes the file and frees the name. */
  close(): void {
    if (this.#file.disposed) return;
    this.#swap(null);
    this.#file[Symbol.dispose]();
  }
}

/**
 * What is opened instead of a file when a build is checked: the file itself for reading, `/dev/null` for everything else.
 *
 * @param path the path that was asked for
 * @param options how it would be opened
 * @param handed was it handed over? Then it may be gone by now, and will be taken back all the same
 */
export function checkedPath(path: string, options: LiveFileOptions, handed: boolean): string {
  const writes = options.write || options.append || options.create || options.truncate;
  return writes || (handed && statAt(path) === null) ? NOWHERE : path;
}

/**
 * Opens a file as {@linkcode LiveFileOptions} say. Nobody waits for the other end of a FIFO.
 *
 * @throws {LuoError} `ENOENT` for a FIFO, which is not touched, and for a socket
 * @throws {SysError} ENOENT, EACCES and what else open(2) answers
 */
export function openLiveFile(path: string, options: LiveFileOptions): OwnedFd {
  const write = options.write ?? (options.append || options.create || options.truncate || false);
  const how = {
    read: options.read ?? !write,
    write,
    append: options.append ?? false,
    create: options.create ?? false,
    truncate: options.truncate ?? false,
    mode: options.mode ?? 0o666,
  };
  // Who waits for the other end of a FIFO would find it for a moment.
  if (statAt(path)?.isFifo) throw notRegular(path);
  try {
    // One that was put there since is not waited for either.
    const file = openFile(path, { ...how, nonblocking: true });
    setNonblocking(file.fd, false);
    return file;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (error.code === "ENXIO") throw notRegular(path, error);
    // Another process has a lease on it (fcntl(2)), which the kernel ends in time.
    if (error.code === "EAGAIN") return openFile(path, how);
    throw error;
  }
}

function notRegular(path: string, cause?: SysError): LuoError {
  const message = `Cannot open ${JSON.stringify(path)} as a file: it is no regular file`;
  return new LuoError("ENOENT", message, cause === undefined ? {} : { cause });
}

/**
 * Checks that a path has led to a regular file: other kinds have other methods.
 *
 * @param name what the application calls it, for messages
 * @param fd the open file, borrowed
 * @throws {LuoError} `ENOENT`
 */
export function checkRegular(name: string, fd: number): void {
  if (fstat(fd).kind === "file") return;
  throw new LuoError("ENOENT", `Cannot take "${name}" as a file: it is ${describeFd(fd)}`);
}
