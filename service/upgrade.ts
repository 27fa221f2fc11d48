/**
 * `upgrade`: an update to a newer build, or to the present names resolved anew.
 *
 * @module
 */
import type { UpgradeCommand } from "./args.ts";
import { buildMembers } from "./build_request.ts";
import { update } from "./verdict.ts";

/**
 * Updates the service.
 *
 * @returns the exit status: 0 committed, 1 anything else
 * @throws {NoServiceError} nobody serves the socket
 * @throws {NoAnswerError} no verdict in time
 * @throws {BrokenConnectionError} no answer to the request
 * @throws {ControlError} the service refuses to start an update
 */
export async function upgrade(command: UpgradeCommand): Promise<number> {
  return await update(command, buildMembers(command));
}
