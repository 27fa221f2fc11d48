/**
 * `pipe-v1`: an end of a pipe, or an open FIFO.
 *
 * Preserved:
 * - the bytes that wait in it, also when it is full, and in packet mode (`O_DIRECT`) where each packet ends
 * - the pipe itself with its capacity (`F_SETPIPE_SZ`), so that the processes at its other end notice nothing
 * - the open file description: access mode, `O_NONBLOCK` and the other status flags
 * - the FIFO, also when its path was unlinked or replaced since; the record says so
 *
 * Not preserved:
 * - bytes that the application has read and not dealt with
 * - the end of an end: who waits for the last writer to close waits for the commit, too, because the handover holds duplicates
 *   until then
 * - anything about the path of a FIFO: the new build gets the one that was open, not the one of that name
 *
 * Taken with: `live.pipe`, `live.spawn`.
 *
 * @module
 */
import { bytesWaiting, fdLink, fstat, getFlags, isAnonymousPipe, O_PATH, pipeCapacity } from "../sys/mod.ts";
import type { FileHandler } from "../luo/handler.ts";
import { anotherOne, descriptorHandler, hasSameAccess, wrongKind } from "./descriptor.ts";
import { pathState } from "./file.ts";

/** Is it an end of a pipe? A place in the file system where a FIFO lies (`O_PATH`) is none. */
function isPipe(fd: number): boolean {
  return fstat(fd).kind === "fifo" && (getFlags(fd) & O_PATH) === 0;
}

/** Carries ends of pipes. */
export const pipeHandler: FileHandler = descriptorHandler({
  compatible: "pipe-v1",
  version: 1,
  steady: true,
  accepts: isPipe,
  describe(fd) {
    if (!isPipe(fd)) throw wrongKind(fd, "a pipe");
    const anonymous = isAnonymousPipe(fd);
    return {
      capacity: pipeCapacity(fd),
      flags: getFlags(fd),
      path: anonymous ? null : fdLink(fd).toWellFormed(),
      path_state: anonymous ? null : pathState(fd),
      waiting: bytesWaiting(fd),
    };
  },
  verify(fd, record) {
    // Which pipe it is, its inode says, and that was compared. Both ends have the same one.
    if (!isPipe(fd)) throw wrongKind(fd, "a pipe");
    if (!hasSameAccess(fd, record)) throw anotherOne(fd, "end of a pipe");
  },
});
