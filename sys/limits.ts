/**
 * Resource limits (`getrlimit(2)`). They cross an exec.
 *
 * Happy path: `setLimit("nofile", { soft: 1024n, hard: getLimit("nofile").hard })`.
 *
 * Unhappy path: above the hard limit without the privilege: `SysError` with code EPERM, and nothing has changed.
 *
 * Deno raises the soft limit of `nofile` to the hard one before any JavaScript runs, so what {@linkcode getLimit} says
 * is not what the process was started with.
 *
 * @module
 */

import { check } from "./errno.ts";
import { call } from "./symbols.ts";

/** Limits by name, without `RLIMIT_` and in lower case; the same numbers on x86-64 and aarch64. */
export const LIMITS = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
  locks: 10,
  sigpending: 11,
  msgqueue: 12,
  nice: 13,
  rtprio: 14,
  rttime: 15,
} as const;

/** Name of a limit. */
export type LimitName = keyof typeof LIMITS;

/** No limit (`RLIM_INFINITY`). */
export const UNLIMITED = 0xffffffffffffffffn;

/** A limit; {@linkcode UNLIMITED} for none. */
export interface Limit {
  /** What the kernel enforces. */
  soft: bigint;
  /** How far `soft` may be raised. */
  hard: bigint;
}

/**
 * Reads a limit of this process.
 *
 * @param name which
 * @returns the limit, in the unit of its kind (getrlimit(2))
 */
export function getLimit(name: LimitName): Limit {
  const bytes = new Uint8Array(16);
  check(call.getrlimit(LIMITS[name], bytes), "getrlimit", name);
  return decodeRlimit(bytes);
}

/**
 * Sets a limit of this process.
 *
 * @param name which
 * @param limit the new limit
 * @throws {SysError} EPERM if `hard` is raised without the privilege; EINVAL if `soft` is above `hard`
 * @throws {RangeError} if a value does not fit into 64 bits
 */
export function setLimit(name: LimitName, limit: Limit): void {
  check(call.setrlimit(LIMITS[name], encodeRlimit(limit)), "setrlimit", name);
}

/**
 * Writes a `struct rlimit`.
 *
 * @param limit the limit
 * @returns 16 bytes
 * @throws {RangeError} if a value does not fit into 64 bits
 */
export function encodeRlimit(limit: Limit): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  for (const [offset, value] of [[0, limit.soft], [8, limit.hard]] as const) {
    if (value < 0n || value > UNLIMITED) {
      throw new RangeError(`Cannot set limit ${value}: not an unsigned 64-bit number`);
    }
    view.setBigUint64(offset, value, true);
  }
  return bytes;
}

/**
 * Reads a `struct rlimit`.
 *
 * @param bytes the structure, 16 bytes
 * @returns the limit
 */
export function decodeRlimit(bytes: Uint8Array): Limit {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { soft: view.getBigUint64(0, true), hard: view.getBigUint64(8, true) };
}
