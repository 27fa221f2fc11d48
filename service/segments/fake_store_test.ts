/** A store on plain memory for the tests, and the requests they send to it. */
import { assertEquals } from "@std/assert";
import type { SegmentHandlerOptions } from "./handler.ts";
import { DEFAULT_QUOTAS } from "./quotas.ts";
import type { SegmentInfo, SegmentStore } from "./store.ts";

export const TOKEN = "correct-horse";
export const HOST = "127.0.0.1:8787";

/** Like the real store: a removed segment's buffer is detached. Every change takes a turn of the event loop. */
export class FakeStore implements SegmentStore {
  readonly segments: Map<string, { bytes: Uint8Array<ArrayBuffer> }> = new Map();
  creations = 0;
  fault: Error | null = null;
  beforeCreate: (name: string, size: number) => void = () => {};

  list(): SegmentInfo[] {
    return [...this.segments].map(([name, { bytes }]) => ({ name, size: bytes.byteLength }));
  }

  get(name: string): { bytes: Uint8Array<ArrayBuffer> } | undefined {
    return this.segments.get(name);
  }

  add(name: string, size: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(size);
    this.segments.set(name, { bytes });
    return bytes;
  }

  async create(name: string, size: number): Promise<SegmentInfo> {
    this.creations++;
    await new Promise((resolve) => setTimeout(resolve, 1));
    this.beforeCreate(name, size);
    if (this.fault) throw this.fault;
    if (this.segments.has(name)) throw errnoError("EEXIST");
    this.add(name, size);
    return { name, size };
  }

  async remove(name: string): Promise<boolean> {
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (this.fault) throw this.fault;
    const found = this.segments.get(name);
    if (!found) return false;
    this.segments.delete(name);
    found.bytes.buffer.transfer();
    return true;
  }
}

export function errnoError(code: string): Error {
  return Object.assign(new Error(`Cannot create a memfd: ${code}`), { code });
}

export function options(change: Partial<SegmentHandlerOptions> = {}): SegmentHandlerOptions {
  return {
    token: TOKEN,
    quotas: DEFAULT_QUOTAS,
    hosts: () => [HOST, "localhost:8787"],
    status: () => Promise.resolve({ state: "serving" }),
    ...change,
  };
}

/** A request as it comes from our own command line: with Host, and with the token where it writes. */
export function request(method: string, path: string, init: RequestInit = {}): Request {
  const headers = new Headers(init.headers);
  if (!headers.has("host")) headers.set("host", HOST);
  if (method !== "GET" && method !== "HEAD" && !headers.has("authorization")) {
    headers.set("authorization", `Bearer ${TOKEN}`);
  }
  return new Request(`http://${HOST}${path}`, { ...init, method, headers });
}

export interface ErrorBody {
  code: string;
  message: string;
  allowed: string;
  written?: number;
}

/** Checks status, code and the shape that every refusal has, and gives the document. */
export async function assertRefused(response: Response, status: number, code: string): Promise<ErrorBody> {
  const text = await response.text();
  assertEquals([response.status, JSON.parse(text).error?.code], [status, code], text);
  assertEquals(response.headers.get("content-type"), "application/json");
  const document = JSON.parse(text);
  assertEquals(Object.keys(document), ["error"]);
  const { error } = document;
  for (const key of ["code", "message", "allowed"]) {
    assertEquals(typeof error[key], "string", `${key}: ${text}`);
  }
  assertEquals(/^[A-Z].*[^.]$/.test(error.message), true, error.message);
  assertEquals(/^.+: .+$/.test(error.message), true, error.message);
  return error;
}
