/**
 * What the tests of the bridge share; no tests here.
 *
 * @module
 */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import { type BridgeOptions, type FetchHandler, requestListener } from "./fetch_bridge.ts";
import { Wire } from "./wire_test.ts";

export class Bridge implements AsyncDisposable {
  readonly server: Server;

  private constructor(server: Server) {
    this.server = server;
  }

  static async start(handler: FetchHandler, options?: BridgeOptions): Promise<Bridge> {
    const server = createServer(requestListener(handler, options));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new Bridge(server);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  wire(): Promise<Wire> {
    return Wire.to(this.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** What is logged while this runs. */
export async function logged(run: () => Promise<void>): Promise<unknown[]> {
  const lines: unknown[] = [];
  const { error } = console;
  console.error = (...line: unknown[]): void => void lines.push(...line);
  try {
    await run();
  } finally {
    console.error = error;
  }
  return lines;
}

/** A stream that is fed by the test. */
export function fed(): {
  stream: ReadableStream<Uint8Array>;
  give: (text: string) => void;
  end: () => void;
  fail: (error: unknown) => void;
  cancelled: () => boolean;
} {
  let controller: ReadableStreamDefaultController<Uint8Array>;
  let cancelled = false;
  const stream = new ReadableStream<Uint8Array>({
    start: (given) => void (controller = given),
    cancel: () => void (cancelled = true),
  });
  return {
    stream,
    give: (text) => controller.enqueue(new TextEncoder().encode(text)),
    end: () => controller.close(),
    fail: (error) => controller.error(error),
    cancelled: () => cancelled,
  };
}

export function post(path: string, body: string, ...headers: string[]): string {
  const lines = [`POST ${path} HTTP/1.1`, "Host: localhost", `Content-Length: ${body.length}`, ...headers];
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}
