/**
 * The built-in handlers, in the order in which they are asked.
 *
 * @module
 */
import type { HandlerRegistry } from "../luo/handler.ts";
import { datagramHandler } from "./datagram.ts";
import { directoryHandler } from "./directory.ts";
import { epollHandler } from "./epoll.ts";
import { eventfdHandler } from "./eventfd.ts";
import { fileHandler } from "./file.ts";
import { inotifyHandler } from "./inotify.ts";
import { listenerHandler } from "./listener.ts";
import { memfdHandler } from "./memfd.ts";
import { pidfdHandler } from "./pidfd.ts";
import { pipeHandler } from "./pipe.ts";
import { ptyHandler } from "./pty.ts";
import { shmHandler } from "./shm.ts";
import { signalfdHandler } from "./signalfd.ts";
import { streamHandler } from "./stream.ts";
import { streamsHandler } from "./streams.ts";
import { timerfdHandler } from "./timerfd.ts";

export type {
  CheckArgs,
  FileHandler,
  HandlerArgs,
  HandlerRegistry,
  IncomingArgs,
  IncomingHandover,
  OutgoingArgs,
  OutgoingHandover,
} from "../luo/handler.ts";
export { OwnedFd } from "../sys/owned_fd.ts";
export { datagramHandler } from "./datagram.ts";
export { directoryHandler } from "./directory.ts";
export { epollHandler } from "./epoll.ts";
export { CarriedInterest, takeInterest } from "./epoll_interests.ts";
export { eventfdHandler } from "./eventfd.ts";
export { fileHandler, type PathState, pathState } from "./file.ts";
export { inotifyHandler } from "./inotify.ts";
export { keepPaths, takePaths, type WatchedPath, type WatchedPaths } from "./inotify_paths.ts";
export { listenerHandler } from "./listener.ts";
export { memfdHandler } from "./memfd.ts";
export { pidfdHandler } from "./pidfd.ts";
export { pipeHandler } from "./pipe.ts";
export { ptyHandler } from "./pty.ts";
export { shmHandler } from "./shm.ts";
export { signalfdHandler } from "./signalfd.ts";
export { keepBytes, type StreamBytes, streamHandler, takeBytes } from "./stream.ts";
export { listStreams, streamsHandler, takeStreams } from "./streams.ts";
export { timerfdHandler } from "./timerfd.ts";

/**
 * Registers all built-in handlers.
 *
 * @param registry where to
 * @throws {LuoError} `EEXIST` when one of them is registered already
 */
export function registerBuiltins(registry: HandlerRegistry): void {
  // Order decides: a list of connections is a memfd, memory is a regular file too, a listening socket is a socket too.
  for (
    const handler of [
      streamsHandler,
      memfdHandler,
      shmHandler,
      fileHandler,
      listenerHandler,
      streamHandler,
      datagramHandler,
      pipeHandler,
      eventfdHandler,
      timerfdHandler,
      inotifyHandler,
      epollHandler,
      signalfdHandler,
      pidfdHandler,
      ptyHandler,
      directoryHandler,
    ]
  ) {
    registry.register(handler);
  }
}
