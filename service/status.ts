/**
 * `status`, `sessions` and `history`: what is running, preserved, done.
 *
 * @module
 */
import type { DetailedStatus, FdReport, SessionReport, UpdateRecord } from "../control/types.ts";
import type { QueryCommand } from "./args.ts";
import { buildText, updateText } from "./build_text.ts";
import { ControlClient } from "./control_client.ts";
import { columns, duration } from "./text.ts";

/**
 * Asks the service and prints the answer.
 *
 * @returns the exit status
 * @throws {NoServiceError} nobody serves the socket
 * @throws {NoAnswerError} no answer in time
 */
export async function query(command: QueryCommand): Promise<number> {
  const client = new ControlClient(command.socket, command);
  const answer = await client.get(`/v1/${command.command}${command.fds ? "?fds=1" : ""}`);
  if (command.json) console.log(JSON.stringify(answer));
  else if (command.command === "status") console.log(statusText(answer as DetailedStatus));
  else if (command.command === "sessions") {
    console.log(sessionsText((answer as { sessions: SessionReport[] }).sessions));
  } else console.log(historyText((answer as { updates: UpdateRecord[] }).updates));
  return 0;
}

function statusText(status: DetailedStatus): string {
  const files = status.sessions.reduce((sum, session) => sum + session.files.length, 0);
  const lines = [
    `${status.state}, pid ${status.pid}, generation ${status.generation}, up ${duration(status.uptime_ms)}`,
    `build     ${buildText(status.build)}`,
    `preserved ${files} files in ${status.sessions.length} sessions`,
  ];
  if (status.last_update !== null) lines.push(`last      ${updateText(status.last_update)}`);
  if (status.fds !== undefined) lines.push("", fdsText(status.fds));
  return lines.join("\n");
}

function fdsText(fds: readonly FdReport[]): string {
  const rows = fds.map((report) => [
    String(report.fd),
    report.class,
    report.token === null ? "-" : `${report.session} ${report.token}`,
    report.name ?? "-",
    report.what,
    report.hint ?? report.note ?? "-",
  ]);
  return columns([["FD", "CLASS", "TOKEN", "NAME", "WHAT", "FOR"], ...rows]);
}

function sessionsText(sessions: SessionReport[]): string {
  const rows = sessions.flatMap(({ name, direction, files }) =>
    files.length === 0 ? [[name, direction, "-", "-", "-", "-"]] : files.map((
      file,
    ) => [name, direction, file.token, file.name ?? "-", file.compatible, String(file.fd ?? "-")])
  );
  return columns([["SESSION", "DIRECTION", "TOKEN", "NAME", "HANDLER", "FD"], ...rows]);
}

function historyText(updates: UpdateRecord[]): string {
  if (updates.length === 0) return "no updates yet";
  return columns([
    ["ID", "OUTCOME", "GENERATION", "PAUSE", "TO", "REASON"],
    ...updates.map((record) => [
      record.id,
      record.outcome ?? "-",
      String(record.generation),
      duration(record.blackout_ms),
      record.to.version ?? record.to.id ?? record.to.path,
      record.reason?.split("\n", 1)[0] ?? "-",
    ]),
  ]);
}
