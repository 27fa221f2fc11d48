/**
 * Socket options.
 *
 * Happy path: `setIntOption(fd, ...SOCKET_OPTIONS.TCP_NODELAY, 1)`.
 *
 * Unhappy path: the socket has no such option: `SysError` with code ENOPROTOOPT (or EOPNOTSUPP).
 *
 * @module
 */

import { check, SysError } from "./errno.ts";
import { call, lastErrno } from "./symbols.ts";

const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SO_SNDTIMEO = 21;
const IPPROTO_IP = 0;
const IPPROTO_TCP = 6;
const IPPROTO_IPV6 = 41;

/** Level and name of an option, as getsockopt(2) takes them. */
export type SocketOption = readonly [level: number, name: number];

/** Name of an option; those of the socket level without their `SO_`. */
export type SocketOptionName =
  | "REUSEADDR"
  | "TYPE"
  | "ERROR"
  | "DONTROUTE"
  | "BROADCAST"
  | "SNDBUF"
  | "RCVBUF"
  | "KEEPALIVE"
  | "OOBINLINE"
  | "PRIORITY"
  | "LINGER"
  | "REUSEPORT"
  | "PASSCRED"
  | "PEERCRED"
  | "RCVLOWAT"
  | "ACCEPTCONN"
  | "MARK"
  | "PROTOCOL"
  | "DOMAIN"
  | "INCOMING_CPU"
  | "COOKIE"
  | "IP_TOS"
  | "IP_TTL"
  | "IP_TRANSPARENT"
  | "IP_FREEBIND"
  | "TCP_NODELAY"
  | "TCP_MAXSEG"
  | "TCP_CORK"
  | "TCP_KEEPIDLE"
  | "TCP_KEEPINTVL"
  | "TCP_KEEPCNT"
  | "TCP_SYNCNT"
  | "TCP_LINGER2"
  | "TCP_DEFER_ACCEPT"
  | "TCP_QUICKACK"
  | "TCP_USER_TIMEOUT"
  | "TCP_FASTOPEN"
  | "TCP_NOTSENT_LOWAT"
  | "IPV6_UNICAST_HOPS"
  | "IPV6_V6ONLY"
  | "IPV6_TCLASS";

/** Options by name. The same on x86-64 and aarch64. */
export const SOCKET_OPTIONS: Readonly<Record<SocketOptionName, SocketOption>> = {
  REUSEADDR: [SOL_SOCKET, 2],
  TYPE: [SOL_SOCKET, 3],
  ERROR: [SOL_SOCKET, 4],
  DONTROUTE: [SOL_SOCKET, 5],
  BROADCAST: [SOL_SOCKET, 6],
  SNDBUF: [SOL_SOCKET, 7],
  RCVBUF: [SOL_SOCKET, 8],
  KEEPALIVE: [SOL_SOCKET, 9],
  OOBINLINE: [SOL_SOCKET, 10],
  PRIORITY: [SOL_SOCKET, 12],
  LINGER: [SOL_SOCKET, 13],
  REUSEPORT: [SOL_SOCKET, 15],
  PASSCRED: [SOL_SOCKET, 16],
  PEERCRED: [SOL_SOCKET, 17],
  RCVLOWAT: [SOL_SOCKET, 18],
  ACCEPTCONN: [SOL_SOCKET, 30],
  MARK: [SOL_SOCKET, 36],
  PROTOCOL: [SOL_SOCKET, 38],
  DOMAIN: [SOL_SOCKET, 39],
  INCOMING_CPU: [SOL_SOCKET, 49],
  COOKIE: [SOL_SOCKET, 57],
  IP_TOS: [IPPROTO_IP, 1],
  IP_TTL: [IPPROTO_IP, 2],
  IP_TRANSPARENT: [IPPROTO_IP, 19],
  IP_FREEBIND: [IPPROTO_IP, 15],
  TCP_NODELAY: [IPPROTO_TCP, 1],
  TCP_MAXSEG: [IPPROTO_TCP, 2],
  TCP_CORK: [IPPROTO_TCP, 3],
  TCP_KEEPIDLE: [IPPROTO_TCP, 4],
  TCP_KEEPINTVL: [IPPROTO_TCP, 5],
  TCP_KEEPCNT: [IPPROTO_TCP, 6],
  TCP_SYNCNT: [IPPROTO_TCP, 7],
  TCP_LINGER2: [IPPROTO_TCP, 8],
  TCP_DEFER_ACCEPT: [IPPROTO_TCP, 9],
  TCP_QUICKACK: [IPPROTO_TCP, 12],
  TCP_USER_TIMEOUT: [IPPROTO_TCP, 18],
  TCP_FASTOPEN: [IPPROTO_TCP, 23],
  TCP_NOTSENT_LOWAT: [IPPROTO_TCP, 25],
  IPV6_UNICAST_HOPS: [IPPROTO_IPV6, 16],
  IPV6_V6ONLY: [IPPROTO_IPV6, 26],
  IPV6_TCLASS: [IPPROTO_IPV6, 67],
};

