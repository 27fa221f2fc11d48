/**
 * Where a service keeps what has to survive it: snapshots of its builds.
 *
 * Happy path: under systemd with `StateDirectory=` that directory, else the user's folder for state (XDG base directories);
 * in it a folder of its own for each service.
 *
 * Unhappy path: no variable names a place, or the process may not read them: null, and nothing is kept. A guess, such as a
 * shared `/tmp`, would be a place where others could put code for the service to run.
 *
 * @module
 */
import { shortDigest } from "./digest.ts";

/** How much of the key the name of the folder shows. */
const READABLE = 40;

/**
 * The folder for the state of a service. It is not made here.
 *
 * @param key what tells this service from others of the same user, such as the path of its control socket
 * @param read the environment of the service; that of this process if absent
 * @returns an absolute path without a slash at its end, or null
 */
export function stateFolder(key: string, read: ReadVariable = readOwn): string | null {
  const base = stateBase(read);
  return base === null ? null : `${base}/${folderName(key)}`;
}

/** Reads a variable of an environment. */
type ReadVariable = (name: string) => string | undefined;

function readOwn(name: string): string | undefined {
  return Deno.env.get(name);
}

function stateBase(read: ReadVariable = readOwn): string | null {
  const own = folderFrom(read, "STATE_DIRECTORY", ":");
  if (own !== null) return own;
  const state = folderFrom(read, "XDG_STATE_HOME");
  if (state !== null) return `${state}/heirloom`;
  const home = folderFrom(read, "HOME");
  return home === null ? null : `${home}/.local/state/heirloom`;
}

/** How the key of a service begins that has nothing but its process to tell it by. */
const PROCESS_KEY = /^pid-(\d+)-(\d+)-/;

/**
 * The key of a service that has no control socket: its process.
 *
 * @param pid its process
 * @param start start time of that process, as in `/proc/PID/stat`
 */
export function processKey(pid: number, start: bigint): string {
  return `pid-${pid}-${start}`;
}

/**
 * The folders of services that were known by a process which is gone: nobody will ask for them again.
 *
 * @param isAlive is there a process of that number and start time?
 * @returns absolute paths
 */
export function abandonedFolders(isAlive: (pid: number, start: bigint) => boolean): string[] {
  const base = stateBase();
  if (base === null) return [];
  try {
    return [...Deno.readDirSync(base)].flatMap(({ name }) => {
      const [, pid, start] = PROCESS_KEY.exec(name) ?? [];
      if (pid === undefined || start === undefined || isAlive(Number(pid), BigInt(start))) return [];
      return [`${base}/${name}`];
    });
  } catch {
    // There is no such place yet, or we may not look.
    return [];
  }
}

/** Relative paths are not valid in any of these variables, and are ignored as the XDG specification asks. */
function folderFrom(read: ReadVariable, name: string, separator?: string): string | null {
  try {
    const value = read(name) ?? "";
    const path = separator === undefined ? value : value.split(separator, 1)[0] ?? "";
    return path.startsWith("/") ? path.replace(/\/+$/, "") : null;
  } catch {
    return null;
  }
}

/** The end of the key for the reader, a digest of all of it for the difference. */
function folderName(key: string): string {
  const readable = key.replace(/[^A-Za-z0-9._]+/g, "-").slice(-READABLE).replace(/^[-.]+/, "");
  return `${readable === "" ? "service" : readable}-${shortDigest(key)}`;
}
