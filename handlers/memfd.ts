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
 * - the memory of an arena: its slices are `arena-slice-v1`
 * - a fixed size: another process may change it at any moment, unless seals forbid it; what is there when the memory is
 *   taken back is what counts
 *
 * Taken with: `live.segment`.
 *
 * @module
 */
import { fdLink, filesystemType, fstat, TMPFS_MAGIC } from "../sys/mod.ts";
import { HandoverError } from "../kho/errors.ts";
import type { FileHandler } from "../luo/handler.ts";

/** The name of an arena's memory. Only slices of it are files of a session, and another handler has those. */
export const ARENA_MEMFD = "heirloom-arena";

const ARENA_LINK = `/memfd:${ARENA_MEMFD} (deleted)`;

/** Is this the memory of an arena, or a slice of it? */
export function isArenaMemfd(fd: number): boolean {
  return fdLink(fd) === ARENA_LINK;
}

/** Is this a memfd on ordinary pages? Unlinked files of a tmpfs and huge pages are other kinds. */
function isMemfd(fd: number): boolean {
  const stat = fstat(fd);
  if (stat.kind !== "file" || stat.nlink !== 0n || filesystemType(fd) !== TMPFS_MAGIC) return false;
  const link = fdLink(fd);
  return link.startsWith("/memfd:") && link !== ARENA_LINK;
}

/** Highest descriptor number. */
const MAX_FD = 0x7fffffffn;

/** The descriptor that a record names. */
function numberOf(data: bigint): number {
  if (data <= MAX_FD) return Number(data);
  throw new HandoverError("CORRUPT", `Cannot read a record of memfd-v1: ${data} is no descriptor`);
}

/**
 * Carries memfds. Content, size, position and seals belong to the open file, which crosses as it is: what is written down is
 * only the number of its descriptor, so that ten thousand of them cost little.
 */
export const memfdHandler: FileHandler = {
  compatible: "memfd-v1",
  check: ({ serializedData }) => void numberOf(serializedData),
  canPreserve: ({ fd }) => isMemfd(fd),
  preserve(args) {
    args.kho.preserveFd(args.fd);
    args.serializedData = BigInt(args.fd);
  },
  unpreserve: ({ kho, fd }) => kho.unpreserveFd(fd),
  retrieve: ({ kho, serializedData }) => kho.borrowFd(numberOf(serializedData)),
  finish({ kho, serializedData, retrieveStatus }) {
    // What could not be taken back because the handover does not hold it cannot be released either.
    if (typeof retrieveStatus === "number") kho.releaseFd(numberOf(serializedData));
  },
  getId({ fd }) {
    const { dev, ino } = fstat(fd);
    return `${dev}:${ino}`;
  },
};
