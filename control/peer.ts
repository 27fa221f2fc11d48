/**
 * Who is at the other end of a control connection (`SO_PEERCRED`, unix(7)).
 *
 * @module
 */
import type { Socket } from "node:net";

import { ERRNO, OwnedFd, peerCredentials, SysError } from "../sys/mod.ts";

/**
 * The user of the process that connected.
 *
 * @param socket an accepted connection of a unix socket
 * @returns its user id, or -1 when there is no connection any more: such a request is refused
 * @throws {SysError} `EMFILE` at the limit of open files: then nobody can be told apart
 */
export function peerUid(socket: Socket): number {
  // The descriptor is not public; the handle gives a fresh duplicate of it.
  const handle = (socket as unknown as { _handle?: { fdForIpc?(): number } })._handle;
  const fd = handle?.fdForIpc?.() ?? -1;
  if (fd < 0) {
    if (typeof handle?.fdForIpc !== "function" || socket.destroyed) return -1;
    // dup(2): an open descriptor cannot be duplicated for this one reason.
    throw new SysError("dup", ERRNO.EMFILE, "the control connection");
  }
  using owned = OwnedFd.adopt(fd);
  return peerCredentials(owned.fd).uid;
}
