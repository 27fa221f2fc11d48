/**
 * `stream-v1`: a connected stream socket, TCP or unix.
 *
 * Preserved:
 * - the connection with what waits in the kernel's queues, both ways, and all socket options
 *
 * Not preserved:
 * - bytes that the application has read and not dealt with, or written and not yet given to the kernel
 * - a TLS session, whose keys live in user space
 *
 * While the handover holds a duplicate, closing a descriptor does not end the connection: use `shutdown(2)`.
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
import { HandoverError } from "../kho/errors.ts";
import type { FileHandler } from "../luo/handler.ts";
import { descriptorHandler } from "./descriptor.ts";

/** `SOCK_STREAM`. */
const STREAM = 1;

function isStream(fd: number): boolean {
  return fstat(fd).kind === "socket" && getIntOption(fd, ...SOCKET_OPTIONS.TYPE) === STREAM &&
    getIntOption(fd, ...SOCKET_OPTIONS.ACCEPTCONN) === 0;
}

/** Carries connected stream sockets. A peer that has left does not make one unknown. */
export const streamHandler: FileHandler = descriptorHandler({
  compatible: "stream-v1",
  version: 1,
  accepts: isStream,
  describe(fd) {
    const peer = getpeername(fd);
    return {
      cookie: socketCookie(fd),
      local: formatAddress(getsockname(fd)).toWellFormed(),
      peer: peer === null ? null : formatAddress(peer).toWellFormed(),
    };
  },
  verify(fd, record) {
    if (!isStream(fd) || socketCookie(fd) !== record.u64("cookie")) {
      throw new HandoverError(
        "WRONG_DESCRIPTOR",
        `Cannot retrieve fd ${fd}: it is not the connection it was`,
      );
    }
  },
});
