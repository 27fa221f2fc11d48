/**
 * The queue of a TCP socket that listens: connections that are established and wait for accept(2).
 *
 * Happy path: {@linkcode listenQueue} asks the socket itself (`TCP_INFO`, tcp(7)); `/proc/net/tcp` shows who waits, but not
 * how many may.
 *
 * Unhappy path: the socket does not listen, or is none of TCP: null.
 *
 * @module
 */

import { SysError } from "./errno.ts";
import { getOptionBytes } from "./socket_options.ts";

const IPPROTO_TCP = 6;
const TCP_INFO = 11;
const TCP_LISTEN = 10;

/** As much of `struct tcp_info` as is read here. */
const INFO_BYTES = 32;

/** A queue of connections that nobody has accepted yet. */
export interface ListenQueue {
  /** How many wait. */
  waiting: number;
  /** How many may: the backlog of listen(2), capped at `net.core.somaxconn`. One more than this fits. */
  limit: number;
}

/**
 * The queue of a listening socket.
 *
 * @param fd a socket, borrowed
 * @returns its queue; null for a socket that does not listen, or is none of TCP
 * @throws {SysError} EBADF, ENOTSOCK
 */
export function listenQueue(fd: number): ListenQueue | null {
  try {
    return decodeListenQueue(getOptionBytes(fd, IPPROTO_TCP, TCP_INFO, INFO_BYTES));
  } catch (error) {
    const isOther = error instanceof SysError &&
      ["EOPNOTSUPP", "ENOPROTOOPT", "EINVAL"].includes(error.code);
    if (isOther) return null;
    throw error;
  }
}

/**
 * Reads the beginning of a `struct tcp_info`: of a socket that listens, `tcpi_unacked` is who waits and `tcpi_sacked` how
 * many may.
 *
 * @param info at least 32 bytes
 * @returns the queue, or null when the socket does not listen
 */
export function decodeListenQueue(info: Uint8Array): ListenQueue | null {
  if (info[0] !== TCP_LISTEN) return null;
  const view = new DataView(info.buffer, info.byteOffset, info.byteLength);
  return { waiting: view.getUint32(24, true), limit: view.getUint32(28, true) };
}
