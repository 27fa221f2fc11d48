/**
 * Interest lists (`epoll(7)`), and what `/proc` and kcmp(2) tell of them.
 *
 * Happy path: `using epoll = createEpoll(); addInterest(epoll.fd, fd, { events: EPOLL.IN, data: 7n });`, and
 * {@linkcode waitNow} gives what is ready.
 *
 * Unhappy paths:
 * 1. An entry belongs to an open file and the number under which it was added. When the number is closed or another file by
 *    now and a duplicate keeps the file open, the entry stays, reports, and cannot be changed by anybody.
 * 2. A file that is always ready, a regular one, cannot be added: EPERM.
 *
 * @module
 */
import { ARCH, type Arch, SYS_kcmp } from "./arch.ts";
import { check, checkRetrying, ERRNO, SysError } from "./errno.ts";
import { OwnedFd } from "./owned_fd.ts";
import { fdInfo } from "./proc.ts";
import { getPid } from "./process.ts";
import { call, lastErrno } from "./symbols.ts";

/** The bits of events. `sys/epoll.h`, without `EPOLL`. */
export const EPOLL = {
  IN: 0x1,
  PRI: 0x2,
  OUT: 0x4,
  ERR: 0x8,
  HUP: 0x10,
  RDNORM: 0x40,
  RDBAND: 0x80,
  WRNORM: 0x100,
  WRBAND: 0x200,
  MSG: 0x400,
  RDHUP: 0x2000,
  EXCLUSIVE: 0x1000_0000,
  WAKEUP: 0x2000_0000,
  ONESHOT: 0x4000_0000,
  ET: 0x8000_0000,
} as const;

/** What is wanted of a file, or what was found. */
export interface EpollEvent {
  /** Bits of {@linkcode EPOLL}. */
  events: number;
  /** What the application gave with it: 64 bits, unsigned. */
  data: bigint;
}

/** An entry of an interest list, as the kernel shows it. */
export interface EpollEntry extends EpollEvent {
  /** The number under which the file was added, whatever it is now. */
  tfd: number;
  /** How many entries of the same number come before it in the list. */
  offset: number;
  /** Inode of the file. */
  ino: bigint;
  /** The kernel's number of its device. */
  sdev: number;
}

const EPOLL_CLOEXEC = 0o2000000;
const [CTL_ADD, CTL_DEL, CTL_MOD] = [1, 2, 3];
const KCMP_EPOLL_TFD = 7n;

/** Where `data` stands in `struct epoll_event`, and how long that is: packed on x86-64 only. */
const LAYOUTS: Readonly<Record<Arch, { data: number; size: number }>> = {
  x86_64: { data: 4, size: 12 },
  aarch64: { data: 8, size: 16 },
};

/**
 * Makes an epoll, close-on-exec.
 *
 * @returns the owner of the descriptor
 * @throws {SysError} EMFILE
 */
export function createEpoll(): OwnedFd {
  return OwnedFd.adopt(check(call.epoll_create1(EPOLL_CLOEXEC), "epoll_create1"));
}

/**
 * Adds a file. What is ready already is reported, also with `ET`; errors and hang-ups are always waited for.
 *
 * @param epoll an epoll
 * @param fd the file
 * @param event what to wait for
 * @throws {SysError} EEXIST if it is there; EPERM if it cannot be waited for; ELOOP for epolls in a circle; ENOSPC
 */
export function addInterest(epoll: number, fd: number, event: EpollEvent): void {
  check(call.epoll_ctl(epoll, CTL_ADD, fd, encodeEvent(event, ARCH)), "epoll_ctl", fd);
}

/**
 * Changes what is waited for.
 *
 * @param epoll an epoll
 * @param fd the file, under the number under which it was added
 * @param event what to wait for
 * @throws {SysError} ENOENT if it is not there; EINVAL for an entry that is `EXCLUSIVE`
 */
export function modifyInterest(epoll: number, fd: number, event: EpollEvent): void {
  check(call.epoll_ctl(epoll, CTL_MOD, fd, encodeEvent(event, ARCH)), "epoll_ctl", fd);
}

/**
 * Removes a file.
 *
 * @param epoll an epoll
 * @param fd the file, under the number under which it was added
 * @throws {SysError} ENOENT if it is not there
 */
export function removeInterest(epoll: number, fd: number): void {
  check(call.epoll_ctl(epoll, CTL_DEL, fd, new Uint8Array(LAYOUTS[ARCH].size)), "epoll_ctl", fd);
}

/**
 * Is there an entry for exactly this file under this number? Nothing is changed by asking.
 *
 * @param epoll an epoll
 * @param fd an open descriptor
 */
