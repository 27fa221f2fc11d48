/**
 * An update from the outside: start it, wait for the verdict whatever happens to the connection in the meantime, and say
 * how it ended. What `upgrade` and `rollback` have in common.
 *
 * Happy path: the service gives an id at once, and tells by events how the update goes and ends, on one connection that
 * lives through it.
 *
 * Unhappy paths: nobody serves the socket (exit 3); the update was not committed, or could not be started (exit 1); nobody
 * is left to ask, and the last words beside the socket are about this update: they are the verdict (exit 1); no verdict
 * within the deadline and ten seconds more, or no answer to the request (exit 4).
 *
 * @module
 */
import { readLastWords } from "../control/last_words.ts";
import type { UpdateRecord } from "../control/types.ts";
import { type CommonOptions, EXIT, type UpdateOptions } from "./args.ts";
import { buildText, updateText } from "./build_text.ts";
import { ControlClient, ControlError, NoAnswerError, NoServiceError } from "./control_client.ts";
import { duration } from "./text.ts";
import { UpdateEvents } from "./update_events.ts";

/** How much longer than the deadline of the update the verdict is waited for, in milliseconds. */
const GRACE_MS = 10_000;

/** Milliseconds without an event after which the service is asked. */
const SILENCE_MS = 500;

/** Milliseconds between two questions. */
const POLL_MS = 50;

/** Milliseconds for one question: a service in the middle of an update answers late. */
const QUESTION_MS = 2000;

/** What to update to, as members of the request. */
export type Target = Readonly<Record<string, string | boolean>>;

/**
 * Updates the service, and prints how that ended.
 *
 * @param command where, and how
 * @param target members of the request that say what to update to
 * @returns the exit status: 0 committed, 1 anything else
 * @throws {NoServiceError} nobody serves the socket
 * @throws {NoAnswerError} no verdict in time
 * @throws {BrokenConnectionError} the service left without an answer to the request: an update may be under way
 * @throws {ControlError} the service refuses to start an update
 */
export async function update(command: CommonOptions & UpdateOptions, target: Target): Promise<number> {
  const client = new ControlClient(command.socket, { timeoutMs: Math.max(QUESTION_MS, command.timeoutMs) });
  // Before the update is asked for, so that no word of it is missed.
  using events = await UpdateEvents.open(command.socket, QUESTION_MS);
  const answer = await client.post("/v1/upgrade", {
    ...target,
    timeout_ms: command.timeoutMs,
    guardian: command.guardian,
    ...(command.commitAfterMs === undefined ? {} : { commit_after_ms: command.commitAfterMs }),
  }) as { id: string };
  const record = await waitForVerdict(command, answer.id, events);
  const committed = record.outcome === "committed";
  for (const warning of record.warnings ?? []) console.error(`heirloom: warning: ${warning}`);
  if (command.json) console.log(JSON.stringify(record));
  else if (committed) console.log(`${updateText(record)}, now ${buildText(record.to)}`);
  if (committed) return EXIT.done;
  console.error(`heirloom: ${updateText(record)}`);
  for (const line of record.reason?.split("\n").slice(1) ?? []) console.error(`  ${line}`);
  return EXIT.refused;
}

/**
 * Waits until the update has ended. The service tells by events; where it does not, because the connection broke or nothing
 * came for a while, it is asked.
 */
async function waitForVerdict(
  command: CommonOptions & UpdateOptions,
  id: string,
  events: UpdateEvents,
): Promise<UpdateRecord> {
  const client = new ControlClient(command.socket, { timeoutMs: QUESTION_MS });
  const deadline = Date.now() + command.timeoutMs + GRACE_MS;
  const shown = new Set<string>();
  let state = "";
  while (Date.now() < deadline) {
    const told = events.ended ? null : await events.next(Math.min(SILENCE_MS, deadline - Date.now()));
    if (told !== null && told.id !== id) continue;
    const record = told ?? await ask(client, id);
    if (record instanceof Error) {
      // Words are left in advance: they count only where nobody listens any more. A service that is started anew makes them
      // part of its history.
      const words = record instanceof NoServiceError ? readLastWords(command.socket, id) : null;
      if (words !== null) return words;
      state = `; ${record.message}`;
    } else {
      if (!command.json && Deno.stderr.isTerminal()) showPhases(record, shown);
      if (record.outcome !== null) return record;
      state = "";
    }
    if (events.ended) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  const seconds = (command.timeoutMs + GRACE_MS) / 1000;
  throw new NoAnswerError(`Cannot tell how update ${id} ended: no verdict after ${seconds} s${state}`);
}

/** A record, or what keeps the service from giving it just now. */
async function ask(client: ControlClient, id: string): Promise<UpdateRecord | Error> {
  try {
    return await client.get(`/v1/history/${id}`) as UpdateRecord;
  } catch (error) {
    // In the middle of an update a service may not know the id yet, or fail to answer; only a refusal is final.
    if (error instanceof ControlError && error.status !== 404 && error.status < 500) throw error;
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** A line per phase that has begun; the last one has not ended, so its time is not shown. */
function showPhases(record: UpdateRecord, shown: Set<string>): void {
  const ended = record.outcome === null ? record.phases.slice(0, -1) : record.phases;
  for (const { name, ms } of ended) {
    if (shown.has(name)) continue;
    shown.add(name);
    console.error(`  ${name.padEnd(12)} ${duration(ms)}`);
  }
}
