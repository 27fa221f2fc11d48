/**
 * Heirloom: live update for Deno services. A running service replaces itself with a newer build in place and carries its
 * live resources over; if the new build does not come up, the old one comes back.
 *
 * @example An application that keeps its listener, its connections and a counter
 * ```ts
 * import { open } from "@heirloom/heirloom";
 *
 * const live = await open();
 * const hits = await live.segment("hits", { size: 8 });
 * const count = new BigUint64Array(hits.bytes.buffer);
 * await live.serve("web", { hostname: "127.0.0.1", port: 8080 }, () => {
 *   return new Response(`generation ${live.generation}, request ${++count[0]!}\n`);
 * });
 * await live.ready();
 * ```
 *
 * @module
 */
import type { UpgradeRequest } from "./control/types.ts";
import { api } from "./live/api.ts";
import type { Live } from "./live/live.ts";
import type { OpenOptions } from "./live/open.ts";

/**
 * Opens live update for this process.
 *
 * @param options how
 * @returns the application's handle
 * @throws {LuoError} `EBUSY` open already, `EIO` the handover cannot be read, `EADDRINUSE` another process serves the
 * control socket, `EINVAL` or `EEXIST` for a handler
 * @throws {RangeError} a time that is none
 */
export async function open(options: OpenOptions = {}): Promise<Live> {
  return await api.open(options);
}

/**
 * Freezes all outgoing sessions and replaces the running image, for an application that uses the {@linkcode Device}
 * without {@linkcode open}.
 *
 * @param request which build and runtime; the present names, resolved anew, if absent
 * @throws {LuoError} what a handler answered to the freeze
 * @throws {SysError} what `execve` answered; in every case nothing has changed
 * @throws {Error} a build that cannot be used
 */
export async function reboot(request: Pick<UpgradeRequest, "build" | "deno"> = {}): Promise<never> {
  return await api.reboot(request);
}

/**
 * Commits the update that brought this image up, for an application that uses the {@linkcode Device} without
 * {@linkcode open}. Does nothing on a cold start.
 */
export async function ready(): Promise<void> {
  await api.ready();
}

export { Device } from "./luo/device.ts";
export { LuoError } from "./luo/errors.ts";
export { flbs, registerFlb, registerHandler, unregisterFlb, unregisterHandler } from "./luo/process.ts";
export { HandoverError, type HandoverErrorCode } from "./kho/errors.ts";
export { OwnedFd, SysError, type Whence } from "./sys/mod.ts";
export type { Live } from "./live/live.ts";
export type { InheritOptions } from "./live/inherit.ts";
export type { ChildOptions, ChildOutput } from "./live/kinds/child.ts";
export type { ChildCommand } from "./live/kinds/child_command.ts";
export type { LiveChild } from "./live/kinds/child_process.ts";
export type { ChildStatus } from "./live/kinds/child_status.ts";
export type { LiveDirectory } from "./live/kinds/directory.ts";
export type { EpollListed, EpollOptions, EpollReady, LiveEpoll } from "./live/kinds/epoll.ts";
export type { EpollFlag } from "./live/kinds/epoll_names.ts";
export type { LiveEventfd, LiveEventfdOptions } from "./live/kinds/eventfd.ts";
export type { PipeOptions } from "./live/kinds/pipe.ts";
export type { LivePipe, PipeHandlers } from "./live/kinds/pipe_types.ts";
export type { SharedMemory, ShmOptions } from "./live/kinds/shm.ts";
export type { LiveTerminal, TerminalOptions, WindowSize } from "./live/kinds/terminal.ts";
export type { LiveTimer, LiveTimerOptions, TimerClock, TimerSetting } from "./live/kinds/timer.ts";
export type { LiveWatch, WatchEvent, WatchOptions } from "./live/kinds/watch.ts";
export type { WatchEventName, WatchFlag } from "./live/kinds/watch_names.ts";
export type { LiveConversations } from "./live/live_conversations.ts";
export type { LiveResources } from "./live/live_resources.ts";
export type { OpenOptions } from "./live/open.ts";
export type { ServerAddress } from "./live/address.ts";
export type { LiveFile, LiveFileOptions } from "./live/file.ts";
export type { SegmentOptions, SharedSegment } from "./live/segment.ts";
export type { StateOptions, StateValue } from "./live/states.ts";
export type { HookListeners, QuiesceEvent, ResumeEvent } from "./live/hooks.ts";
export type { CarryOptions, OverduePolicy, ServerHandle } from "./live/port.ts";
export type { FetchHandler, RemoteAddress, ServeInfo } from "./live/http/fetch_bridge.ts";
export type { EventFeed, EventStreamInit, EventStreamsOptions } from "./live/streams/event_streams.ts";
export type { EventStream } from "./live/streams/event_stream.ts";
export type { StreamEvent } from "./live/streams/event_format.ts";
export type { WebSockets, WebSocketsOptions } from "./live/streams/web_sockets.ts";
export type { WebSocketPeer } from "./live/streams/web_socket.ts";
export type { WebSocketInit } from "./live/streams/handshakes.ts";
export type {
  WebSocketData,
  WebSocketEvents,
  WebSocketLike,
  WebSocketPackage,
  WebSocketSendOptions,
} from "./live/streams/ws_package.ts";
export type { ListenOptions, RawServer } from "./live/streams/listen.ts";
export type { RawConnection, RawSocket } from "./live/streams/raw_member.ts";
export type { DatagramOptions } from "./live/streams/datagram.ts";
export type { DatagramAddress } from "./live/streams/datagram_address.ts";
export type { DatagramHandlers, DatagramSocket } from "./live/streams/datagram_socket.ts";
export type { ConnectionPolicy, PolicyChoice } from "./live/http/policy.ts";
export type { MemberStateOptions } from "./live/streams/member_states.ts";
export type { Direction, Session, SessionState } from "./luo/session.ts";
export type { FileInfo, FileState } from "./luo/file_info.ts";
export type { FailurePlace, LuoErrorCode } from "./luo/errors.ts";
export type { Flb, FlbAccess, FlbIncomingArgs, FlbOutgoingArgs } from "./luo/flb.ts";
export type { PreviousImage } from "./luo/orchestrator.ts";
export type {
  CheckArgs,
  FileHandler,
  HandlerArgs,
  IncomingArgs,
  IncomingHandover,
  OutgoingArgs,
  OutgoingHandover,
} from "./luo/handler.ts";
export type {
  BuildInfo,
  CheckReport,
  FileReport,
  Outcome,
  PhaseTime,
  ServiceState,
  SessionReport,
  StateReport,
  StatusReport,
  TokenReport,
  TokenVerdict,
  UpdateRecord,
  UpgradeRequest,
} from "./control/types.ts";
export { VERSION } from "./live/version.ts";
