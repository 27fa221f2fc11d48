/**
 * What tells one open descriptor from another after a jump: device and inode, the cookie of a socket, and the kernel's name
 * for an anonymous inode. What else is to know of one of those (counts, clocks, watches), its handler compares.
 *
 * A number alone says nothing: it may have been closed and taken by something else. Inode numbers of sockets are
 * reused in time, their cookies never (`SO_COOKIE`, socket(7)).
 *
 * @module
 */
import { fdLink, type FileStat, fstat, socketCookie, SysError } from "../sys/mod.ts";
import type { FdRecord, FdRole } from "./abi/segment.ts";
import { HandoverError } from "./errors.ts";

/**
 * Describes an open descriptor.
 *
 * @param fd the descriptor, borrowed
 * @param kind what it is to the handover
 * @returns the record that the segment will hold
 * @throws {SysError} `EBADF` when it is closed
 */
export function identify(fd: number, kind: FdRole): FdRecord {
  const stat = fstat(fd);
  const record: FdRecord = { fd, dev: stat.dev, ino: stat.ino, mode: stat.mode, kind };
  if (stat.kind === "socket") record.cookie = socketCookie(fd);
  else if (stat.kind === "anon") record.link = fdLink(fd);
  return record;
}

/**
 * Checks that a descriptor is the one that was recorded.
 *
 * @param record what the segment says
 * @throws {HandoverError} `WRONG_DESCRIPTOR` when it is closed or is another one
 */
export function verifyIdentity(record: FdRecord): void {
  let stat: FileStat;
  try {
    // A cookie says it all: no other socket of this boot has it.
    if (record.cookie !== undefined && socketCookie(record.fd) === record.cookie) return;
    stat = fstat(record.fd);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (error.code === "ENOTSOCK") stat = fstat(record.fd);
    else throw wrong(record, `it is closed (${error.code})`);
  }
  // Permission bits may be changed by anyone who may chmod the file; its type never changes.
  const sameType = (stat.mode & 0o170000) === (record.mode & 0o170000);
  if (stat.dev !== record.dev || stat.ino !== record.ino || !sameType) {
    throw wrong(record, `it is another one (${stat.kind}, inode ${stat.ino} instead of ${record.ino})`);
  }
  if (record.cookie !== undefined) throw wrong(record, "it is another socket");
  if (record.link !== undefined && fdLink(record.fd) !== record.link) {
    throw wrong(record, `it is another one (${fdLink(record.fd)} instead of ${record.link})`);
  }
}

/**
 * Is a descriptor still the one that was recorded?
 *
 * @param record what is known of it
 */
export function isIntact(record: FdRecord): boolean {
  try {
    verifyIdentity(record);
    return true;
  } catch (error) {
    if (error instanceof HandoverError) return false;
    throw error;
  }
}

function wrong(record: FdRecord, state: string): HandoverError {
  return new HandoverError("WRONG_DESCRIPTOR", `Cannot take over fd ${record.fd}: ${state}`);
}
