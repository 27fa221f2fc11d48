/**
 * The built-in handlers, in the order in which they are asked.
 *
 * @module
 */
import type { HandlerRegistry } from "../luo/handler.ts";
import { datagramHandler } from "./datagram.ts";
import { fileHandler } from "./file.ts";
import { listenerHandler } from "./listener.ts";
import { memfdHandler } from "./memfd.ts";
import { pidfdHandler } from "./pidfd.ts";
import { pipeHandler } from "./pipe.ts";
import { streamHandler } from "./stream.ts";
import { streamsHandler } from "./streams.ts";

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
export { fileHandler, type PathState, pathState } from "./file.ts";
export { listenerHandler } from "./listener.ts";
export { memfdHandler } from "./memfd.ts";
export { pidfdHandler } from "./pidfd.ts";
export { pipeHandler } from "./pipe.ts";
export { keepBytes, type StreamBytes, streamHandler, takeBytes } from "./stream.ts";
export { listStreams, streamsHandler, takeStreams } from "./streams.ts";

/**
 * Registers all built-in handlers.
 *
 * @param registry where to
 * @throws {LuoError} `EEXIST` when one of them is registered already
 */
export function registerBuiltins(registry: HandlerRegistry): void {
  // Order decides: a list of connections is a memfd, a memfd is a regular file too, a listening socket is a socket too.
  for (
    const handler of [
      streamsHandler,
      memfdHandler,
      fileHandler,
      listenerHandler,
      streamHandler,
      datagramHandler,
      pipeHandler,
      pidfdHandler,
    ]
  ) {
    registry.register(handler);
  }
}
