/**
 * What files looked like at a moment, to find out cheaply whether they were touched since.
 *
 * Happy path: {@linkcode Stamps.capture} when a build has started, {@linkcode Stamps.changed} when an update is asked for:
 * an empty list means that the files are still those that run.
 *
 * Unhappy paths: a file that is gone, was replaced, or cannot be looked at any more counts as changed. A file that was
 * touched and has the same content does too: whoever needs to know reads it. The runtime tells mtime to the millisecond and
 * ctime to the second: a file that is overwritten in place with as many bytes, and whose mtime is set back, is missed if
 * that happens within the second of its last change.
 *
 * @module
 */

/** A file as it was seen: all that is compared as one text, and when it was last touched; null where there was none. */
type Stamp = { readonly key: string; readonly touched: number } | null;

/** Device, inode, size, mtime and ctime of some files, behind symlinks. */
export class Stamps {
  readonly #stamps: ReadonlyMap<string, Stamp>;

  private constructor(stamps: ReadonlyMap<string, Stamp>) {
    this.#stamps = stamps;
  }

  /**
   * Looks at files.
   *
   * @param paths the files; one that is not there is remembered as such
   * @returns what they look like now
   */
  static async capture(paths: readonly string[]): Promise<Stamps> {
    return new Stamps(
      new Map(await Promise.all(paths.map(async (path) => [path, await look(path)] as const))),
    );
  }

  /**
   * Looks at the same files again.
   *
   * @returns the paths of those that are gone, replaced or touched, in the order of the capture
   */
  async changed(): Promise<string[]> {
    const now = await Promise.all([...this.#stamps.keys()].map(look));
    return [...this.#stamps].flatMap(([path, then], at) => then?.key === now[at]?.key ? [] : [path]);
  }

  /**
   * When the last of the files was changed in any way. That is its ctime, which cannot be set: a file that was unpacked or
   * copied with an old mtime is new.
   *
   * @returns the latest such time, up to a second early; null if there was no file
   */
  newest(): Date | null {
    const times = [...this.#stamps.values()].flatMap((stamp) => stamp === null ? [] : [stamp.touched]);
    return times.length === 0 ? null : new Date(Math.max(...times));
  }
}

async function look(path: string): Promise<Stamp> {
  try {
    const { dev, ino, size, mtime, ctime } = await Deno.stat(path);
    const [modified, changed] = [mtime?.getTime() ?? 0, ctime?.getTime() ?? 0];
    // In the second of the ctime, the mtime is the same moment, told more exactly.
    const touched = Math.floor(modified / 1000) === Math.floor(changed / 1000) ? modified : changed;
    return { key: [dev, ino, size, modified, changed].join(), touched: Math.max(touched, changed) };
  } catch {
    return null;
  }
}
