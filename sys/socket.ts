/**
 * Sockets: make, bind, listen, connect, ask, set, send, shut down.
 *
 * Happy path: `using listener = openListener({ family: "inet", host: "127.0.0.1", port: 0 });` and
 * {@linkcode getsockname} tells the port. Sockets made here are close-on-exec and nonblocking from birth.
 *
 * Unhappy paths:
 * 1. The address is taken (EADDRINUSE), not ours (EADDRNOTAVAIL), or privileged (EACCES): `SysError`, and the socket is
 *    closed again.
 * 2. The descriptor is no socket: ENOTSOCK.
 *
 * @module
 */

import { check, ERRNO, SysError } from "./errno.ts";
import { OwnedFd } from "./owned_fd.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  decodeSockaddr,
  encodeSockaddr,
  formatAddress,
  type SocketAddress,
} from "./sockaddr.ts";
import { getIntOption, getOptionBytes, readOption, setIntOption, SOCKET_OPTIONS } from "./socket_options.ts";
import { call, lastErrno } from "./symbols.ts";
import { cString } from "./text.ts";

/** Family of a socket. */
export type SocketFamily = "inet" | "inet6" | "unix";
/** Type of a socket. */
export type SocketType = "stream" | "datagram" | "seqpacket";
/** Which direction of a connection. */
export type ShutdownDirection = "read" | "write" | "both";

const FAMILIES: Readonly<Record<SocketFamily, number>> = { inet: AF_INET, inet6: AF_INET6, unix: AF_UNIX };
const TYPES: Readonly<Record<SocketType, number>> = { stream: 1, datagram: 2, seqpacket: 5 };
const DIRECTIONS: Readonly<Record<ShutdownDirection, number>> = { read: 0, write: 1, both: 2 };
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

/** `struct sockaddr_storage`: room for any address. */
const ADDRESS_BYTES = 128;

/**
 * Makes a socket, close-on-exec and nonblocking.
 *
 * @param family address family
 * @param type kind of transport; `"seqpacket"` is for unix
 * @returns the owner of the descriptor
 * @throws {SysError} EAFNOSUPPORT, EPROTONOSUPPORT, ESOCKTNOSUPPORT, EMFILE, ENFILE, ...
 */
