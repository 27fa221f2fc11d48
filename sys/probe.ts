/**
 * Does this kernel, with this user and this seccomp filter, do what live update needs? Each system call is tried, not looked
 * up by version: a filter may refuse what the kernel knows, and a distribution may know what its version does not.
 *
 * Happy path: {@linkcode probeSystemCalls} gives null for each probe that went well.
 *
 * Unhappy path: a probe that failed has the reason in words. Nothing is left behind, whatever happened.
 *
 * @module
 */

import { check, SysError } from "./errno.ts";
import { closeOnExecFrom, getCloexec, setCloexec } from "./fd.ts";
import { openFile, writeAll } from "./file.ts";
import { addSeals, createMemfd, getSeals, SEALS } from "./memfd.ts";
import { dupFd, OwnedFd } from "./owned_fd.ts";
import { openPidfd, signalPidfd } from "./pidfd.ts";
import { fdInfo } from "./proc.ts";
import { getPid } from "./process.ts";
import { SYS_kcmp } from "./arch.ts";
import { receiveFds, sendFds, socketPair } from "./scm.ts";
import { call } from "./symbols.ts";
import { cString } from "./text.ts";

/** `O_CLOEXEC`, which eventfd(2), timerfd_create(2) and the like take under names of their own. */
const CLOEXEC = 0o2000000;
const CLOCK_MONOTONIC = 1;
const F_DUPFD_QUERY = 1027;
const MFD_CLOEXEC = 1;
const MFD_NOEXEC_SEAL = 8;
/** `faccessat2`, Linux 5.8; the same on every architecture. */
const SYS_faccessat2 = 439n;
const AT_FDCWD = -100n;
const AT_EACCESS = 0x200n;

/** What is tried. */
const PROBES = {
  close_range: probeCloseRange,
  pidfd: probePidfd,
  memfd: probeMemfd,
  noexec_seal: probeNoexecSeal,
  dup_query: probeDupQuery,
  kcmp: probeKcmp,
  scm_rights: probeScmRights,
  eventfd: probeEventfd,
  eventfd_info: probeEventfdInfo,
  timerfd: () => opens("timerfd_create", call.timerfd_create(CLOCK_MONOTONIC, CLOEXEC)),
  inotify: () => opens("inotify_init1", call.inotify_init1(CLOEXEC)),
  epoll: () => opens("epoll_create1", call.epoll_create1(CLOEXEC)),
} as const satisfies Record<string, () => void>;

/** The name of a probe. */
export type ProbeName = keyof typeof PROBES;

/**
 * Tries every system call.
 *
 * @returns by probe: null when it went well, otherwise what went wrong
 */
export function probeSystemCalls(): Record<ProbeName, string | null> {
  const results: Partial<Record<ProbeName, string | null>> = {};
  for (const name of Object.keys(PROBES) as ProbeName[]) {
    try {
      PROBES[name]();
      results[name] = null;
    } catch (error) {
      results[name] = error instanceof SysError ? `${error.syscall}: ${error.code}` : String(error);
    }
  }
  return results as Record<ProbeName, string | null>;
}

/** What somebody wants to do with a file. */
export type Access = "read" | "write" | "execute";

const ACCESS_BITS: Readonly<Record<Access, bigint>> = { read: 4n, write: 2n, execute: 1n };

/**
 * May this process do that with a file (`faccessat2(2)`, with the effective user)? Also knows of read-only filesystems and
 * access control lists.
 *
 * @param path the file
 * @param access what is wanted
 * @returns null when it may, otherwise the name of the error
 */
export function refusedAccess(path: string, access: Access): string | null {
  const name = cString(path);
  const address = Deno.UnsafePointer.value(Deno.UnsafePointer.of(name));
  const result = call.syscall(SYS_faccessat2, AT_FDCWD, address, ACCESS_BITS[access], AT_EACCESS, 0n);
  try {
    check(Number(result), "faccessat2", path);
    return null;
  } catch (error) {
    if (error instanceof SysError) return error.code;
    throw error;
  }
}

function probeCloseRange(): void {
  using fd = openFile("/dev/null");
  setCloexec(fd.fd, false);
  closeOnExecFrom(fd.fd, fd.fd);
  if (!getCloexec(fd.fd)) throw new Error("close_range did not set FD_CLOEXEC");
}

function probePidfd(): void {
  using self = openPidfd(getPid());
  signalPidfd(self.fd, 0);
}

function probeMemfd(): void {
  using memory = createMemfd("heirloom:probe", { size: 1 });
  const seals = SEALS.SEAL | SEALS.SHRINK | SEALS.GROW | SEALS.WRITE;
  addSeals(memory.fd, seals);
  if ((getSeals(memory.fd) & seals) !== seals) throw new Error("the seals are not there");
  try {
    writeAll(memory.fd, new Uint8Array(1));
  } catch (error) {
    if (error instanceof SysError && error.code === "EPERM") return;
    throw error;
  }
  throw new Error("a sealed memfd could be written");
}

function probeNoexecSeal(): void {
  opens("memfd_create", call.memfd_create(cString("heirloom:probe"), MFD_CLOEXEC | MFD_NOEXEC_SEAL));
}

function probeDupQuery(): void {
  using fd = openFile("/dev/null");
  using copy = dupFd(fd.fd);
  const same = check(call.fcntl(fd.fd, F_DUPFD_QUERY, copy.fd), "fcntl");
  if (same !== 1) throw new Error("F_DUPFD_QUERY does not recognize a duplicate");
}

function probeKcmp(): void {
  using fd = openFile("/dev/null");
  using copy = dupFd(fd.fd);
  const pid = BigInt(getPid());
  const order = call.syscall(BigInt(SYS_kcmp), pid, pid, 0n, BigInt(fd.fd), BigInt(copy.fd));
  if (check(Number(order), "kcmp") !== 0) throw new Error("kcmp does not recognize a duplicate");
}

function probeScmRights(): void {
  const [ours, theirs] = socketPair();
  using _ours = ours;
  using _theirs = theirs;
  using fd = openFile("/dev/null");
  sendFds(ours.fd, new Uint8Array(1), [fd.fd]);
  const message = receiveFds(theirs.fd);
  const count = message?.fds.length ?? 0;
  for (const received of message?.fds ?? []) received[Symbol.dispose]();
  if (count !== 1) throw new Error(`${count} descriptors arrived instead of 1`);
}

function probeEventfd(): void {
  opens("eventfd", call.eventfd(0, CLOEXEC));
}

function probeEventfdInfo(): void {
  using fd = OwnedFd.adopt(check(call.eventfd(0, CLOEXEC), "eventfd"));
  const info = fdInfo(fd.fd);
  const missing = ["eventfd-count", "eventfd-id", "eventfd-semaphore"].filter((name) => !info.has(name));
  if (missing.length > 0) throw new Error(`/proc/self/fdinfo does not tell ${missing.join(", ")}`);
}

function opens(syscall: string, result: number): void {
  OwnedFd.adopt(check(result, syscall))[Symbol.dispose]();
}
