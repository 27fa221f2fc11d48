/**
 * Which paths the watches of an inotify were asked for: the kernel knows the files only.
 *
 * Happy path: {@linkcode keepPaths} in the old build, {@linkcode takePaths} in the new one.
 *
 * Unhappy path: nobody takes them, because the inotify is only carried on: they are carried on with it.
 *
 * @module
 */
import { Fields } from "../kho/abi/fields.ts";
import type { CborValue } from "../kho/codec.ts";
import { HandoverError } from "../kho/errors.ts";
import { dupFd, isOpenFd, type OwnedFd, sameOpenFile } from "../sys/mod.ts";
import { decodeText, encodeText } from "../sys/text.ts";

/** What a watch was asked for. */
export interface WatchedPath {
  /** The path, as it was given. */
  path: string;
  /** What is watched for, and how: bits of `sys/inotify.h`. */
  mask: number;
}

/** Paths by the number of the watch. */
export type WatchedPaths = ReadonlyMap<number, WatchedPath>;

/** What the application hands over, by its descriptor. */
const kept = new Map<number, WatchedPaths>();
/** What was handed over and not taken yet, by the descriptor of the handover. */
const arrived = new Map<number, WatchedPaths>();
/** What nobody took of an inotify that is carried on. Holding it is no harm: whoever carries it on holds it, too. */
const carriedOn: { file: OwnedFd; paths: WatchedPaths }[] = [];

/**
 * Hands over the paths of the watches of an inotify. What is in the map at the update counts.
 *
 * @param fd the inotify, borrowed as long as the paths are kept
 * @param paths by the number of the watch, or null to take them back
 */
export function keepPaths(fd: number | OwnedFd, paths: WatchedPaths | null): void {
  const number = typeof fd === "number" ? fd : fd.fd;
  if (paths === null) kept.delete(number);
  else kept.set(number, paths);
}

/**
 * Takes back the paths that were handed over with an inotify, once.
 *
 * @param fd the inotify, retrieved before
 * @returns the paths; none where none were handed over
 * @throws {SysError} `EBADF`
 */
export function takePaths(fd: number | OwnedFd): WatchedPaths {
  const number = typeof fd === "number" ? fd : fd.fd;
  for (const [own, paths] of arrived) {
    if (!isSame(own, number)) continue;
    arrived.delete(own);
    return paths;
  }
  return new Map();
}

/** The paths that cross with an inotify, for its record. */
export function encodePaths(fd: number): CborValue[] {
  const found = [...kept].find(([own]) => isSame(own, fd))?.[1] ??
    carriedOn.find(({ file }) => sameOpenFile(file.fd, fd))?.paths ?? [];
  return [...found].map(([wd, { path, mask }]) => ({
    mask,
    path: path.isWellFormed() ? path : encodeText(path),
    wd,
  }));
}

/** The paths in a record. */
export function decodePaths(record: Fields): WatchedPaths {
  return new Map(record.list("paths", (value, place) => {
    const entry = new Fields(value, place);
    const path = entry.value("path");
    if (typeof path !== "string" && !(path instanceof Uint8Array)) {
      throw new HandoverError("CORRUPT", `Cannot read ${entry.place("path")} of the handover: it is no path`);
    }
    return [entry.int("wd"), {
      path: typeof path === "string" ? path : decodeText(path),
      mask: entry.int("mask", 0xffff_ffff),
    }];
  }));
}

/** The paths of an inotify that is taken back wait for being taken. */
export function arrivePaths(fd: number, paths: WatchedPaths): void {
  if (paths.size > 0) arrived.set(fd, paths);
}

/**
 * The handover lets go of an inotify.
 *
 * @param fd its descriptor, still open
 * @param retrieved did somebody take it back?
 */
export function finishPaths(fd: number, retrieved: boolean): void {
  const paths = arrived.get(fd);
  arrived.delete(fd);
  if (paths !== undefined && retrieved) carriedOn.push({ file: dupFd(fd), paths });
}

/** The application may have closed its own. */
function isSame(own: number, fd: number): boolean {
  return isOpenFd(own) && sameOpenFile(own, fd);
}