/**
 * Reads an option that is an `int`.
 *
 * @param fd a socket
 * @param level such as 1 for `SOL_SOCKET`
 * @param name the option
 * @returns its value
 * @throws {SysError} ENOPROTOOPT, EOPNOTSUPP, EBADF, ENOTSOCK
 */
export function getIntOption(fd: number, level: number, name: number): number {
  const bytes = getOptionBytes(fd, level, name, 4);
  return new DataView(bytes.buffer).getInt32(0, true);
}

/**
 * Sets an option that is an `int`.
 *
 * @param fd a socket
 * @param level such as 1 for `SOL_SOCKET`
 * @param name the option
 * @param value its new value
 * @throws {SysError} ENOPROTOOPT, EINVAL, EPERM, EBADF, ENOTSOCK
 * @throws {RangeError} if `value` does not fit into 32 bits
 */
export function setIntOption(fd: number, level: number, name: number, value: number): void {
  if (!Number.isInteger(value) || value < -0x80000000 || value > 0xffffffff) {
    throw new RangeError(`Cannot set socket option ${level}/${name} to ${value}: not a 32-bit number`);
  }
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  check(call.setsockopt(fd, level, name, bytes, bytes.byteLength), "setsockopt", subject(fd, level, name));
}

/**
 * Limits how long a blocking socket waits (`SO_RCVTIMEO`, `SO_SNDTIMEO`). A call that waited that long is EAGAIN.
 *
 * @param fd a socket
 * @param ms milliseconds for each single call; 0 for ever
 * @throws {SysError} EBADF, ENOTSOCK, EDOM
 * @throws {RangeError} if `ms` is not an integer from 0 to 2^31 - 1
 */
export function setSocketTimeouts(fd: number, ms: number): void {
  if (!Number.isInteger(ms) || ms < 0 || ms > 0x7fffffff) {
    throw new RangeError(
      `Cannot limit the waiting of fd ${fd} to ${ms} ms: not an integer from 0 to 2147483647`,
    );
  }
  // struct timeval
  const time = new Uint8Array(16);
  const view = new DataView(time.buffer);
  view.setBigInt64(0, BigInt(Math.floor(ms / 1000)), true);
  view.setBigInt64(8, BigInt((ms % 1000) * 1000), true);
  for (const name of [SO_RCVTIMEO, SO_SNDTIMEO]) {
    check(
      call.setsockopt(fd, SOL_SOCKET, name, time, time.byteLength),
      "setsockopt",
      subject(fd, SOL_SOCKET, name),
    );
  }
}

/**
 * Reads an option as bytes.
 *
 * @param fd a socket
 * @param level such as 1 for `SOL_SOCKET`
 * @param name the option
 * @param size how many bytes it has
 * @returns the bytes; zeros behind what the kernel gave
 * @throws {SysError} ENOPROTOOPT, EOPNOTSUPP, EINVAL if it is larger, EBADF, ENOTSOCK
 */
export function getOptionBytes(
  fd: number,
  level: number,
  name: number,
  size: number,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  readOption(fd, level, name, bytes, new Uint32Array([size]));
  return bytes;
}

/**
 * Reads an option into memory that is there, for who asks thousands of sockets.
 *
 * @param fd a socket
 * @param level such as 1 for `SOL_SOCKET`
 * @param name the option
 * @param into where it is put
 * @param length how many bytes there is room for; how many the kernel gave, afterwards
 * @throws {SysError} ENOPROTOOPT, EOPNOTSUPP, EINVAL if it is larger, EBADF, ENOTSOCK
 */
export function readOption(
  fd: number,
  level: number,
  name: number,
  into: Uint8Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>,
  length: Uint32Array<ArrayBuffer>,
): void {
  // Not with check(): the text of an error that does not come would take longer than the call.
  if (call.getsockopt(fd, level, name, into, length) === -1) {
    throw new SysError("getsockopt", lastErrno(), subject(fd, level, name));
  }
}

function subject(fd: number, level: number, name: number): string {
  return `fd ${fd} option ${level}/${name}`;
}
