/**
 * `rollback`: an update to the previous build of the history. Which one that is, the service knows; one without a previous
 * build refuses.
 *
 * @module
 */
import type { RollbackCommand } from "./args.ts";
import { update } from "./verdict.ts";

/**
 * Takes the service back to its previous build.
 *
 * @returns the exit status: 0 committed, 1 anything else
 * @throws {NoServiceError} nobody serves the socket
 * @throws {NoAnswerError} no verdict in time
 * @throws {BrokenConnectionError} no answer to the request
 * @throws {ControlError} the service refuses to start an update
 */
export async function rollback(command: RollbackCommand): Promise<number> {
  return await update(command, { rollback: true });
}
