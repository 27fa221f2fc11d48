/**
 * `upgrade`: starts an update and waits for the verdict, whatever happens to the connection in the meantime.
 *
 * Happy path: the service gives an id at once; the id is asked for until the update has ended.
 *
 * Unhappy paths: nobody serves the socket (exit 3); the update was not committed, or could not be started (exit 1); no
 * verdict within the deadline and ten seconds more (exit 4).
 *
 * @module
 */
import type { UpdateRecord } from "../control/types.ts";
import type { UpgradeCommand } from "./args.ts";
import { buildText, updateText } from "./build_text.ts";
import { ControlClient, ControlError, NoAnswerError } from "./control_client.ts";
import { duration } from "./text.ts";

/** How much longer than the deadline of the update the verdict is waited for, in milliseconds. */
const GRACE_MS = 10_000;

/** Milliseconds between two questions. */
const POLL_MS = 50;

/** Milliseconds for one question: a service in the middle of an update answers late. */
const QUESTION_MS = 2000;

/**
 * Updates the service.
 *
 * @returns the exit status: 0 committed, 1 anything else
 * @throws {NoServiceError} nobody serves the socket
 * @throws {NoAnswerError} no verdict in time
 * @throws {ControlError} the service refuses to start an update
 */
export async function upgrade(command: UpgradeCommand): Promise<number> {
  const client = new ControlClient(command.socket, { timeoutMs: Math.max(QUESTION_MS, command.timeoutMs) });
  const answer = await client.post("/v1/upgrade", {
    ...path("build", command.build),
    ...path("deno", command.deno),
    ...path("heirloom", command.heirloom),
    timeout_ms: command.timeoutMs,
    guardian: command.guardian,
  }) as { id: string };
  const record = await waitForVerdict(command, answer.id);
  if (command.json) console.log(JSON.stringify(record));
  else if (record.outcome === "committed") console.log(`${updateText(record)}, now ${buildText(record.to)}`);
  if (record.outcome === "committed") return 0;
  if (!command.json || record.reason !== null) console.error(`heirloom: ${updateText(record)}`);
  return 1;
}

/** Asks until the update has ended; connections may break and the service may be silent in between. */
async function waitForVerdict(command: UpgradeCommand, id: string): Promise<UpdateRecord> {
  const client = new ControlClient(command.socket, { timeoutMs: QUESTION_MS });
  const deadline = Date.now() + command.timeoutMs + GRACE_MS;
  const shown = new Set<string>();
  while (Date.now() < deadline) {
    const record = await ask(client, id);
    if (record !== null) {
      if (!command.json && Deno.stderr.isTerminal()) showPhases(record, shown);
      if (record.outcome !== null) return record;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new NoAnswerError(
    `Cannot tell how update ${id} ended: no verdict after ${(command.timeoutMs + GRACE_MS) / 1000} s`,
  );
}

/** A record, or null when the service cannot be asked just now. */
async function ask(client: ControlClient, id: string): Promise<UpdateRecord | null> {
  try {
    return await client.get(`/v1/history/${id}`) as UpdateRecord;
  } catch (error) {
    // In the middle of an update a service may not know the id yet, or fail to answer; only a refusal is final.
    if (error instanceof ControlError && error.status !== 404 && error.status < 500) throw error;
    return null;
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

function path(name: string, value: string | undefined): Record<string, string> {
  if (value === undefined) return {};
  return { [name]: value.startsWith("/") ? value : `${Deno.cwd()}/${value}` };
}
