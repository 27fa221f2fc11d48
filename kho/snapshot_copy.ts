/**
 * How a build is copied into a snapshot: real files and folders where its modules are, symlinks to the originals for all that
 * lies beside them. Packages in `node_modules` are linked too: the runtime names only those of their files that the build
 * itself imports, and half a package is worse than none.
 *
 * Happy path: the folders are made, each file is read once, checked and written, and what lies beside it is linked.
 *
 * Unhappy path: the first error stops it. It is thrown when nobody writes any more, so that the target can be removed.
 *
 * @module
 */
import { sha256 } from "./digest.ts";

/** What a snapshot is made of; all paths absolute. */
export interface SnapshotSource {
  /** Local modules, by the paths under which the build imports them. */
  modules: readonly string[];
  /** Further files to copy: configurations, import maps. */
  configs: readonly string[];
  /** Folders in which, and below which, what lies beside a copied file is linked. */
  roots: readonly string[];
  /** The SHA-256 that the content of a file must have, in lower-case hexadecimal; undefined for any. */
  expect?: (path: string) => string | undefined;
}

/** The same, sorted out; paths are normalized. */
export interface CopyPlan {
  /** What is copied. */
  readonly files: readonly string[];
  /** Modules in packages, which are linked. */
  readonly packaged: readonly string[];
  /** Folders in which, and below which, what lies beside a copied file is linked. */
  readonly roots: readonly string[];
}

/** How many files are in the works at the same time. */
const PARALLEL = 8;

/** In the path of what is in a package. */
const PACKAGES = "/node_modules/";

/** What a name that is not UTF-8 has in it when the runtime lists it; no file can be reached by such a name. */
const REPLACEMENT = "\uFFFD";

/**
 * Sorts out what is copied and what is linked.
 *
 * @param source what a snapshot is to be made of
 * @returns what is to be done
 * @throws {TypeError} if a path is not absolute
 */
export function planCopy(source: SnapshotSource): CopyPlan {
  const roots = source.roots.map(normalize);
  // A root in a package is a build that is installed as one.
  const isOwn = (file: string): boolean =>
    !file.includes(PACKAGES) ||
    roots.some((root) => isWithin(file, root) && !file.slice(root.length).includes(PACKAGES));
  const all = [...new Set([...source.modules, ...source.configs].map(normalize))];
  return { files: all.filter(isOwn), packaged: all.filter((file) => !isOwn(file)), roots };
}

/**
 * Copies files, each under its whole path.
 *
 * @param files normalized paths
 * @param target an empty folder
 * @param expect the SHA-256 that the content of a file must have; undefined for any
 * @throws {Error} the first thing that went wrong
 */
export async function copyFiles(
  files: readonly string[],
  target: string,
  expect?: SnapshotSource["expect"],
): Promise<void> {
  for (const folder of foldersOf(files).keys()) {
    if (folder !== "") await Deno.mkdir(target + folder, { mode: 0o700 });
  }
  await each(files, (file) => copyFile(file, target + file, expect?.(file)));
}

/**
 * Links what lies beside files that were copied, and beside their folders, and packages wherever they are. What the target
 * has of that name is left as it is.
 *
 * @param plan what was copied
 * @param target the folder that it was copied to
 * @throws {Error} the first thing that went wrong
 */
export async function linkNeighbours(plan: CopyPlan, target: string): Promise<void> {
  const folders = foldersOf(plan.files);
  const within = [...folders].filter(([folder]) => plan.roots.some((root) => isWithin(folder, root)));
  await each(within, async ([folder, names]) => {
    for (const name of await namesIn(folder)) {
      if (!names.has(name)) await link(`${folder}/${name}`, `${target}${folder}/${name}`);
    }
  });
  for (const path of new Set(plan.packaged.map((file) => outermost(file, folders)))) {
    await Deno.mkdir(target + path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o700 });
    await link(path, target + path);
  }
}

/**
 * Brings an absolute path into the form without `.`, `..`, doubled slashes and slash at its end, as the runtime does with
 * the paths of modules: by name, whatever is a symlink.
 *
 * @param path an absolute path
 * @returns the path; empty for the root of all
 * @throws {TypeError} if it is not absolute
 */
export function normalize(path: string): string {
  if (!path.startsWith("/")) throw new TypeError(`Cannot use ${path} for a snapshot: it is no absolute path`);
  const names: string[] = [];
  for (const name of path.split("/")) {
    if (name === "..") names.pop();
    else if (name !== "" && name !== ".") names.push(name);
  }
  return names.map((name) => `/${name}`).join("");
}

/** All folders above some files, outer ones first, each with the names in it that lead to one of the files. */
function foldersOf(files: readonly string[]): Map<string, Set<string>> {
  const folders = new Map([["", new Set<string>()]]);
  for (const file of files) {
    let folder = "";
    for (const name of file.slice(1).split("/")) {
      const names = folders.get(folder) ?? new Set();
      folders.set(folder, names.add(name));
      folder += `/${name}`;
    }
  }
  return folders;
}

/** What to link to reach a module in a package: its `node_modules`, or what in there is no folder of the copy. */
function outermost(file: string, folders: ReadonlyMap<string, unknown>): string {
  let end = file.indexOf("/", file.indexOf(PACKAGES) + 1);
  while (end >= 0 && folders.has(file.slice(0, end))) end = file.indexOf("/", end + 1);
  return end < 0 ? file : file.slice(0, end);
}

function isWithin(folder: string, root: string): boolean {
  return folder === root || folder.startsWith(`${root}/`);
}

/** The names in a folder; none if it has been removed since the build was started. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(folder === "" ? "/" : folder));
    return entries.map(({ name }) => name).filter((name) => !name.includes(REPLACEMENT));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

async function link(original: string, path: string): Promise<void> {
  try {
    await Deno.symlink(original, path);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

/** What is hashed is what is written: a file that changes in between is noticed. */
async function copyFile(from: string, to: string, expected: string | undefined): Promise<void> {
  // Opening a FIFO would wait for its writer.
  if (!(await Deno.stat(from)).isFile) throw new Error(`${from} is no regular file`);
  const bytes = await Deno.readFile(from);
  if (expected !== undefined && await sha256(bytes) !== expected) {
    throw new Error(`${from} is not what it was when the build started`);
  }
  await Deno.writeFile(to, bytes, { createNew: true, mode: 0o600 });
}

/** Works on all items, some at a time. When one fails no further one is begun, and those that were are waited for. */
async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const errors: unknown[] = [];
  const workers = Array.from({ length: PARALLEL }, async () => {
    for (const item of rest) {
      if (errors.length > 0) return;
      await work(item).catch((error) => errors.push(error));
    }
  });
  await Promise.all(workers);
  if (errors.length > 0) throw errors[0];
}
