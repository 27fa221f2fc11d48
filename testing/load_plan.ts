/**
 * What a load generator is asked to do: its options as the caller gives them, and the checked, complete plan made of them.
 * All that can be wrong with the options is found here, before anything runs.
 *
 * @module
 */

import type { ConnectTarget } from "./connection.ts";
import type { HttpAnswer } from "./http_response.ts";

/** What a load generator does. */
export interface LoadOptions {
  /** Whom to ask: an `http:` URL, a TCP address, or a unix socket by its path. */
  target: string | URL | ConnectTarget;
  /**
   * How many keep-alive clients.
   *
   * @default {8}
   */
  keepAlive?: number;
  /**
   * How often each keep-alive client asks, in milliseconds.
   *
   * @default {10}
   */
  keepAlivePeriodMs?: number;
  /**
   * How many new connections a second.
   *
   * @default {100}
   */
  newPerSecond?: number;
  /**
   * The path to ask for.
   *
   * @default {the URL's, or "/"}
   */
  path?: string;
  /** More header fields for each request. */
  headers?: Readonly<Record<string, string>>;
  /**
   * The status which each answer must have.
   *
   * @default {200}
   */
  status?: number;
  /**
   * Looks at each answer with the right status: null if it is right, else what is wrong with it.
   */
  check?: (body: string, headers: Headers) => string | null;
  /**
   * How long a request may take once it is on its way, in milliseconds, the connection included.
   *
   * @default {10000}
   */
  timeoutMs?: number;
  /**
   * How many new connections may be outstanding at a time. What comes due beyond that is not sent, and fails.
   *
   * @default {1000}
   */
  maxOutstanding?: number;
  /**
   * How long stopping waits for outstanding requests, in milliseconds.
   *
   * @default {10000}
   */
  stopTimeoutMs?: number;
}

/** The options, complete and checked. */
export interface LoadPlan {
  /** Whom to ask. */
  readonly target: ConnectTarget;
  /** How many keep-alive clients. */
  readonly keepAlive: number;
  /** How often each of them asks. */
  readonly keepAlivePeriodMs: number;
  /** How many new connections a second. */
  readonly newPerSecond: number;
  /** The request of a keep-alive client, in bytes. */
  readonly keepAliveRequest: Uint8Array<ArrayBuffer>;
  /** The request over a connection of its own, in bytes. */
  readonly newRequest: Uint8Array<ArrayBuffer>;
  /** Says what is wrong with an answer; null if it is right. */
  readonly judge: (answer: HttpAnswer) => { reason: "status" | "body"; detail: string } | null;
  /** How long a request may take on its way. */
  readonly timeoutMs: number;
  /** How many new connections may be outstanding. */
  readonly maxOutstanding: number;
  /** How long to wait for outstanding requests at the end. */
  readonly stopTimeoutMs: number;
}

/**
 * Checks the options and completes them.
 *
 * @param options What the caller asks for.
 * @returns The plan.
 * @throws {TypeError} If the target is not an `http:` URL or an address, the path is not a path, or a header field is not
 * one.
 * @throws {RangeError} If a number is not one that can be kept to.
 */
export function makePlan(options: LoadOptions): LoadPlan {
  const { target, host, path } = parseTarget(options.target);
  const asked = options.path ?? path;
  if (!/^\/[\x21-\x7e]*$/.test(asked)) throw new TypeError(`Cannot start a load: "${asked}" is not a path`);
  const status = options.status ?? 200;
  const check = options.check;
  return {
    target,
    keepAlive: count("keepAlive", options.keepAlive ?? 8),
    keepAlivePeriodMs: positive("keepAlivePeriodMs", options.keepAlivePeriodMs ?? 10),
    newPerSecond: count("newPerSecond", options.newPerSecond ?? 100),
    keepAliveRequest: encodeRequest(asked, host, options.headers, "keep-alive"),
    newRequest: encodeRequest(asked, host, options.headers, "close"),
    judge: (answer) => {
      if (answer.status !== status) {
        return { reason: "status", detail: `Status ${answer.status}, not ${status}` };
      }
      if (check === undefined) return null;
      try {
        const detail = check(new TextDecoder().decode(answer.body), answer.headers);
        return detail === null ? null : { reason: "body", detail };
      } catch (error) {
        return {
          reason: "body",
          detail: `The check threw: ${error instanceof Error ? error.message : error}`,
        };
      }
    },
    timeoutMs: positive("timeoutMs", options.timeoutMs ?? 10_000),
    maxOutstanding: positive("maxOutstanding", options.maxOutstanding ?? 1000),
    stopTimeoutMs: positive("stopTimeoutMs", options.stopTimeoutMs ?? 10_000),
  };
}

function encodeRequest(
  path: string,
  host: string,
  fields: LoadOptions["headers"],
  connection: "close" | "keep-alive",
): Uint8Array<ArrayBuffer> {
  const headers = new Headers(fields);
  if (!headers.has("host")) headers.set("host", host);
  headers.set("connection", connection);
  const lines = [...headers].map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return new TextEncoder().encode(`GET ${path} HTTP/1.1\r\n${lines}\r\n`);
}

function parseTarget(target: LoadOptions["target"]): { target: ConnectTarget; host: string; path: string } {
  if (typeof target === "string" || target instanceof URL) {
    const url = new URL(target);
    if (url.protocol !== "http:") {
      throw new TypeError(`Cannot start a load: "${url.href}" is not an http: URL`);
    }
    const port = url.port === "" ? 80 : Number(url.port);
    const hostname = url.hostname.replace(/^\[(.*)\]$/, "$1");
    return { target: { hostname, port }, host: url.host, path: url.pathname + url.search };
  }
  if ("unix" in target) return { target, host: "localhost", path: "/" };
  const literal = target.hostname.includes(":") ? `[${target.hostname}]` : target.hostname;
  return { target, host: `${literal}:${target.port}`, path: "/" };
}

function count(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new RangeError(`Cannot start a load: ${name} must be a whole number, 0 or more: it is ${value}`);
}

function positive(name: string, value: number): number {
  if (Number.isFinite(value) && value > 0) return value;
  throw new RangeError(`Cannot start a load: ${name} must be a positive number: it is ${value}`);
}
