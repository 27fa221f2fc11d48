/**
 * Lets an application's lock file stand for Heirloom's one dependency too, without touching the application's file.
 *
 * Under `run` a process has one lock file, the application's, and Heirloom imports `npm:cborg` itself. Where the lock
 * does not know that package, the runtime would add it to the application's file or, with a frozen lock, refuse to
 * start. So the process runs on a copy beside the control socket, in which the package is added with the integrity that
 * Heirloom's own lock states.
 *
 * @module
 */
import { shortDigest } from "./digest.ts";
import { choosesLock, type LaunchSpec, lockFileOf } from "./launch.ts";

/** The package that Heirloom itself imports, as in `kho/codec.ts`. */
const PACKAGE = "cborg@6.1.5";

/** How the name of a copy ends. */
const SUFFIX = ".lock.json";

const LOCK_FLAG = "--lock=";

interface Lock {
  specifiers?: Record<string, string>;
  npm?: Record<string, unknown>;
}

/**
 * Writes the copy if one is needed, and makes the launch use it.
 *
 * @param spec the launch; its `denoArgs` get `--lock` when a copy is used
 */
export function prepareLock(spec: LaunchSpec): void {
  spec.denoArgs = spec.denoArgs.filter((argument) =>
    !(argument.startsWith(LOCK_FLAG) && isCopy(spec, argument.slice(LOCK_FLAG.length)))
  );
  // Of two locks the last one counts: ours must not displace the one that was asked for.
  const chosen = choosesLock(spec.denoArgs);
  const lock = chosen || spec.config === null ? null : lockFileOf(spec.config);
  if (lock === null) return;
  const theirs = readLock(lock);
  const specifier = `npm:${PACKAGE}`;
  if (theirs === null || theirs.specifiers?.[specifier] !== undefined) return;
  const ours = readLock(`${spec.heirloom}deno.lock`);
  const merged = {
    ...theirs,
    specifiers: { ...theirs.specifiers, [specifier]: PACKAGE.slice(PACKAGE.lastIndexOf("@") + 1) },
    npm: { ...theirs.npm, [PACKAGE]: ours?.npm?.[PACKAGE] ?? {} },
  };
  const text = JSON.stringify(merged, null, 2);
  // Another lock is another file: the build that runs must be able to come back with its own.
  const copy = `${spec.socket}.${shortDigest(text)}${SUFFIX}`;
  Deno.writeTextFileSync(copy, text);
  spec.denoArgs.push(`${LOCK_FLAG}${copy}`);
}

/**
 * Removes the copies that builds before this one used. For after a commit: until then they may be needed.
 *
 * @param spec the launch of the build that runs
 */
export function removeOldLocks(spec: LaunchSpec): void {
  const folder = spec.socket.slice(0, spec.socket.lastIndexOf("/") + 1);
  for (const { name } of Deno.readDirSync(folder)) {
    const path = `${folder}${name}`;
    if (isCopy(spec, path) && !spec.denoArgs.includes(`${LOCK_FLAG}${path}`)) Deno.removeSync(path);
  }
}

/** Is this the path of a copy that some build of this service used? */
function isCopy(spec: LaunchSpec, path: string): boolean {
  return path.startsWith(`${spec.socket}.`) && path.endsWith(SUFFIX);
}

function readLock(path: string): Lock | null {
  try {
    return JSON.parse(Deno.readTextFileSync(path)) as Lock;
  } catch {
    // A lock that cannot be read is the runtime's to complain about.
    return null;
  }
}
