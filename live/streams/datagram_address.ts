/**
 * Where datagrams come from and go to, as it is written and as the kernel has it; and how a socket gets such an address.
 *
 * Happy path: `{ hostname, port }` for UDP, `{ path }` for a unix socket, an abstract one with `@` before its name.
 *
 * Unhappy paths: a unix sender that is not bound has no address, so nobody can answer it: null. A path that a dead
 * process left behind is replaced; one that somebody receives on never is.
 *
 * @module
 */
import {
  bindSocket,
  connectSocket,
  createSocket,
  getpeername,
  getsockname,
  lockFile,
  openFile,
  type OwnedFd,
  type SocketAddress,
  SysError,
} from "../../sys/mod.ts";
import { parseIPv6 } from "../../sys/ip.ts";
import { satisfies, serverAddressOf, socketAddressOf } from "../address.ts";

/** An address of datagrams: UDP, or the path of a unix socket (an abstract one starts with `@`). */
export type DatagramAddress =
  | {
    /** IPv4 or IPv6 address; that of a link with the number of its interface, as `fe80::1%2`. */
    hostname: string;
    /** The port. */
    port: number;
  }
  | {
    /** Path of a unix socket. */
    path: string;
  };

/**
 * The socket address behind an address of datagrams.
 *
 * @param address the address
 * @returns what bind(2) and sendto(2) take
 * @throws {RangeError} a host name that is no address, or a port outside 0 to 65535
 */
export function socketAddressFrom(address: DatagramAddress): SocketAddress {
  const [, hostname, scope] = "hostname" in address ? /^(.*)%(\d+)$/.exec(address.hostname) ?? [] : [];
  const found = socketAddressOf(hostname === undefined ? address : { ...address, hostname });
  return found.family === "inet6" && scope !== undefined ? { ...found, scope: Number(scope) } : found;
}

/**
 * A socket address as an address of datagrams.
 *
 * @param address what the kernel says
 * @returns the address, or null for a unix socket without one
 */
export function datagramAddressOf(address: SocketAddress): DatagramAddress | null {
  switch (address.family) {
    case "unnamed":
      return null;
    case "abstract":
      // A name without a letter can be bound, but not written.
      return address.name === "" ? null : { path: `@${address.name}` };
    case "unix":
      // A sender in another directory may have any path; this one is not to be taken for an abstract name.
      return { path: address.path.startsWith("@") ? `./${address.path}` : address.path };
    case "inet6":
      if (address.scope) return { hostname: `${address.host}%${address.scope}`, port: address.port };
  }
  return serverAddressOf(address) as DatagramAddress;
}

/**
 * Is a socket where it is wanted? Port 0 is satisfied by any port.
 *
 * @param fd a datagram socket
 * @param wanted its address, as it was asked for
 * @returns whether binding anew would give the same address
 */
export function isBoundTo(fd: number, wanted: SocketAddress): boolean {
  const bound = getsockname(fd);
  if (satisfies(bound, wanted)) return true;
  // A socket that is connected has chosen one of the addresses that it was bound to.
  if (!("host" in bound && "host" in wanted) || getpeername(fd) === null) return false;
  return isAny(wanted.host) && satisfies(bound, { ...wanted, host: bound.host });
}

function isAny(host: string): boolean {
  return host.includes(":") ? parseIPv6(host).every((byte) => byte === 0) : host === "0.0.0.0";
}

/**
 * Makes a datagram socket with an address.
 *
 * @param address where to receive; port 0 takes a free one
 * @param prepare sets options before the socket has its address
 * @returns the socket, the caller's
 * @throws {SysError} EADDRINUSE, EADDRNOTAVAIL, EACCES and what else bind(2) answers
 */
export function bindDatagram(address: SocketAddress, prepare: (fd: number) => void): OwnedFd {
  const family = address.family === "inet" || address.family === "inet6" ? address.family : "unix";
  using undo = new DisposableStack();
  const socket = undo.use(createSocket(family, "datagram"));
  prepare(socket.fd);
  if (address.family === "unix") bindPath(socket.fd, address);
  else bindSocket(socket.fd, address);
  undo.move();
  return socket;
}

function bindPath(fd: number, address: SocketAddress & { family: "unix" }): void {
  // Two that both found the path stale must not remove each other's: one at a time per directory.
  const folder = address.path.slice(0, address.path.lastIndexOf("/") + 1) || ".";
  using lock = openFile(folder, { read: true, directory: true });
  lockFile(lock.fd);
  try {
    bindSocket(fd, address);
  } catch (error) {
    if (!(error instanceof SysError) || error.code !== "EADDRINUSE") throw error;
    // Connecting to a file that is no socket is refused as well, and it is not ours to remove.
    if (!Deno.lstatSync(address.path).isSocket || !isStale(address)) throw error;
    Deno.removeSync(address.path);
    bindSocket(fd, address);
  }
}

function isStale(address: SocketAddress): boolean {
  using probe = createSocket("unix", "datagram");
  try {
    connectSocket(probe.fd, address);
    return false;
  } catch (error) {
    // Anything else, such as EPROTOTYPE or EPERM, comes from a socket that is in use.
    return error instanceof SysError && error.code === "ECONNREFUSED";
  }
}
