/**
 * HTTP servers, and others, whose connections live through an update.
 *
 * Happy path: {@linkcode requestListener} makes a `node:http` server of a web-standard handler; {@linkcode Conversations}
 * watches that server, keeps its connections still, and gives and takes them; {@linkcode incomingOf} finds the request to
 * exclude. {@linkcode RawConnections} does the same for a server that does not speak HTTP.
 *
 * Unhappy path: a runtime of which too little is known for that: {@linkcode runtimeFault} says so.
 *
 * @module
 */

export type { Connections } from "./connections.ts";
export { Conversations } from "./conversations.ts";
export {
  type BridgeOptions,
  type FetchHandler,
  type RemoteAddress,
  requestListener,
  type ServeInfo,
} from "./fetch_bridge.ts";
export { RawConnections } from "./raw_connections.ts";
export { runtimeFault } from "./runtime.ts";
export { incomingOf } from "./served_request.ts";
