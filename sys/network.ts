/**
 * The system calls of datagrams and of waiting for them: a third export list beside `mod.ts` and `guard.ts`, so that an
 * image that only starts does not load them.
 *
 * @module
 */

export {
  type Datagram,
  disconnectSocket,
  dropErrors,
  isUnixSocket,
  receiveDatagram,
  sendDatagram,
} from "./datagram.ts";
export { type Watch, watchReadable, watchWritable } from "./readiness.ts";
