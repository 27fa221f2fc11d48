/**
 * Copies of builds that can still be started when their files were overwritten.
 *
 * Happy path: {@linkcode Snapshots.take} copies the local modules and configurations of a build under their whole paths, so
 * that relative imports lead to copies. Assets beside them, and every `node_modules`, are symlinks to the originals, so that
 * the build finds what it reads relative to its modules. {@linkcode Snapshot.path} says where the copy of a file is.
 *
 * A snapshot appears whole or not at all: it is made under another name and renamed. Builds with the same fingerprint
 * in different places get snapshots of their own.
 *
 * Unhappy paths:
 * 1. A file is gone, cannot be read, or is not what it was when the build started: an `Error`, and nothing stays behind.
 * 2. No space, no right to write: the same. A process that is killed in the middle leaves a folder that `prune` removes.
 * 3. What a build imports by an absolute path or URL is not redirected; assets and packages are not copied: it gets all these
 *    as they are then. What it creates, or replaces by a rename, directly beside its modules, ends up in the snapshot.
 *
 * @module
 */
import { copyFiles, linkNeighbours, normalize, planCopy, type SnapshotSource } from "./snapshot_copy.ts";

export type { SnapshotSource } from "./snapshot_copy.ts";

/** A copy of a build. */
export class Snapshot {
  /** The folder under which the paths of the originals begin, without symlinks in it. */
  readonly root: string;

  /**
   * A copy of a build.
   *
   * @param root the folder; resolved
   */
  constructor(root: string) {
    this.root = root;
  }

  /**
   * Where the copy of a file is.
   *
   * @param original path of the original; one of a copy in this snapshot is its own copy
   * @returns the path, whether or not there is such a copy
   * @throws {TypeError} if the path is not absolute
   */
  path(original: string): string {
    const path = normalize(original);
    return path.startsWith(`${this.root}/`) ? path : this.root + path;
  }

  /**
   * Is there a copy of this file, and not just a way to the original?
   *
   * @param original path of the original, or of the copy
   * @throws {TypeError} if the path is not absolute
   */
  has(original: string): boolean {
    const path = this.path(original);
    try {
      return Deno.lstatSync(path).isFile && Deno.realPathSync(path) === path;
    } catch {
      return false;
    }
  }
}

/** The first digits of the fingerprint, and a number where that name was taken. */
const NAME = /^([0-9a-f]{16})(?:-\d+)?$/;

const TEMPORARY = /^[0-9a-f]{16}-[0-9a-f-]{36}\.tmp$/;

/** After so many milliseconds nobody is still at work on a temporary folder. */
const ABANDONED_MS = 600_000;

/** The snapshots of one service, in one folder. */
export class Snapshots {
  readonly #folder: string;

