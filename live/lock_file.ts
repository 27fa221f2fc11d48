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
import { type LaunchSpec, lockFileOf } from "./launch.ts";

/** The package that Heirloom itself imports, as in `kho/codec.ts`. */
const PACKAGE = "cborg@6.1.5";

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
  spec.denoArgs = spec.denoArgs.filter((argument) => argument !== `--lock=${copyPath(spec)}`);
  // Of two locks the last one counts: ours must not displace the one that was asked for.
  const chosen = spec.denoArgs.some((argument) => /^--(no-)?lock(=|$)/.test(argument));
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
  Deno.writeTextFileSync(copyPath(spec), JSON.stringify(merged, null, 2));
  spec.denoArgs.push(`--lock=${copyPath(spec)}`);
}

function copyPath(spec: LaunchSpec): string {
  return `${spec.socket}.lock.json`;
}

function readLock(path: string): Lock | null {
  try {
    return JSON.parse(Deno.readTextFileSync(path)) as Lock;
  } catch {
    // A lock that cannot be read is the runtime's to complain about.
    return null;
  }
}
