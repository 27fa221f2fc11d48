/**
 * The system calls of watching another process and of handing it descriptors: a second export list beside `mod.ts`, so
 * that an image that only starts does not load them.
 *
 * @module
 */

export { dupOnto } from "./fd.ts";
export { exitStatusOf, openPidfd, pendingSignalsOf, pidOf, signalPidfd } from "./pidfd.ts";
export { poll, type PollEntry, POLLERR, POLLHUP, POLLIN, POLLOUT } from "./poll.ts";
export {
  MAX_FDS_PER_MESSAGE,
  type ReceivedMessage,
  receiveFds,
  type ReceiveOptions,
  sendFds,
  socketPair,
} from "./scm.ts";
export { type SpawnOptions, spawnProcess } from "./spawn.ts";
