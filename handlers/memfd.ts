/**
 * `memfd-v1`: anonymous memory of memfd_create(2).
 *
 * Preserved:
 * - content, whatever its size, without copying; holes stay holes
 * - size, seals, file position, access mode and status flags
 * - mappings of other processes, which see no gap
 *
 * Not preserved:
 * - mappings of this process: the new build maps the memory again
 * - undoing what a new build wrote before it failed
 * - a fixed size: another process may change it at any moment, unless seals forbid it; what is there when the memory is
 *   taken back is what counts
 *
 * @module
 */
import { fdLink, filesystemType, fstat, getSeals, seek, TMPFS_MAGIC } from "../sys/mod.ts";
import { HandoverError } from "../kho/errors.ts";
import type { FileHandler } from "../luo/handler.ts";
import { descriptorHandler } from "./descriptor.ts";

/** Is this a memfd on ordinary pages? Unlinked files of a tmpfs and huge pages are other kinds. */
function isMemfd(fd: number): boolean {
  const stat = fstat(fd);
  if (stat.kind !== "file" || stat.nlink !== 0n || filesystemType(fd) !== TMPFS_MAGIC) return false;
  return fdLink(fd).startsWith("/memfd:");
}

/** Carries memfds. */
export const memfdHandler: FileHandler = descriptorHandler({
  compatible: "memfd-v1",
  version: 1,
  accepts: isMemfd,
  describe: (fd) => ({ pos: seek(fd, 0, "cur"), seals: getSeals(fd), size: fstat(fd).size }),
  verify(fd, record) {
    const seals = record.int("seals");
    if ((getSeals(fd) & seals) !== seals) {
      throw new HandoverError("WRONG_DESCRIPTOR", `Cannot retrieve fd ${fd}: a memfd does not lose seals`);
    }
  },
  getId(fd) {
    const { dev, ino } = fstat(fd);
    return `${dev}:${ino}`;
  },
});
