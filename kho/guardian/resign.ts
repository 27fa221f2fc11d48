/**
 * A guardian that was the main process in the eyes of the service manager says that the service is it again, before it
 * ends: a main process that ends would take the whole service with it.
 *
 * Happy path: the manager has dealt with the message; the guardian may end.
 *
 * Unhappy path: there is no manager, or it does not answer within a second: nothing more can be done.
 *
 * @module
 */
import { poll, POLLHUP, POLLIN } from "../../sys/guard.ts";
import { SysError } from "../../sys/mod.ts";
import { announceMain, NOTIFY_VARIABLE } from "../../sys/notify.ts";
import { pidOf } from "../../sys/pidfd.ts";

/** How long to wait for the manager, in milliseconds. */
const BARRIER_MS = 1000;

/**
 * Gives the place of the main process back.
 *
 * @param service pidfd of the service, borrowed
 */
export function resign(service: number): void {
  const socket = Deno.env.get(NOTIFY_VARIABLE);
  const pid = pidOf(service);
  if (socket === undefined || socket === "" || pid === null) return;
  try {
    using barrier = announceMain(socket, pid);
    poll([{ fd: barrier.fd, events: POLLIN | POLLHUP }], BARRIER_MS);
  } catch (error) {
    // Nobody listens there: then nobody takes the guardian for the main process either.
    if (!(error instanceof SysError)) throw error;
  }
}
