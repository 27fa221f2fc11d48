/**
 * The server behind the control socket: HTTP/1.1 with JSON, for the command line and for `curl --unix-socket`.
 *
 * Happy path: a request of the same user (or root) is answered from a {@linkcode ControlTarget}.
 *
 * Unhappy paths: another user's request is 403, one of nobody knows whom 503 (no descriptor is left to ask), an unknown path
 * 404, a wrong method 405 with `Allow`, a body that is not what the path takes 400, an update or a check while an update runs
 * 409. Each is `{"error":{"code","message"}}`. A build that would not take over is no error of the check: it is answered with
 * 200 and `"ok":false`.
 *
 * @module
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

import { parseCheckRequest } from "./check_request.ts";
import { peerUid } from "./peer.ts";
import type {
  CheckReport,
  CheckRequest,
  FdReport,
  SessionReport,
  StatusReport,
  UpdateRecord,
  UpgradeRequest,
} from "./types.ts";
import { parseUpgradeRequest } from "./upgrade_request.ts";

/** What the server asks. */
export interface ControlTarget {
  /** What the service is doing. */
  status(): Promise<StatusReport>;
  /** Its open descriptors. */
  fds(): Promise<FdReport[]>;
  /** Its sessions. */
  sessions(): SessionReport[];
  /** Updates that have ended, oldest first. */
  history(): readonly UpdateRecord[];
  /** One update, also the one under way. */
  update(id: string): UpdateRecord | undefined;
  /** The segment that would be handed over now, in its envelope. */
  segment(): Promise<Uint8Array>;
  /** Starts an update and gives its id. Throws errors with an errno name as `code`. */
  upgrade(request: UpgradeRequest): Promise<string>;
  /**
   * Checks whether a build would take over, and says so in every case in which that can be found out. Throws errors with
   * an errno name as `code`.
   */
  check(request: CheckRequest): Promise<CheckReport>;
  /** Calls back at every phase of every update; returns what ends it. */
  watch(listener: (record: UpdateRecord) => void): () => void;
  /** Goes on with an answer that tells of all updates, beyond the life of this build. Without it the answer ends with it. */
  events?(response: ServerResponse): void;
}

/** Largest body of a request, in bytes. */
const MAX_BODY_BYTES = 64 * 1024;

/** An answer that is not 200. */
class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Record<string, string>;

  constructor(status: number, code: string, message: string, headers: Record<string, string> = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

/**
 * Creates the server; it does not listen yet.
 *
 * @param target what answers
 * @param uid the user whose requests are answered, besides root's
 */
export function createControlServer(target: ControlTarget, uid: number): Server {
  return createServer((request, response) => {
    answer(request, response, target, uid).catch((error: unknown) => fail(response, error));
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  target: ControlTarget,
  uid: number,
): Promise<void> {
  const peer = userOf(request);
  if (peer !== uid && peer !== 0) {
    throw new Refusal(403, "EPERM", `Cannot answer user ${peer}: only ${uid} and 0 may`);
  }
  const url = URL.parse(request.url ?? "/", "http://control");
  if (url === null) throw new Refusal(400, "EINVAL", `Cannot answer ${request.url}: it is no path`);
  const { pathname: path, searchParams: query } = url;
  if (path === "/v1/upgrade") {
    allow(request, "POST");
    const body = parseUpgradeRequest(await readBody(request));
    return send(response, 202, { id: await target.upgrade(body) });
  }
  if (path === "/v1/check") {
    allow(request, "POST");
    const body = parseCheckRequest(await readBody(request));
    return send(response, 200, await target.check(body));
  }
  allow(request, "GET", "HEAD");
  if (path === "/v1/status") {
    const status = await target.status();
    return send(response, 200, query.get("fds") === "1" ? { ...status, fds: await target.fds() } : status);
  }
  if (path === "/v1/sessions") return send(response, 200, { sessions: target.sessions() });
  if (path === "/v1/history") return send(response, 200, { updates: target.history() });
  if (path === "/v1/segment") return sendBytes(response, await target.segment());
  if (path === "/v1/events") {
    if (target.events !== undefined) return target.events(response);
    return stream(response, target);
  }
  const id = path.match(/^\/v1\/history\/([0-9a-f]{1,64})$/)?.[1];
  if (id === undefined) throw new Refusal(404, "ENOENT", `Cannot find ${path}: see /v1/status`);
  const record = target.update(id);
  if (record === undefined) {
    throw new Refusal(404, "ENOENT", `Cannot find update ${id}: it is not in the history`);
  }
  send(response, 200, record);
}

function userOf(request: IncomingMessage): number {
  try {
    return peerUid(request.socket);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Refusal(
      503,
      "EMFILE",
      `Cannot tell who asks: no descriptor is left (RLIMIT_NOFILE): ${reason}`,
    );
  }
}

/** Server-sent events: one `update` event with the record so far at each phase. */
function stream(response: ServerResponse, target: ControlTarget): void {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  if (response.req?.method === "HEAD") return void response.end();
  response.write(": heirloom\n\n");
  const end = target.watch((record) => response.write(`event: update\ndata: ${JSON.stringify(record)}\n\n`));
  response.on("close", end);
}

function allow(request: IncomingMessage, ...methods: string[]): void {
  if (methods.includes(request.method ?? "")) return;
  const allowed = methods.join(", ");
  throw new Refusal(405, "EINVAL", `Cannot ${request.method} ${request.url}: allowed is ${allowed}`, {
    allow: allowed,
  });
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Read to the end in any case: who is still writing when the connection closes never sees the answer.
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  if (size > MAX_BODY_BYTES) {
    throw new Refusal(
      413,
      "EFBIG",
      `Cannot read the request: its body has more than ${MAX_BODY_BYTES} bytes`,
    );
  }
  return await new Blob(chunks as Uint8Array<ArrayBuffer>[]).text();
}

function send(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": String(new TextEncoder().encode(text).byteLength),
    ...headers,
  });
  response.end(response.req?.method === "HEAD" ? undefined : text);
}

function sendBytes(response: ServerResponse, bytes: Uint8Array): void {
  response.writeHead(200, { "content-type": "application/cbor", "content-length": String(bytes.byteLength) });
  response.end(response.req?.method === "HEAD" ? undefined : bytes);
}

/** Errno names of a target's errors, as statuses. */
const STATUSES: Record<string, number> = { EBUSY: 409, EINVAL: 400, EOPNOTSUPP: 409, ENOENT: 404 };

function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Refusal) {
    send(response, error.status, { error: { code: error.code, message } }, error.headers);
    return;
  }
  const code = (error as { code?: unknown }).code;
  const name = typeof code === "string" ? code : "EIO";
  send(response, STATUSES[name] ?? 500, { error: { code: name, message } });
}
