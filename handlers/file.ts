/**
 * `file-v1`: an open regular file.
 *
 * Preserved:
 * - the open file description: position, access mode, `O_APPEND` and the other status flags
 * - `flock(2)` locks and open file description locks (`F_OFD_SETLK`)
 * - the file itself, also when its path was unlinked or replaced since; the record says so
 *
 * Not preserved:
 * - POSIX record locks (`F_SETLK`): the kernel drops them when any descriptor of the file is closed by the process
 * - mappings of this process
 * - the memory of an arena: its slices are `arena-slice-v1`; other shared memory is `memfd-v1` and `shm-v1`
 * - anything about the path: the new build gets the file that was open, not the one of that name
 *
 * Taken with: `live.file`.
 *
 * @module
 */
import { fdLink, filesystemType, fstat, getFlags, PROC_SUPER_MAGIC, seek, SysError } from "../sys/mod.ts";
import type { FileHandler } from "../luo/handler.ts";
import { descriptorHandler, mustHaveSameAccess } from "./descriptor.ts";
import { isArenaMemfd } from "./memfd.ts";

/** What became of the path under which a file was opened. */
export type PathState = "same" | "replaced" | "unlinked";

/**
 * Does the path of an open file still lead to it?
 *
 * @param fd the open file, borrowed
 * @param path the path it was opened under; the name that the kernel has for it if absent, which follows a rename
 * @returns `same`, `replaced` by another file, or `unlinked`
 */
export function pathState(fd: number, path: string = fdLink(fd)): PathState {
  const { dev, ino } = fstat(fd);
  const found = statAt(path);
  if (found !== null && BigInt(found.dev) === dev && BigInt(found.ino ?? 0) === ino) return "same";
  // The kernel says so of a name that is gone (d_path), also when another file was moved to it.
  return statAt(path.replace(/ \(deleted\)$/, "")) === null ? "unlinked" : "replaced";
}

/**
 * What a path leads to. Whatever keeps it from being followed, it leads to nothing.
 *
 * @param path any path
 * @returns what is known of the file, or null
 */
export function statAt(path: string): Deno.FileInfo | null {
  try {
    return Deno.statSync(path);
  } catch {
    return null;
  }
}

/** Secret memory, namespaces and the like are regular files by their mode only: they have no position. */
function hasPosition(fd: number): boolean {
  try {
    return seek(fd, 0, "cur") >= 0;
  } catch (error) {
    if (error instanceof SysError) return false;
    throw error;
  }
}

/** Carries regular files. */
export const fileHandler: FileHandler = descriptorHandler({
  compatible: "file-v1",
  version: 1,
  accepts(fd) {
    const { kind, nlink } = fstat(fd);
    if (kind !== "file" || filesystemType(fd) === PROC_SUPER_MAGIC || !hasPosition(fd)) return false;
    return nlink !== 0n || !isArenaMemfd(fd);
  },
  describe: (fd) => ({
    flags: getFlags(fd),
    path: fdLink(fd).toWellFormed(),
    path_state: pathState(fd),
    pos: seek(fd, 0, "cur"),
  }),
  verify(fd, record) {
    mustHaveSameAccess(fd, record);
  },
});