export function createSocket(family: SocketFamily, type: SocketType): OwnedFd {
  const fd = call.socket(FAMILIES[family], TYPES[type] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return OwnedFd.adopt(check(fd, "socket", `${family} ${type}`));
}

/**
 * Gives a socket its own address.
 *
 * @param fd a socket
 * @param address port 0 takes a free one; a unix path is created and stays until it is removed
 * @throws {SysError} EADDRINUSE, EADDRNOTAVAIL, EACCES, EINVAL if bound already, ENOENT, ...
 * @throws {RangeError} if the address is malformed
 */
export function bindSocket(fd: number, address: SocketAddress): void {
  const bytes = encodeSockaddr(address);
  check(call.bind(fd, bytes, bytes.byteLength), "bind", `fd ${fd} to ${formatAddress(address)}`);
}

/**
 * Makes a bound socket accept connections, or changes the backlog of one that does.
 *
 * @param fd a bound stream or seqpacket socket
 * @param backlog how many connections may wait to be accepted; the kernel caps it at `net.core.somaxconn`
 * @throws {SysError} EADDRINUSE, EINVAL, EOPNOTSUPP
 */
export function listenOn(fd: number, backlog: number): void {
  check(call.listen(fd, backlog), "listen", fd);
}

/**
 * Connects a socket.
 *
 * @param fd a socket
 * @param address whom to reach
 * @returns true when connected; false while a nonblocking connection is still under way
 * @throws {SysError} ECONNREFUSED, ENOENT, EAGAIN if the backlog of a unix socket is full, ENETUNREACH, ...
 * @throws {RangeError} if the address is malformed
 */
export function connectSocket(fd: number, address: SocketAddress): boolean {
  const bytes = encodeSockaddr(address);
  for (let interrupted = false;;) {
    if (call.connect(fd, bytes, bytes.byteLength) === 0) return true;
    const errno = lastErrno();
    if (errno === ERRNO.EINTR) {
      // A unix socket has to begin anew. A TCP socket goes on by itself, and says so when asked again.
      interrupted = true;
      continue;
    }
    if (interrupted && errno === ERRNO.EISCONN) return true;
    if (errno === ERRNO.EINPROGRESS || errno === ERRNO.EALREADY) return false;
    throw new SysError("connect", errno, `fd ${fd} to ${formatAddress(address)}`);
  }
}

/**
 * The address of a socket itself.
 *
 * @param fd a socket
 * @returns its address; `unnamed` or port 0 if it is not bound
 * @throws {SysError} EBADF, ENOTSOCK
 * @throws {RangeError} if it is of another family than {@linkcode SocketAddress} knows
 */
export function getsockname(fd: number): SocketAddress {
  const bytes = new Uint8Array(ADDRESS_BYTES);
  const length = new Uint32Array([ADDRESS_BYTES]);
  check(call.getsockname(fd, bytes, length), "getsockname", fd);
  return decodeSockaddr(bytes.subarray(0, length[0]));
}

/**
 * The address of the other end.
 *
 * @param fd a socket
 * @returns its address, or null if the socket is not connected
 * @throws {SysError} EBADF, ENOTSOCK
 * @throws {RangeError} if it is of another family than {@linkcode SocketAddress} knows
 */
export function getpeername(fd: number): SocketAddress | null {
  const bytes = new Uint8Array(ADDRESS_BYTES);
  const length = new Uint32Array([ADDRESS_BYTES]);
  if (call.getpeername(fd, bytes, length) === -1) {
    const errno = lastErrno();
    if (errno === ERRNO.ENOTCONN) return null;
    throw new SysError("getpeername", errno, `fd ${fd}`);
  }
  return decodeSockaddr(bytes.subarray(0, length[0]));
}

const COOKIE_BYTES = 8;
const cookie = new BigUint64Array(1);
const cookieLength = new Uint32Array(1);

/**
 * The number that the kernel gives to a socket, the same for all its duplicates, never used again before the next boot
 * (`SO_COOKIE`).
 *
 * @param fd a socket
 * @returns the cookie
 * @throws {SysError} EBADF, ENOTSOCK
 */
export function socketCookie(fd: number): bigint {
  const [level, name] = SOCKET_OPTIONS.COOKIE;
  cookieLength[0] = COOKIE_BYTES;
  // A restart asks for one after the other, by the thousand: once for each socket, in cold code.
  readOption(fd, level, name, cookie, cookieLength);
  return cookie[0]!;
}

/** Who is at the other end of a unix socket, as it was when the connection was made. */
export interface PeerCredentials {
  /** Process. */
  pid: number;
  /** Effective user. */
  uid: number;
  /** Effective group. */
  gid: number;
}

/**
 * Who connected to this unix socket (`SO_PEERCRED`).
 *
 * @param fd a connected unix stream or seqpacket socket, or one of a pair
 * @returns the credentials; pid 0 if that process is not visible from here
 * @throws {SysError} EBADF, ENOTSOCK
 */
export function peerCredentials(fd: number): PeerCredentials {
  return decodeUcred(getOptionBytes(fd, ...SOCKET_OPTIONS.PEERCRED, 12));
}

/**
 * Reads a `struct ucred`.
 *
 * @param bytes the structure, 12 bytes
 * @returns the credentials
 */
export function decodeUcred(bytes: Uint8Array): PeerCredentials {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { pid: view.getInt32(0, true), uid: view.getUint32(4, true), gid: view.getUint32(8, true) };
}

/**
 * Ends one direction of a connection, or both. Unlike `close`, the other end sees it even while duplicates are open.
 *
 * @param fd a connected socket
 * @param direction what to end
 * @throws {SysError} ENOTCONN, EBADF, ENOTSOCK
 */
export function shutdownSocket(fd: number, direction: ShutdownDirection): void {
  check(call.shutdown(fd, DIRECTIONS[direction]), "shutdown", fd);
}

/**
 * Gives bytes to the kernel, as many as it takes at this moment: without waiting, and without SIGPIPE, whether the socket
 * is nonblocking or not.
 *
 * @param fd a connected stream socket
 * @param bytes what to send
 * @returns how many of them, from the first on, are the kernel's now; 0 when its buffer is full
 * @throws {SysError} EPIPE, ECONNRESET, ETIMEDOUT, ENOTCONN, EBADF, ENOTSOCK
 */
export function sendNow(fd: number, bytes: Uint8Array): number {
  if (bytes.byteLength === 0) return 0;
  for (;;) {
    const sent = call.send(fd, bytes, BigInt(bytes.byteLength), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) return sent;
    const errno = lastErrno();
    if (errno === ERRNO.EAGAIN) return 0;
    if (errno !== ERRNO.EINTR) throw new SysError("send", errno, `fd ${fd}`);
  }
}

/** How to open a listener. */
export interface ListenerOptions {
  /** How many connections may wait to be accepted; the kernel caps it at `net.core.somaxconn`. @default {4096} */
  backlog?: number;
  /** Share the port with other listeners that say so too (SO_REUSEPORT). @default {false} */
  reusePort?: boolean;
  /** For `inet6`: whether to leave IPv4 alone. @default {the system's `net.ipv6.bindv6only`} */
  v6only?: boolean;
}

/**
 * Opens a stream socket that listens. SO_REUSEADDR is set for IP, so that connections of an earlier process that linger
 * do not stand in the way.
 *
 * @param address where to listen; port 0 takes a free one
 * @param options backlog and sharing
 * @returns the owner of the descriptor
 * @throws {SysError} EADDRINUSE, EADDRNOTAVAIL, EACCES, ...; nothing is left behind, no socket and no path
 * @throws {RangeError} if the address is malformed
 */
export function openListener(address: SocketAddress, options: ListenerOptions = {}): OwnedFd {
  const family = address.family === "inet" || address.family === "inet6" ? address.family : "unix";
  using undo = new DisposableStack();
  const listener = undo.use(createSocket(family, "stream"));
  if (family !== "unix") setIntOption(listener.fd, ...SOCKET_OPTIONS.REUSEADDR, 1);
  if (options.reusePort) setIntOption(listener.fd, ...SOCKET_OPTIONS.REUSEPORT, 1);
  if (family === "inet6" && options.v6only !== undefined) {
    setIntOption(listener.fd, ...SOCKET_OPTIONS.IPV6_V6ONLY, options.v6only ? 1 : 0);
  }
  bindSocket(listener.fd, address);
  if (address.family === "unix") undo.defer(() => void call.unlink(cString(address.path)));
  listenOn(listener.fd, options.backlog ?? 4096);
  undo.move();
  return listener;
}

export { getIntOption, setIntOption, SOCKET_OPTIONS };
