/**
 * Whom the checks are about: the service that answers, or where there is none this very process.
 *
 * Happy path: the service answers, and its process is found in our `/proc`.
 *
 * Unhappy paths: nobody answers, or not to us: the machine is checked alone, and a finding says why. The process is in
 * another PID namespace, or belongs to another user: what cannot be seen of it is null, and no check guesses.
 *
 * @module
 */
import type { DetailedStatus, ServiceState, StatusReport, UpdateRecord } from "../../control/types.ts";
import { ownerOf } from "../../live/address.ts";
import { ControlClient, NoServiceError } from "../control_client.ts";
import { type Finding, note, ok, problem } from "./finding.ts";
import { parseEnviron, readText, statusField } from "./proc_text.ts";

/** A running service, as it answers. */
export interface Service {
  /** Path of its control socket. */
  readonly socket: string;
  /** What it says of itself, with its descriptors if it knows of that question. */
  readonly status: DetailedStatus;
  /** Its updates. */
  readonly history: readonly UpdateRecord[];
}

/** A process, as `/proc` shows it. */
export interface Subject {
  /** The path of its folder in `/proc`. */
  readonly proc: string;
  /** Is it the process of the service? */
  readonly isService: boolean;
  /** `/proc/PID/status`. */
  readonly status: string;
  /** Its environment as it was started, or null where we may not read it. */
  readonly env: ReadonlyMap<string, string> | null;
  /** Its effective user. */
  readonly uid: number;
  /** Its groups. */
  readonly gids: readonly number[];
}

/** What there is to check. */
export interface Scene {
  /** The service, or null where there is none that answers. */
  readonly service: Service | null;
  /** Its process, or this one; null where the service's cannot be seen. */
  readonly subject: Subject | null;
  /** What is to be said about that. */
  readonly finding: Finding;
}

/**
 * Looks for the service.
 *
 * @param socket path of its control socket
 * @param timeoutMs how long to wait for an answer
 */
export async function findScene(socket: string, timeoutMs: number): Promise<Scene> {
  const client = new ControlClient(socket, { timeoutMs });
  let service: Service;
  try {
    const status = await client.get("/v1/status?fds=1") as DetailedStatus;
    const { updates } = await client.get("/v1/history") as { updates: UpdateRecord[] };
    service = { socket, status, history: updates };
  } catch (error) {
    const finding = error instanceof NoServiceError
      ? note("service", `no service at ${socket}: machine checks only`)
      : problem(
        "service",
        error instanceof Error ? error.message : String(error),
        "Ask as the user of the service or as root; look whether its process is stopped or hangs.",
      );
    return { service: null, subject: lookAt("self", false), finding };
  }
  const subject = findProcess(socket, service.status.pid);
  if (subject !== null) return { service, subject, finding: judgeState(service.status) };
  const { pid } = service.status;
  const finding = note(
    "service",
    `pid ${pid} of the service is not visible here: what its process is like is not checked`,
    "Run doctor where the service runs, in its container for example, as its user or as root.",
  );
  return { service, subject, finding };
}

/** Why an update is refused now, whatever the machine is like. */
const BUSY: Readonly<Partial<Record<ServiceState, string>>> = {
  starting: "no update begins before the application has called ready()",
  probation: "no other update begins before this one is committed",
  stopping: "no update begins any more",
};

/** What the service is doing. */
export function judgeState(
  { state, pid, generation }: Pick<StatusReport, "state" | "pid" | "generation">,
): Finding {
  const what = `${state}, pid ${pid}, generation ${generation}`;
  const busy = BUSY[state];
  return busy === undefined ? ok("service", what) : note("service", `${what}: ${busy}`);
}

/** Its number in its own PID namespace need not be that in ours. Who listens is known in ours, but not after a recovery. */
function findProcess(socket: string, pid: number): Subject | null {
  for (const candidate of [listener(socket), pid]) {
    if (candidate === null || candidate <= 0) continue;
    const status = readText(`/proc/${candidate}/status`);
    const numbers = statusField(status ?? "", "NSpid")?.split(/\s+/) ?? [];
    // A process that is not in a namespace below ours has but one number.
    if (Number(numbers.at(-1)) !== pid) continue;
    return lookAt(candidate, true);
  }
  return null;
}

function listener(socket: string): number | null {
  try {
    const path = socket.startsWith("/") ? socket : `${Deno.cwd()}/${socket}`;
    return ownerOf({ family: "unix", path })?.pid ?? null;
  } catch {
    return null;
  }
}

/**
 * Looks at a process.
 *
 * @returns what is known, or null when there is none
 */
export function lookAt(pid: number | "self", isService: boolean): Subject | null {
  const proc = `/proc/${pid}`;
  const status = readText(`${proc}/status`);
  if (status === null) return null;
  const environ = readText(`${proc}/environ`);
  const numbers = (name: string): number[] =>
    (statusField(status, name) ?? "").split(/\s+/).filter(Boolean).map(Number);
  return {
    proc,
    isService,
    status,
    env: environ === null ? null : parseEnviron(environ),
    uid: numbers("Uid")[1] ?? 0,
    gids: [numbers("Gid")[1] ?? 0, ...numbers("Groups")],
  };
}
