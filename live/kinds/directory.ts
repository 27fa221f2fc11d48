/**
 * `live.directory`: an open directory that lives through updates, for a service that goes on in it whatever becomes of its path.
 *
 * Happy path: `const root = await live.directory("root", "/srv/current")`; in the next build the same call gives the same
 * directory back, also where `/srv/current` leads elsewhere by now.
 *
 * Unhappy paths: a path that is no directory is `ENOTDIR`. A directory that was removed has nothing in it, and nothing can be
 * put into it.
 *
 * @module
 */
import { type PathState, pathState, statAt } from "../../handlers/file.ts";
import { openFile, type OwnedFd, seek, SysError } from "../../sys/mod.ts";
import { listNames } from "../../sys/proc.ts";
import type { Lifecycle } from "../lifecycle.ts";
import { take } from "../take.ts";

/** An open directory under a name. */
export class LiveDirectory {
  /** Its name. */
  readonly name: string;
  readonly #path: string;
  readonly #directory: OwnedFd;
  readonly #drop: () => void;

  /**
   * For `live` only.
   *
   * @param name its name
   * @param path the absolute path it was asked for
   * @param directory the open directory; owned from here on
   * @param drop takes the name out of the table
   */
  constructor(name: string, path: string, directory: OwnedFd, drop: () => void) {
    this.name = name;
    this.#path = path;
    this.#directory = directory;
    this.#drop = drop;
  }

  /** The descriptor; it stays the directory's. */
  get fd(): number {
    return this.#directory.fd;
  }

  /** Does the path that was asked for still lead to it? `replaced` also where a symbolic link leads elsewhere by now. */
  get path(): PathState {
    return pathState(this.#directory.fd, this.#path);
  }

  /**
   * What is in it, from the beginning.
   *
   * @returns names without `.` and `..`, in the order of the file system; none where the directory was removed
   * @throws {SysError} EIO
   * @throws {TypeError} if it is closed
   */
  list(): string[] {
    try {
      seek(this.fd, 0, "set");
      return listNames(this.fd);
    } catch (error) {
      // ENOTDIR: what stands for it in a check.
      if (error instanceof SysError && ["ENOENT", "ENOTDIR"].includes(error.code)) return [];
      throw error;
    }
  }

  /**
   * The path of something in it, for this process, wherever the directory is now.
   *
   * @param name a name, or a relative path
   * @returns a path through `/proc/self/fd`, good until the directory is closed
   * @throws {TypeError} if it is closed
   */
  at(name: string): string {
    return `/proc/self/fd/${this.fd}/${name}`;
  }

  /** Closes the directory and frees the name. */
  close(): void {
    if (this.#directory.disposed) return;
    this.#drop();
    this.#directory[Symbol.dispose]();
  }
}

/**
 * Takes a directory back, or opens it.
 *
 * @param life the application
 * @param name 1 to 63 bytes without `#` and `@`
 * @param path what is opened when nothing was handed over
 * @throws {LuoError} `EEXIST`, `EINVAL`
 * @throws {SysError} ENOENT, ENOTDIR, EACCES and what else open(2) answers
 */
export async function openDirectory(
  life: Pick<Lifecycle, "resources">,
  name: string,
  path: string,
): Promise<LiveDirectory> {
  const { resources } = life;
  const absolute = path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
  const open = (): OwnedFd => openFile(absolute, { directory: true });
  const directory = await take(resources, name, "directory", open, (handed) => {
    // What was handed over may be gone from its path, and will be taken back all the same.
    return handed && !statAt(absolute)?.isDirectory ? openFile("/dev/null") : open();
  });
  return new LiveDirectory(name, absolute, directory, () => resources.drop(name));
}
