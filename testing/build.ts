/**
 * Makes builds for tests: an application from a few texts with {@linkcode writeApp}, and a copy of a Heirloom tree with
 * another version with {@linkcode copyTree}.
 *
 * Files are put in place by renaming, as a deployment should: a process that reads one while it changes sees the old or the
 * new one, never a half.
 *
 * @module
 */

import { resolve } from "./paths.ts";

/** What {@linkcode writeApp} writes. */
export interface AppFiles {
  /** The text of each file, by its path below the directory. */
  files: Readonly<Record<string, string>>;
}

/**
 * Writes an application, or a newer version of it over the old one.
 *
 * @param dir The directory, made if there is none.
 * @param options The files.
 * @returns The absolute path of the entry module: `main.ts` if there is one, else the first file.
 * @throws {RangeError} If there is no file, or one would lie outside of the directory.
 */
export async function writeApp(dir: string, options: AppFiles): Promise<string> {
  const root = resolve(dir);
  const names = Object.keys(options.files);
  const [first] = names;
  if (first === undefined) throw new RangeError("Cannot write an application: it has no files");
  const outside = names.find((name) => name.startsWith("/") || name.split("/").includes(".."));
  if (outside !== undefined) {
    throw new RangeError(`Cannot write an application: "${outside}" is outside of it`);
  }
  for (const [name, text] of Object.entries(options.files)) await writeByRename(`${root}/${name}`, text);
  return `${root}/${names.includes("main.ts") ? "main.ts" : first}`;
}

async function writeByRename(path: string, text: string): Promise<void> {
  const parent = path.slice(0, path.lastIndexOf("/"));
  await Deno.mkdir(parent, { recursive: true });
  const temporary = await Deno.makeTempFile({ dir: parent, prefix: ".", suffix: ".tmp" });
  await Deno.writeTextFile(temporary, text);
  await Deno.chmod(temporary, 0o644);
  await Deno.rename(temporary, path);
}

/** What is in a Heirloom tree, but not in a build of it. */
const LEFT_OUT = new Set([".git", "node_modules", "coverage", "docs", "tests"]);

/**
 * Copies a Heirloom tree, to have another build of it: what a service does not need is left out. Symbolic links are copied
 * as links.
 *
 * @param from The tree.
 * @param to The copy; a directory that does not exist yet or is empty.
 * @param options The version to write into the copy's `deno.json`.
 * @returns The absolute path of the copy.
 * @throws {RangeError} If one of the directories lies within the other, or the copy is not empty.
 */
export async function copyTree(
  from: string,
  to: string,
  options: { version?: string } = {},
): Promise<string> {
  const [source, target] = [resolve(from), resolve(to)];
  await Deno.mkdir(target, { recursive: true });
  const [realSource, realTarget] = [await Deno.realPath(source), await Deno.realPath(target)];
  if (`${realTarget}/`.startsWith(`${realSource}/`) || `${realSource}/`.startsWith(`${realTarget}/`)) {
    throw new RangeError(`Cannot copy ${source} to ${target}: one is within the other`);
  }
  for await (const _entry of Deno.readDir(realTarget)) {
    throw new RangeError(`Cannot copy ${source} to ${target}: it is not empty`);
  }
  await copyDirectory(realSource, realTarget);
  if (options.version !== undefined) await setVersion(`${realTarget}/deno.json`, options.version);
  return target;
}

async function copyDirectory(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const entry of Deno.readDir(from)) {
    if (LEFT_OUT.has(entry.name)) continue;
    const [source, target] = [`${from}/${entry.name}`, `${to}/${entry.name}`];
    if (entry.isSymlink) await Deno.symlink(await Deno.readLink(source), target);
    else if (entry.isDirectory) await copyDirectory(source, target);
    else if (entry.isFile) await Deno.copyFile(source, target);
  }
}

async function setVersion(path: string, version: string): Promise<void> {
  const config = JSON.parse(await Deno.readTextFile(path)) as Record<string, unknown>;
  await writeByRename(path, `${JSON.stringify({ ...config, version }, null, 2)}\n`);
}
