/**
 * Where an application listens, as it is written and as the kernel has it.
 *
 * @module
 */
import {
  connectSocket,
  createSocket,
  decodeSockaddr,
  encodeSockaddr,
  formatAddress,
  lockFile,
  openFile,
  openListener,
  type OwnedFd,
  type PeerCredentials,
  peerCredentials,
  type SocketAddress,
  SysError,
} from "../sys/mod.ts";

/** An address to listen on: TCP, or the path of a unix socket (an abstract one starts with `@`). */
export type ServerAddress =
  | {
    /** IPv4 or IPv6 address. @default {"0.0.0.0"} */ hostname?: string; /** 0 takes a free one. */
    port: number;
  }
  | { /** Path of a unix socket. */ path: string };

/**
 * The socket address behind a server's address.
 *
 * @throws {RangeError} a host name that is no address, or a port outside 0 to 65535
 */
export function socketAddressOf(address: ServerAddress): SocketAddress {
  if ("path" in address) {
    return address.path.startsWith("@")
      ? { family: "abstract", name: address.path.slice(1) }
      : { family: "unix", path: address.path };
  }
  const hostname = address.hostname ?? "0.0.0.0";
  const host = hostname === "localhost" ? "127.0.0.1" : hostname.replace(/^\[(.*)\]$/, "$1");
  return host.includes(":")
    ? { family: "inet6", host, port: address.port }
    : { family: "inet", host, port: address.port };
}

/** A socket address as a server's address. */
export function serverAddressOf(address: SocketAddress): ServerAddress {
  switch (address.family) {
    case "inet":
    case "inet6":
      return { hostname: address.host, port: address.port };
    case "abstract":
      return { path: `@${address.name}` };
    case "unix":
      return { path: address.path };
    case "unnamed":
      return { path: "" };
  }
}

/** Would listening on `wanted` give the socket that is bound to `bound`? Port 0 is satisfied by any port. */
export function satisfies(bound: SocketAddress, wanted: SocketAddress): boolean {
  const port = "port" in wanted && "port" in bound && wanted.port === 0 ? { port: bound.port } : {};
  // An IPv6 address has many spellings, and the kernel tells one.
  const spelled = decodeSockaddr(encodeSockaddr({ ...wanted, ...port } as SocketAddress));
  return formatAddress(bound) === formatAddress(spelled);
}

/**
 * Listens on an address. A unix socket that nobody serves any more is replaced; one that is served never is.
 *
 * @param address where
 * @param backlog how many connections may wait; the kernel caps it at `net.core.somaxconn`
 * @returns the listening socket, the caller's
 * @throws {SysError} EADDRINUSE, EACCES, EADDRNOTAVAIL and what else bind(2) answers
 */
export function listenAt(address: SocketAddress, backlog?: number): OwnedFd {
  const options = backlog === undefined ? {} : { backlog };
  if (address.family !== "unix") return openListener(address, options);
  // Two starters that both found the socket stale must not remove each other's: one at a time per directory.
  const folder = address.path.slice(0, address.path.lastIndexOf("/") + 1) || ".";
  using lock = openFile(folder, { read: true, directory: true });
  lockFile(lock.fd);
  try {
    return openListener(address, options);
  } catch (error) {
    if (!(error instanceof SysError) || error.code !== "EADDRINUSE") throw error;
    // Connecting to a file that is no socket is refused as well, and it is not ours to remove.
    if (!Deno.lstatSync(address.path).isSocket || ownerOf(address) !== null) throw error;
    Deno.removeSync(address.path);
    return openListener(address, options);
  }
}

/**
 * Who serves a unix socket.
 *
 * @returns the credentials of the process that listens, or null when nobody does
 * @throws {SysError} EACCES and what else connect(2) answers, except that nobody is there
 */
export function ownerOf(address: SocketAddress): PeerCredentials | null {
  using probe = createSocket("unix", "stream");
  try {
    connectSocket(probe.fd, address);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (error.code === "ECONNREFUSED" || error.code === "ENOENT") return null;
    // The backlog is full: somebody listens, but does not answer in time for us to see who.
    if (error.code === "EAGAIN") return { pid: 0, uid: 0, gid: 0 };
    throw error;
  }
  return peerCredentials(probe.fd);
}
