/**
 * `check`: would this build take over from the running service? For people before an update, and for deploy pipelines.
 *
 * Happy path: the service checks the build and reports; it would take over: exit 0. What would be migrated or dropped is
 * listed even then.
 *
 * Unhappy paths: it would not take over (exit 1), with the reason and the end of what the build wrote on stderr; the
 * service cannot check now (exit 1, no report); nobody serves the socket (exit 3); no answer (exit 4). A build that hangs
 * is no missing answer: the service itself reports it when the time is up, and its answer is waited for a little longer.
 *
 * @module
 */
import type { CheckReport, StateReport, TokenReport } from "../control/types.ts";
import { type CheckCommand, EXIT } from "./args.ts";
import { buildMembers } from "./build_request.ts";
import { buildText } from "./build_text.ts";
import { ControlClient } from "./control_client.ts";
import { columns, duration } from "./text.ts";

/** How much longer than the build may take the report is waited for, in milliseconds. */
const GRACE_MS = 5000;

/**
 * Checks a build, and prints the report.
 *
 * @returns the exit status: 0 it would take over, 1 it would not
 * @throws {NoServiceError} nobody serves the socket
 * @throws {NoAnswerError} no report in time
 * @throws {BrokenConnectionError} the service left without a report
 * @throws {ControlError} the service refuses to check
 */
export async function check(command: CheckCommand): Promise<number> {
  const client = new ControlClient(command.socket, { timeoutMs: command.timeoutMs + GRACE_MS });
  const report = await client.post("/v1/check", {
    ...buildMembers(command),
    timeout_ms: command.timeoutMs,
  }) as CheckReport;
  console.log(command.json ? JSON.stringify(report) : reportText(report));
  // Whatever answers, only these words are a yes.
  if (report.ok === true) return EXIT.done;
  const reason = report.reason ?? "the service gives no reason";
  console.error(`heirloom: ${buildText(report.build)} would not take over: ${reason}`);
  const stderr = report.stderr.trimEnd();
  // The reason mostly ends with it.
  if (!command.json && stderr !== "" && !reason.includes("\n")) console.error(stderr.replaceAll(/^/gm, "  "));
  return EXIT.refused;
}

/** A summary, what is not as it should be, and how much is. */
function reportText({ ok, build, startup_ms, tokens, states }: CheckReport): string {
  const ready = startup_ms === null ? "" : `, ready after ${duration(startup_ms)}`;
  const rows = [
    ...tokens.filter(isNotOk).map((token) => [token.verdict, tokenText(token), token.reason ?? ""]),
    ...states.filter(isNotOk).map((state) => [state.verdict, stateText(state), state.reason ?? ""]),
  ];
  const counts = [`${countOk(tokens)} of ${tokens.length} tokens ok`];
  if (states.length > 0) counts.push(`${countOk(states)} of ${states.length} states ok`);
  return [
    `${buildText(build)} would ${ok ? "" : "not "}take over${ready}`,
    ...(rows.length === 0 ? [] : [columns(rows).replaceAll(/^/gm, "  ")]),
    counts.join(", "),
  ].join("\n");
}

function tokenText({ session, token, name, compatible }: TokenReport): string {
  return `${session} ${token}${name === null ? "" : ` ${JSON.stringify(name)}`} (${compatible})`;
}

function stateText({ name, version }: StateReport): string {
  return `state ${JSON.stringify(name)}${version === null ? "" : ` (version ${version})`}`;
}

function isNotOk({ verdict }: { verdict: string }): boolean {
  return verdict !== "ok";
}

function countOk(reports: readonly { verdict: string }[]): number {
  return reports.filter(({ verdict }) => verdict === "ok").length;
}
