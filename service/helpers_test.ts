/**
 * What the tests of this folder share: a control socket that answers what it is told to, and the command line as a child. It
 * has no tests itself; the name keeps it out of the published package.
 *
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

import { sampleRecord as controlRecord } from "../control/helpers_test.ts";
import type { UpdateRecord } from "../control/types.ts";
import { heirloomRoot } from "../testing/app_command.ts";
import { tempDir } from "../testing/wait.ts";

/** One answer of the fake service. */
export type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** A service that is none. */
export interface FakeService extends AsyncDisposable {
  /** Path of its control socket. */
  socket: string;
  /** Every request so far: method, path, body. */
  requests: string[];
  /** Ends for good, as a process does: whoever is connected is cut off. */
  leave(): Promise<void>;
}

/**
 * Starts a service that answers the way it is told.
 *
 * @param answer answers everything but `/v1/events`
 * @param events answers that; by default the service has no such path, so that whoever waits has to ask
 */
export async function startFake(
  answer: Answer,
  events: (response: ServerResponse) => void = (response) => void response.writeHead(404).end(),
): Promise<FakeService> {
  const dir = tempDir("heirloom-fake-");
  const socket = `${dir.path}/s.sock`;
  const requests: string[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => body += chunk);
    request.on("end", () => {
      if (request.url === "/v1/events") return events(response);
      requests.push([request.method, request.url, body].join(" ").trim());
      answer(request, response, body);
    });
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const leave = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return {
    socket,
    requests,
    leave,
    async [Symbol.asyncDispose]() {
      await leave();
      await dir[Symbol.asyncDispose]();
    },
  };
}

/** Answers with a document. */
export function json(response: ServerResponse, status: number, document: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(document));
}

/** A build as it is shown. */
export const BUILD = { path: "/srv/app.ts", version: "1.0.0", id: "0123456789ab" };

/** The record of an update that was committed. */
export function sampleRecord(changes: Partial<UpdateRecord> = {}): UpdateRecord {
  return controlRecord({
    from: BUILD,
    to: { path: "/srv/v2.ts", version: "2.0.0", id: "ba9876543210" },
    generation: 3,
    blackout_ms: 12.34,
    stall_ms: 13,
    ...changes,
  });
}

/** How a command ended. */
export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs the command line; one that hangs is ended and has code 137. */
export async function cli(args: readonly string[], cwd?: string): Promise<Ended> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `${heirloomRoot()}/main.ts`, ...args],
    ...(cwd === undefined ? {} : { cwd }),
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), 60_000);
  const { code, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** What `body` prints with `console.log` and `console.error`, one entry per call. */
export async function printed(body: () => Promise<unknown>): Promise<{ out: string[]; err: string[] }> {
  const { log, error } = console;
  const [out, err]: [string[], string[]] = [[], []];
  console.log = (...words) => void out.push(words.join(" "));
  console.error = (...words) => void err.push(words.join(" "));
  try {
    await body();
  } finally {
    Object.assign(console, { log, error });
  }
  return { out, err };
}
