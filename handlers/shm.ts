/**
 * `shm-v1`: shared memory other than memfds: POSIX shared memory, unlinked files of a tmpfs, huge pages.
 *
 * Preserved:
 * - content, whatever its size, without copying
 * - size, seals, position, access mode and status flags, and locks that belong to the open file
 * - the memory itself, also when its name was unlinked or replaced since; the record says so
 * - mappings of other processes, which see no gap
 * - huge pages, and the pages that were promised to this memory
 *
 * Not preserved:
 * - mappings of this process: the new build maps the memory again
 * - undoing what a new build wrote before it failed
 * - a fixed size: whoever may write it may change it at any moment; what is there when the memory is taken back is what
 *   counts
 * - anything about the name: the new build gets the memory that was open, not the one of that name
 * - the memory of an arena: its slices are `arena-slice-v1`
 *
 * Taken with: `live.shm`, `live.segment`.
 *
 * @module
 */
import {
  fdLink,
  fstat,
  fstatfs,
  getFlags,
  getSeals,
  HUGETLBFS_MAGIC,
  SysError,
  TMPFS_MAGIC,
} from "../sys/mod.ts";
import type { FileHandler } from "../luo/handler.ts";
import { descriptorHandler, mustHaveSameAccess, wrongKind } from "./descriptor.ts";
import { pathState } from "./file.ts";

/** Where POSIX shared memory has its names (shm_open(3)), without the slash that a name begins with. */
export const SHM_DIRECTORY = "/dev/shm";

/** Seals, or null for a file system that knows none. */
function sealsOf(fd: number): number | null {
  try {
    return getSeals(fd);
  } catch (error) {
    if (error instanceof SysError && error.code === "EINVAL") return null;
    throw error;
  }
}

/** Carries shared memory. */
export const shmHandler: FileHandler = descriptorHandler({
  compatible: "shm-v1",
  version: 1,
  steady: true,
  accepts(fd) {
    const { kind, nlink } = fstat(fd);
    if (kind !== "file") return false;
    const { type } = fstatfs(fd);
    if (type === HUGETLBFS_MAGIC) return true;
    if (type !== TMPFS_MAGIC) return false;
    const link = fdLink(fd);
    // A linked file of any other tmpfs, as of a /tmp in memory, is an ordinary file to those who use it.
    return nlink === 0n ? !link.startsWith("/memfd:") : link.startsWith(`${SHM_DIRECTORY}/`);
  },
  describe(fd) {
    const { kind, size } = fstat(fd);
    const { type, blockBytes } = fstatfs(fd);
    // Whether it has a name may change at any moment, what it is made of may not.
    if (kind !== "file" || (type !== TMPFS_MAGIC && type !== HUGETLBFS_MAGIC)) {
      throw wrongKind(fd, "shared memory");
    }
    return {
      flags: getFlags(fd),
      huge_page_bytes: type === HUGETLBFS_MAGIC ? blockBytes : null,
      path: fdLink(fd).toWellFormed(),
      path_state: pathState(fd),
      seals: sealsOf(fd),
      size,
    };
  },
  verify(fd, record) {
    mustHaveSameAccess(fd, record);
  },
});
