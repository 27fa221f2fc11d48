/**
 * What the tests of this folder share: the control server with a target that answers what it is told to, on a real unix
 * socket, and a client that shows every answer as it came. It has no tests itself; the name keeps it out of the published
 * package.
 *
 * @module
 */
import { request as httpRequest } from "node:http";
import { connect } from "node:net";

import { getUid } from "../sys/mod.ts";
import { tempDir } from "../testing/wait.ts";
import { type ControlTarget, createControlServer } from "./server.ts";
import type {
  CheckReport,
  CheckRequest,
  FdReport,
  StatusReport,
  UpdateRecord,
  UpgradeRequest,
} from "./types.ts";

const BUILD = { path: "/app.ts", version: "1.0.0", id: "0123456789ab" };

/** The record of an update that ended well. */
export function sampleRecord(changes: Partial<UpdateRecord> = {}): UpdateRecord {
  return {
    id: "a1",
    outcome: "committed",
    reason: null,
    from: BUILD,
    to: BUILD,
    generation: 1,
    pid: 42,
    guardian: "off",
    blackout_ms: 12.5,
    stall_ms: null,
    phases: [{ name: "loading", ms: 3 }],
    files: 1,
    fds: 2,
    segment_bytes: 300,
    closed: 0,
    dropped: [],
    warnings: [],
    ...changes,
  };
}

/** The report of a build that would take over everything. */
export function sampleReport(changes: Partial<CheckReport> = {}): CheckReport {
  return {
    ok: true,
    build: BUILD,
    startup_ms: 231.4,
    reason: null,
    stderr: "",
    tokens: [
      { session: "web", token: "7", name: null, compatible: "memfd-v1", verdict: "ok", reason: null },
    ],
    states: [{ name: "seen", version: 1, verdict: "ok", reason: null }],
    ...changes,
  };
}

/** Status of a service that serves. */
export const STATUS: StatusReport = {
  pid: 42,
  generation: 1,
  state: "serving",
  build: BUILD,
  uptime_ms: 5,
  sessions: [],
  last_update: null,
};

/** The report of a descriptor of nobody. */
export function sampleFd(changes: Partial<FdReport> = {}): FdReport {
  return {
    fd: 7,
    class: "unknown",
    what: "a pipe",
    note: null,
    session: null,
    token: null,
    name: null,
    compatible: null,
    hint: "no handler: closed at the next update",
    backlog: null,
    ...changes,
  };
}

/** Descriptors of that service. */
export const FDS: FdReport[] = [sampleFd()];

/** Bytes that are no text. */
export const SEGMENT = new Uint8Array([0x83, 0xff, 0x00, 0x80]);

/** A target whose answers are members, to be replaced by a test. */
export class FakeTarget implements ControlTarget {
  /** Requests for an update, in the order of their arrival. */
  readonly requests: UpgradeRequest[] = [];
  /** Requests for a check, in the order of their arrival. */
  readonly checks: CheckRequest[] = [];
  /** What the answer to a check is: a report, or an error. */
  report: CheckReport | Error = sampleReport();
  /** What watches at this moment. */
  readonly watchers = new Set<(record: UpdateRecord) => void>();
  /** What the answer to an update is: an id, or an error. */
  answer: string | Error = "b2";
  /** What keeps the status from being told. */
  broken: Error | null = null;

  status(): Promise<StatusReport> {
    return this.broken === null ? Promise.resolve(STATUS) : Promise.reject(this.broken);
  }

  fds(): Promise<FdReport[]> {
    return Promise.resolve(FDS);
  }

  sessions(): { name: string; direction: "outgoing"; files: [] }[] {
    return [{ name: "web", direction: "outgoing", files: [] }];
  }

  history(): UpdateRecord[] {
    return [sampleRecord()];
  }

  update(id: string): UpdateRecord | undefined {
    return id === "a1" ? sampleRecord() : undefined;
  }

  segment(): Promise<Uint8Array> {
    return this.broken === null ? Promise.resolve(SEGMENT) : Promise.reject(this.broken);
  }

  upgrade(request: UpgradeRequest): Promise<string> {
    this.requests.push(request);
    return typeof this.answer === "string" ? Promise.resolve(this.answer) : Promise.reject(this.answer);
  }

  check(request: CheckRequest): Promise<CheckReport> {
    this.checks.push(request);
    return this.report instanceof Error ? Promise.reject(this.report) : Promise.resolve(this.report);
  }

  watch(listener: (record: UpdateRecord) => void): () => void {
    this.watchers.add(listener);
    return () => this.watchers.delete(listener);
  }
}

/** An answer of the server. */
export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

/** A server that listens, and its target. */
export interface Bench extends AsyncDisposable {
  target: FakeTarget;
  socket: string;
  /** Asks for a path and reads the whole answer. */
  ask(method: string, path: string, body?: string): Promise<Answer>;
  /** Asks and reads JSON. */
  json(method: string, path: string, body?: string): Promise<[status: number, body: unknown]>;
  /** Writes bytes as they are and reads all that comes until the server closes. */
  raw(text: string): Promise<string>;
}

/** Starts a server. */
export async function startBench(uid: number = getUid()): Promise<Bench> {
  const directory = tempDir("heirloom-control-");
  const socket = `${directory.path}/s.sock`;
  const target = new FakeTarget();
  const server = createControlServer(target, uid);
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const ask = (method: string, path: string, body?: string): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const request = httpRequest({ socketPath: socket, method, path, agent: false }, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => text += chunk);
        response.on(
          "end",
          () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
        );
        response.on("error", reject);
      });
      request.on("error", reject);
      request.end(body);
    });
  return {
    target,
    socket,
    ask,
    json: async (method, path, body) => {
      const { status, text } = await ask(method, path, body);
      return [status, JSON.parse(text)];
    },
    raw: (text) =>
      new Promise((resolve, reject) => {
        const client = connect(socket);
        let answer = "";
        client.setEncoding("utf8");
        client.on("data", (chunk: string) => answer += chunk);
        client.on("close", () => resolve(answer));
        client.on("error", reject);
        client.write(text);
      }),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await directory[Symbol.asyncDispose]();
    },
  };
}