export function hasInterest(epoll: number, fd: number): boolean {
  try {
    addInterest(epoll, fd, { events: 0, data: 0n });
  } catch (error) {
    if (error instanceof SysError) return error.code === "EEXIST";
    throw error;
  }
  removeInterest(epoll, fd);
  return false;
}

/**
 * What is ready now, without waiting.
 *
 * @param epoll an epoll
 * @param max how many at most, 1 or more
 * @returns what is ready; those that did not fit come with the next call
 * @throws {SysError} EBADF; EINVAL for what is no epoll
 */
export function waitNow(epoll: number, max: number): EpollEvent[] {
  const bytes = new Uint8Array(max * LAYOUTS[ARCH].size);
  const count = checkRetrying(() => call.epoll_wait(epoll, bytes, max, 0), "epoll_wait", epoll);
  return decodeEvents(bytes.subarray(0, count * LAYOUTS[ARCH].size), ARCH);
}

/**
 * Writes a `struct epoll_event`.
 *
 * @param event its fields
 * @param arch whose layout to write
 */
export function encodeEvent({ events, data }: EpollEvent, arch: Arch): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(LAYOUTS[arch].size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, events >>> 0, true);
  view.setBigUint64(LAYOUTS[arch].data, data, true);
  return bytes;
}

/**
 * Reads an array of `struct epoll_event`.
 *
 * @param bytes whole structures
 * @param arch whose layout they have
 */
export function decodeEvents(bytes: Uint8Array, arch: Arch): EpollEvent[] {
  const { data, size } = LAYOUTS[arch];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.byteLength / size }, (_, index) => ({
    events: view.getUint32(index * size, true),
    data: view.getBigUint64(index * size + data, true),
  }));
}

/**
 * The interest list of an epoll.
 *
 * @param epoll an epoll
 * @returns its entries, in the kernel's order
 * @throws {SysError} ENOENT if it is not open
 */
export function interestsOf(epoll: number): EpollEntry[] {
  return parseInterests(fdInfo(epoll).get("tfd") ?? "");
}

/**
 * Reads lines of `/proc/PID/fdinfo` of an epoll.
 *
 * @param lines the lines, with or without `tfd:` in front
 * @returns the entries, in the order of the lines
 */
export function parseInterests(lines: string): EpollEntry[] {
  const seen = new Map<number, number>();
  const found = lines.matchAll(
    /^(?:tfd:)?\s*(\d+) events:\s*([0-9a-f]+) data:\s*([0-9a-f]+)\s+pos:\S+ ino:([0-9a-f]+) sdev:([0-9a-f]+)/gm,
  );
  return [...found].map(([, number, events = "", data, ino, sdev = ""]) => {
    const tfd = Number(number);
    const offset = seen.get(tfd) ?? 0;
    seen.set(tfd, offset + 1);
    return {
      tfd,
      offset,
      events: Number.parseInt(events, 16),
      data: BigInt(`0x${data}`),
      ino: BigInt(`0x${ino}`),
      sdev: Number.parseInt(sdev, 16),
    };
  });
}

/**
 * Is an open file the one that an entry belongs to (kcmp(2), `KCMP_EPOLL_TFD`)?
 *
 * @param epoll an epoll
 * @param entry the entry
 * @param fd an open descriptor
 * @returns the answer; null where the kernel or a seccomp profile gives none
 * @throws {SysError} EBADF; ENOENT when there is no such entry any more
 */
export function isInterestIn(
  epoll: number,
  entry: Pick<EpollEntry, "tfd" | "offset">,
  fd: number,
): boolean | null {
  const slot = new Uint32Array([epoll, entry.tfd, entry.offset]);
  const pid = BigInt(getPid());
  const address = BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(slot)));
  const answer = call.syscall(BigInt(SYS_kcmp), pid, pid, KCMP_EPOLL_TFD, BigInt(fd), address);
  // The slot is looked at here once more, so that it is there until the call has returned.
  if (answer >= 0n) return slot.length > 0 && answer === 0n;
  const errno = lastErrno();
  if (errno === ERRNO.EBADF || errno === ERRNO.ENOENT) throw new SysError("kcmp", errno, `fd ${fd}`);
  return null;
}

/**
 * The kernel's number of a device, as `/proc` shows it, from the one of stat(2).
 *
 * @param dev `st_dev`
 */
export function kernelDevice(dev: bigint): number {
  const major = (dev >> 8n) & 0xfffn;
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xfff00n);
  return Number((major << 20n) | minor);
}
