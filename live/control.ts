/**
 * The server behind the control socket: carried like any other, except that it never holds up an update for long.
 *
 * Loaded when it is first needed; a restart does not wait for it.
 *
 * @module
 */
import { type ControlTarget, createControlServer } from "../control/server.ts";
import { getUid, type OwnedFd } from "../sys/mod.ts";
import { CONTROL_NAME } from "./control_socket.ts";
import type { Taken } from "./http/connections.ts";
import { Conversations } from "./http/conversations.ts";
import { Port } from "./port.ts";

/** How long an update waits for answers to operators, in milliseconds; who listens to events is cut off then. */
const CONTROL_PATIENCE_MS = 250;

/**
 * Puts the server behind the control socket.
 *
 * @param listener the listening socket; owned by the port from here on
 * @param target what answers
 * @param handed connections that were handed over
 */
export function createControlPort(listener: OwnedFd, target: ControlTarget, handed: Taken[]): Port {
  const server = createControlServer(target, getUid());
  return new Port(CONTROL_NAME, server, listener, new Conversations(server), handed, {
    overdue: "close",
    patienceMs: CONTROL_PATIENCE_MS,
  });
}
