/**
 * `listener-v1`: a listening socket, TCP or unix (path, abstract, seqpacket).
 *
 * Preserved:
 * - the socket with its address, its options, and its backlog: connections that wait in it are accepted by the new build
 *
 * Not preserved:
 * - connections that the old build has accepted; those are `stream-v1`
 * - the path of a unix socket, if somebody unlinks it
 *
 * Taken with: `live.serve`, `live.server`, `live.listen`.
 *
 * @module
 */
import { formatAddress, fstat, getIntOption, getsockname, SOCKET_OPTIONS, socketCookie } from "../sys/mod.ts";
import type { FileHandler } from "../luo/handler.ts";
import { anotherOne, descriptorHandler } from "./descriptor.ts";

function isListening(fd: number): boolean {
  return fstat(fd).kind === "socket" && getIntOption(fd, ...SOCKET_OPTIONS.ACCEPTCONN) !== 0;
}

/** Carries listening sockets. */
export const listenerHandler: FileHandler = descriptorHandler({
  compatible: "listener-v1",
  version: 1,
  steady: true,
  accepts: isListening,
  describe: (fd) => ({
    address: formatAddress(getsockname(fd)).toWellFormed(),
    cookie: socketCookie(fd),
    domain: getIntOption(fd, ...SOCKET_OPTIONS.DOMAIN),
    type: getIntOption(fd, ...SOCKET_OPTIONS.TYPE),
  }),
  verify(fd, record) {
    if (!isListening(fd) || socketCookie(fd) !== record.u64("cookie")) {
      throw anotherOne(fd, "listening socket");
    }
  },
});
