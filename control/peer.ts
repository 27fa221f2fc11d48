/**
 * Who is at the other end of a control connection (`SO_PEERCRED`, unix(7)).
 *
 * @module
 */
import type { Socket } from "node:net";

import { OwnedFd, peerCredentials } from "../sys/mod.ts";

/**
 * The user of the process that connected.
 *
 * @param socket an accepted connection of a unix socket
 * @returns its user id, or -1 when it cannot be told: such a request is refused
 */
export function peerUid(socket: Socket): number {
  // The descriptor is not public; the handle gives a fresh duplicate of it.
  const handle = (socket as unknown as { _handle?: { fdForIpc?(): number } })._handle;
  const fd = handle?.fdForIpc?.() ?? -1;
  if (fd < 0) return -1;
  using owned = OwnedFd.adopt(fd);
  return peerCredentials(owned.fd).uid;
}
