/**
 * `directory-v1`: an open directory.
 *
 * Preserved:
 * - the directory itself, also when it was renamed, replaced or removed since; the record says so
 * - the position up to which it was read
 *
 * Not preserved:
 * - what is in it: files come and go as ever
 * - anything about the path: the new build gets the directory that was open, not the one of that name
 * - a place in the file system that was opened with `O_PATH`, of whatever kind: the kernel's rules do not let one cross
 *
 * Taken with: `live.directory`.
 *
 * @module
 */
import { fdInfo, fdLink, filesystemType, fstat, getFlags, O_PATH, PROC_SUPER_MAGIC } from "../sys/mod.ts";
import type { FileHandler } from "../luo/handler.ts";
import { descriptorHandler, wrongKind } from "./descriptor.ts";
import { pathState } from "./file.ts";

/** Is it an open directory, and none of those that the kernel makes up for one process? */
function isDirectory(fd: number): boolean {
  return fstat(fd).kind === "directory" && (getFlags(fd) & O_PATH) === 0 &&
    filesystemType(fd) !== PROC_SUPER_MAGIC;
}

/** Carries directories. */
export const directoryHandler: FileHandler = descriptorHandler({
  compatible: "directory-v1",
  version: 1,
  steady: true,
  accepts: isDirectory,
  describe(fd) {
    if (!isDirectory(fd)) throw wrongKind(fd, "a directory");
    return {
      path: fdLink(fd).toWellFormed(),
      path_state: pathState(fd),
      // Some file systems count in hashes, which are too large for a number.
      pos: BigInt(fdInfo(fd).get("pos") ?? 0),
    };
  },
  verify(fd) {
    if (!isDirectory(fd)) throw wrongKind(fd, "a directory");
  },
});
