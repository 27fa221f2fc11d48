/**
 * Counters that a process waits for (eventfd(2)).
 *
 * Happy path: `const counter = createEventfd(); addCount(counter.fd, 1n); takeCount(counter.fd)` is 1n.
 *
 * Unhappy paths: nothing was added: {@linkcode takeCount} is null. What is added does not fit any more: {@linkcode addCount}
 * is false, and nothing was added.
 *
 * @module
 */
import { check, SysError } from "./errno.ts";
import { read, write } from "./file.ts";
import { OwnedFd } from "./owned_fd.ts";
import { POLLIN, pollNow } from "./poll.ts";
import { call } from "./symbols.ts";

const EFD_SEMAPHORE = 1;
const EFD_NONBLOCK = 0o4000;
const EFD_CLOEXEC = 0o2000000;

/** The most that the counter of an eventfd can hold. */
export const MAX_COUNT = 0xffff_ffff_ffff_fffen;

/** How an eventfd is made. */
export interface EventfdOptions {
  /** Each read takes one instead of all. @default {false} */
  semaphore?: boolean;
}

/**
 * Makes an eventfd with nothing in it, close-on-exec and nonblocking.
 *
 * @param options its mode, which never changes
 * @returns the owner of the descriptor
 * @throws {SysError} EMFILE, ENFILE, ENOMEM
 */
export function createEventfd(options: EventfdOptions = {}): OwnedFd {
  const flags = EFD_CLOEXEC | EFD_NONBLOCK | (options.semaphore ? EFD_SEMAPHORE : 0);
  return OwnedFd.adopt(check(call.eventfd(0, flags), "eventfd"));
}

/**
 * Adds to the counter of an eventfd.
 *
 * @param fd a nonblocking eventfd, borrowed
 * @param value 0 to {@linkcode MAX_COUNT}
 * @returns false where the counter has no room for it: nothing was added then
 * @throws {SysError} EBADF; EINVAL where it is no eventfd
 * @throws {RangeError} for a value that no counter holds
 */
export function addCount(fd: number, value: bigint): boolean {
  if (value < 0n || value > MAX_COUNT) {
    throw new RangeError(`Cannot add ${value} to an eventfd: not a number from 0 to ${MAX_COUNT}`);
  }
  return orNull(() => write(fd, encodeCount(value))) !== null;
}

/**
 * Reads an eventfd or a timerfd: takes what is counted. Looks first whether there is something: whoever shares the
 * descriptor may have made it a blocking one.
 *
 * @param fd an eventfd or a timerfd, borrowed
 * @returns the count, 1 for a semaphore; null where it is 0
 * @throws {SysError} EBADF; ECANCELED where a timerfd tells that its clock was set
 */
export function takeCount(fd: number): bigint | null {
  if (pollNow([fd], POLLIN)[0] === 0) return null;
  const bytes = new Uint8Array(8);
  return orNull(() => read(fd, bytes)) === null ? null : decodeCount(bytes);
}

/** A count, as it is written to an eventfd. */
export function encodeCount(value: bigint): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

/** A count, as it is read from an eventfd or a timerfd. */
export function decodeCount(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true);
}

function orNull<T>(operation: () => T): T | null {
  try {
    return operation();
  } catch (error) {
    if (error instanceof SysError && error.code === "EAGAIN") return null;
    throw error;
  }
}
