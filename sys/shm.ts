/**
 * Shared memory with a name (`shm_open(3)`), room for it (`fallocate(2)`), and huge pages (`memfd_create(2)` with
 * `MFD_HUGETLB`).
 *
 * Happy path: `using memory = shmOpen("/table", { create: true })`, {@linkcode allocate} its size, and map it.
 *
 * Unhappy paths:
 * 1. The name is no name of shared memory: EINVAL. A symbolic link of that name: ELOOP. What else lies under it is opened:
 *    the caller looks.
 * 2. There is no room on `/dev/shm`: {@linkcode allocate} answers ENOSPC. Without it, the first touch of a page for which
 *    there is no room would end the process (SIGBUS).
 * 3. No huge pages of that size: ENODEV. Too few of them: mapping the memory answers ENOMEM, not making it;
 *    {@linkcode hugePageFacts} tells before.
 *
 * @module
 */
import { check, checkRetrying, SysError } from "./errno.ts";
import { checkFileSize, readFile, truncate } from "./file.ts";
import { OwnedFd } from "./owned_fd.ts";
import { call } from "./symbols.ts";
import { cString } from "./text.ts";

const O_RDWR = 2;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_CLOEXEC = 0o2000000;
const FALLOC_FL_KEEP_SIZE = 1;
const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const MFD_HUGETLB = 4;
const MFD_HUGE_SHIFT = 26;

/** How to open shared memory. */
export interface ShmOpenOptions {
  /** Create it; fails with EEXIST if it is there. @default {false} */
  create?: boolean;
  /** Permission bits of what is created; the umask is taken off. @default {0o600} */
  mode?: number;
}

/**
 * Opens shared memory for reading and writing, close-on-exec.
 *
 * @param name as `/name`, with no other slash
 * @param options whether to create it
 * @returns the owner of the descriptor
 * @throws {SysError} EINVAL for a bad name; ENOENT, EEXIST, EACCES, EISDIR, ELOOP, EMFILE
 * @throws {TypeError} if the name contains a NUL
 */
export function shmOpen(name: string, options: ShmOpenOptions = {}): OwnedFd {
  const path = cString(name);
  const flags = O_RDWR | O_CLOEXEC | (options.create ? O_CREAT | O_EXCL : 0);
  const mode = options.mode ?? 0o600;
  return OwnedFd.adopt(
    checkRetrying(() => call.shm_open(path, flags, mode), "shm_open", JSON.stringify(name)),
  );
}

/**
 * Removes the name of shared memory; the memory goes with its last holder.
 *
 * @param name as `/name`
 * @throws {SysError} ENOENT, EACCES; EINVAL for a bad name
 */
export function shmUnlink(name: string): void {
  check(call.shm_unlink(cString(name)), "shm_unlink", JSON.stringify(name));
}

/**
 * Gets room for a part of a file. What is there already stays as it is.
 *
 * @param fd a descriptor open for writing
 * @param from where the part begins, in bytes
 * @param to where it ends; a file that is smaller grows to it
 * @param options `keepSize`: the file does not grow, the room behind its end is kept for later
 * @throws {SysError} ENOSPC when there is too little, and then nothing has changed; EFBIG beyond `RLIMIT_FSIZE`; EPERM if
 * sealed; EOPNOTSUPP where the file system cannot do that
 */
export function allocate(fd: number, from: number, to: number, options: { keepSize?: boolean } = {}): void {
  checkFileSize(fd, to, "fallocate");
  const mode = options.keepSize ? FALLOC_FL_KEEP_SIZE : 0;
  checkRetrying(() => call.fallocate(fd, mode, BigInt(from), BigInt(to - from)), "fallocate", fd);
}

/** The huge pages of one size that a machine has. */
export interface HugePageFacts {
  /** Bytes of a page. */
  pageBytes: number;
  /** Pages that are set aside (`nr_hugepages`). */
  total: number;
  /** Pages that a new mapping can have: free, not promised to others, or to be had beyond those set aside. */
  available: number;
}

const POOLS = "/sys/kernel/mm/hugepages";

/**
 * Looks at the huge pages of one size.
 *
 * @param pageBytes bytes of a page
 * @returns what there is, or null where the machine has no pages of that size
 * @throws {SysError} what reading `/sys` answers
 */
export function hugePageFacts(pageBytes: number): HugePageFacts | null {
  const read = (name: string): number => numberIn(`${POOLS}/hugepages-${pageBytes / 1024}kB/${name}`);
  try {
    const total = read("nr_hugepages");
    const more = Math.max(0, read("nr_overcommit_hugepages") - read("surplus_hugepages"));
    return {
      pageBytes,
      total,
      available: Math.max(0, read("free_hugepages") - read("resv_hugepages")) + more,
    };
  } catch (error) {
    if (error instanceof SysError && error.code === "ENOENT") return null;
    throw error;
  }
}

/**
 * The size of a huge page where nobody asks for another one (`Hugepagesize` of `/proc/meminfo`).
 *
 * @returns bytes, or null where the kernel has no huge pages
 */
export function defaultHugePageBytes(): number | null {
  return memoryFact("Hugepagesize");
}

/**
 * Memory of the machine with its swap space.
 *
 * @returns bytes
 * @throws {SysError} what reading `/proc` answers
 */
export function machineBytes(): number {
  return (memoryFact("MemTotal") ?? 0) + (memoryFact("SwapTotal") ?? 0);
}

/**
 * Makes a memfd on huge pages, close-on-exec and sealable. It uses no page before it is mapped.
 *
 * @param name shown in `/proc` behind `/memfd:`; at most 249 bytes
 * @param size bytes, a multiple of the page
 * @param pageBytes bytes of a page, a power of two
 * @returns the owner of the descriptor
 * @throws {SysError} ENODEV where there are no pages of that size; EINVAL for another size; EMFILE, ENFILE
 * @throws {TypeError} if the name contains a NUL
 */
export function createHugeMemfd(name: string, size: number, pageBytes: number): OwnedFd {
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | (Math.log2(pageBytes) << MFD_HUGE_SHIFT);
  const fd = call.memfd_create(cString(name), flags >>> 0);
  using undo = new DisposableStack();
  const memfd = undo.use(OwnedFd.adopt(check(fd, "memfd_create", JSON.stringify(name))));
  truncate(memfd.fd, size);
  undo.move();
  return memfd;
}

/** A line of `/proc/meminfo`, in bytes; null where the kernel does not have it. */
function memoryFact(name: string): number | null {
  const text = new TextDecoder().decode(readFile("/proc/meminfo"));
  const kilobytes = new RegExp(`^${name}:\\s*(\\d+) kB$`, "m").exec(text)?.[1];
  return kilobytes === undefined ? null : Number(kilobytes) * 1024;
}

function numberIn(path: string): number {
  return Number(new TextDecoder().decode(readFile(path)));
}