  /**
   * The snapshots in a folder.
   *
   * @param folder where they are; made when the first one is taken, for this user alone
   */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Copies a build. Where that was done before, only what has come to lie beside its modules since then is linked.
   *
   * @param fingerprint of the build, in lower-case hexadecimal; it must cover all that is copied
   * @param source what to copy
   * @returns the snapshot, complete
   * @throws {Error} with the file and what is wrong with it; no part of a new snapshot was left behind
   * @throws {TypeError} if the fingerprint or a path is not of the right form
   */
  async take(fingerprint: string, source: SnapshotSource): Promise<Snapshot> {
    const name = nameOf(fingerprint);
    const plan = planCopy(source);
    const temporary = temporaryPath(this.#folder, name);
    try {
      const present = this.#holding(name, plan.files);
      if (present !== null) {
        // A build that runs from this snapshot is its own original.
        const isOriginal = (file: string): boolean => !file.startsWith(`${present.root}/`);
        const [files, packaged] = [plan.files.filter(isOriginal), plan.packaged.filter(isOriginal)];
        await linkNeighbours({ ...plan, files, packaged }, present.root);
        return present;
      }
      await Deno.mkdir(this.#folder, { recursive: true, mode: 0o700 });
      if (((await Deno.stat(this.#folder)).mode ?? 0) & 0o077) await Deno.chmod(this.#folder, 0o700);
      await Deno.mkdir(temporary, { mode: 0o700 });
      await copyFiles(plan.files, temporary, source.expect);
      await linkNeighbours(plan, temporary);
      return await this.#publish(temporary, name, plan.files);
    } catch (error) {
      await remove(temporary).catch(() => undefined);
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`Cannot take a snapshot of the build: ${reason}`, { cause: error });
    }
  }

  /**
   * A snapshot that was taken before.
   *
   * @param fingerprint of the build, in lower-case hexadecimal
   * @param original path of a file that it must hold a copy of: builds in different places can have the same fingerprint
   * @returns the snapshot, or null if there is none that can be read
   * @throws {TypeError} if the fingerprint is not one, or the path is not absolute
   */
  find(fingerprint: string, original?: string): Snapshot | null {
    const name = nameOf(fingerprint);
    const files = original === undefined ? [] : [normalize(original)];
    try {
      return this.#holding(name, files);
    } catch {
      // A folder that cannot be read holds nothing that could be started.
      return null;
    }
  }

  /**
   * Removes all snapshots but some, and what a `take` left that was killed.
   *
   * @param keep what stays: a fingerprint stands for all snapshots that have it, the root of a snapshot for that one
   * @throws {Error} if the folder cannot be read or something in it cannot be removed
   */
  async prune(keep: readonly string[]): Promise<void> {
    const kept = new Set(keep.map((which) => which.startsWith("/") ? which : nameOf(which)));
    for (const path of this.#paths()) {
      const name = path.slice(path.lastIndexOf("/") + 1);
      const [, digits] = NAME.exec(name) ?? [];
      if (digits !== undefined) {
        if (kept.has(digits) || kept.has(path)) continue;
        // What is half removed must not be found.
        const retired = temporaryPath(this.#folder, digits);
        await Deno.rename(path, retired);
        await remove(retired);
      } else if (TEMPORARY.test(name) && await isAbandoned(path)) {
        await remove(path);
      }
    }
  }

  /** A snapshot of this name that holds copies of all these files. */
  #holding(name: string, files: readonly string[]): Snapshot | null {
    for (const path of this.#paths()) {
      if (NAME.exec(path.slice(path.lastIndexOf("/") + 1))?.[1] !== name) continue;
      const snapshot = new Snapshot(path);
      if (files.every((file) => snapshot.has(file))) return snapshot;
    }
    return null;
  }

  /** The folders in the folder, by their real paths. */
  #paths(): string[] {
    try {
      const folder = Deno.realPathSync(this.#folder);
      const folders = Array.from(Deno.readDirSync(folder)).filter(({ isDirectory }) => isDirectory);
      return folders.map(({ name }) => `${folder}/${name}`).sort();
    } catch (error) {
      const { NotFound, NotADirectory } = Deno.errors;
      if (error instanceof NotFound || error instanceof NotADirectory) return [];
      throw error;
    }
  }

  /** Gives a complete snapshot its name. Somebody else may have been faster: then theirs is as good. */
  async #publish(temporary: string, name: string, files: readonly string[]): Promise<Snapshot> {
    for (let number = 1;; number++) {
      const path = `${this.#folder}/${name}${number === 1 ? "" : `-${number}`}`;
      try {
        await Deno.rename(temporary, path);
        return new Snapshot(await Deno.realPath(path));
      } catch (error) {
        if (!isTaken(error)) throw error;
      }
      const present = this.#holding(name, files);
      if (present === null) continue;
      await remove(temporary);
      return present;
    }
  }
}

/** A snapshot is found by the first digits of the fingerprint. */
function nameOf(fingerprint: string): string {
  const name = /^[0-9a-f]{16}(?=[0-9a-f]*$)/.exec(fingerprint)?.[0];
  if (name === undefined) throw new TypeError(`Cannot name a snapshot: ${fingerprint} is no fingerprint`);
  return name;
}

function temporaryPath(folder: string, name: string): string {
  return `${folder}/${name}-${crypto.randomUUID()}.tmp`;
}

/** A rename onto a folder with something in it fails with one of these, by filesystem (rename(2)). */
function isTaken(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === "ENOTEMPTY" || code === "EEXIST";
}

async function isAbandoned(path: string): Promise<boolean> {
  const { mtime } = await Deno.stat(path);
  return mtime !== null && Date.now() - mtime.getTime() > ABANDONED_MS;
}

/** Removes a tree, without following its symlinks. */
async function remove(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
