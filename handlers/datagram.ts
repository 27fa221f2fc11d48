/**
 * `datagram-v1`: a datagram socket, UDP (IPv4 and IPv6) or unix (path, abstract, without a name), connected or not.
 *
 * Preserved:
 * - the socket with its addresses, all socket options, and its memberships in multicast groups
 * - the datagrams that wait in it, with their senders, as many as fit into its receive buffer (`SO_RCVBUF`); what arrives
 *   while nobody reads waits there as well
 * - an error that an earlier datagram has met and nobody has heard of
 *
 * Not preserved:
 * - datagrams that the application has received and not dealt with
 * - what arrives while the receive buffer is full: over a network the kernel drops it, a sender over unix has to wait
 * - the path of a unix socket, if somebody unlinks it
 *
 * Taken with: `live.datagram`.
 *
 * @module
 */
import {
  formatAddress,
  fstat,
  getIntOption,
  getpeername,
  getsockname,
  SOCKET_OPTIONS,
  socketCookie,
} from "../sys/mod.ts";
import type { FileHandler } from "../luo/handler.ts";
import { anotherOne, descriptorHandler } from "./descriptor.ts";

/** `SOCK_DGRAM`. */
const DATAGRAM = 2;

/** `AF_UNIX`, `AF_INET`, `AF_INET6`, each with the protocols that are meant: a ping socket has datagrams, too. */
const PROTOCOLS: Readonly<Record<number, readonly number[]>> = { 1: [0], 2: [17, 136], 10: [17, 136] };

function isDatagram(fd: number): boolean {
  if (fstat(fd).kind !== "socket" || getIntOption(fd, ...SOCKET_OPTIONS.TYPE) !== DATAGRAM) return false;
  const protocols = PROTOCOLS[getIntOption(fd, ...SOCKET_OPTIONS.DOMAIN)] ?? [];
  return protocols.includes(getIntOption(fd, ...SOCKET_OPTIONS.PROTOCOL));
}

/** Carries datagram sockets. */
export const datagramHandler: FileHandler = descriptorHandler({
  compatible: "datagram-v1",
  version: 1,
  steady: true,
  accepts: isDatagram,
  describe(fd) {
    const peer = getpeername(fd);
    return {
      cookie: socketCookie(fd),
      domain: getIntOption(fd, ...SOCKET_OPTIONS.DOMAIN),
      local: formatAddress(getsockname(fd)).toWellFormed(),
      peer: peer === null ? null : formatAddress(peer).toWellFormed(),
    };
  },
  verify(fd, record) {
    if (!isDatagram(fd) || socketCookie(fd) !== record.u64("cookie")) {
      throw anotherOne(fd, "datagram socket");
    }
  },
});
