import { assert, assertEquals } from "@std/assert";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { waitFor } from "../../testing/mod.ts";
import { type FetchHandler, requestListener } from "./fetch_bridge.ts";
import { handOn } from "./handed_on.ts";
import { incomingOf } from "./served_request.ts";
import { expectUpgrades, isUpgrading, upgradeListener, UPGRADING } from "./upgrade_bridge.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A server of a handler, as `live.serve` makes it. */
class Served implements AsyncDisposable {
  readonly #server: Server;

  constructor(handler: FetchHandler, onError?: (error: unknown) => Response) {
    const options = onError === undefined ? {} : { onError };
    this.#server = createServer(UPGRADING, requestListener(handler, options));
    this.#server.on("upgrade", upgradeListener(handler, options));
  }

  async connect(): Promise<Client> {
    if (!this.#server.listening) {
      await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    }
    const { port } = this.#server.address() as AddressInfo;
    return new Client(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise((resolve) => {
      this.#server.close(resolve);
      this.#server.closeAllConnections();
    });
  }
}

/** A client that writes and reads bytes. */
class Client implements Disposable {
  readonly #connection: Deno.TcpConn;
  read = "";

  constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  async ask(head: string, protocol = "websocket", behind = ""): Promise<void> {
    const lines = [head, "Host: x", "Connection: Upgrade", `Upgrade: ${protocol}`, "", behind];
    await this.write(lines.join("\r\n"));
  }

  async write(text: string): Promise<void> {
    await this.#connection.write(encoder.encode(text));
  }

  /** Reads until a text has come, or with null to the end. */
  async until(wanted: string | null): Promise<string> {
    const buffer = new Uint8Array(4096);
    while (wanted === null || !this.read.includes(wanted)) {
      const size = await this.#connection.read(buffer);
      if (size === null) {
        if (wanted === null) break;
        throw new Error(`The connection ended after ${JSON.stringify(this.read)}`);
      }
      this.read += decoder.decode(buffer.subarray(0, size));
    }
    const read = this.read;
    this.read = "";
    return read;
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }
}

/** What a handler sees of a request. */
function told(request: Request): string {
  const incoming = incomingOf(request);
  const upgrading = incoming !== undefined && isUpgrading(incoming);
  return `[${request.method} ${new URL(request.url).pathname} ${
    request.headers.get("upgrade")
  } ${upgrading}]`;
}

Deno.test("in an application without WebSockets a request for one is a request like any other", async () => {
  await using served = new Served((request) => new Response(told(request)));
  using client = await served.connect();
  for (const path of ["/a", "/b"]) {
    await client.ask(`GET ${path} HTTP/1.1`);
    const answer = await client.until("]");
    assert(answer.startsWith("HTTP/1.1 200 OK\r\n"), answer);
    assert(answer.endsWith(`[GET ${path} websocket false]`), answer);
    assert(!/connection: close/i.test(answer), answer);
  }
});

Deno.test("a request for another protocol is answered like any other, body and all, and keeps its connection", async () => {
  expectUpgrades();
  await using served = new Served(async (request) => new Response(`${await request.text()}${told(request)}`));
  using client = await served.connect();
  const requests: [string, string, string][] = [
    ["GET /c HTTP/1.1", "h2c", "[GET /c h2c false]"],
    ["POST /d HTTP/1.1\r\nContent-Length: 4", "h2c", "body[POST /d h2c false]"],
    ["POST /e HTTP/1.1\r\nContent-Length: 4", "websocket", "body[POST /e websocket false]"],
    ["GET /f HTTP/1.1", "TLS/1.0, h2c", "[GET /f TLS/1.0, h2c false]"],
  ];
  for (const [head, protocol, wanted] of requests) {
    await client.ask(head, protocol, head.startsWith("POST") ? "body" : "");
    const answer = await client.until("]");
    assert(answer.startsWith("HTTP/1.1 200 OK\r\n"), answer);
    assert(answer.endsWith(`\r\n\r\n${wanted}`), answer);
    assert(!/connection: close/i.test(answer), answer);
  }
});

Deno.test("an ordinary response to a request for a WebSocket ends the connection behind it", async () => {
  expectUpgrades();
  await using served = new Served((request) => {
    if (request.url.endsWith("/stream")) {
      return new Response(ReadableStream.from(["a", "b", told(request)].map((text) => encoder.encode(text))));
    }
    return new Response(told(request), { status: 403, headers: { "x-why": "not you" } });
  });
  using client = await served.connect();
  await client.ask("GET /plain HTTP/1.1", "h2c, WebSocket");
  const answer = await client.until(null);
  assert(answer.startsWith("HTTP/1.1 403 Forbidden\r\n"), answer);
  assert(/\r\nconnection: close\r\n/i.test(answer) && /\r\nx-why: not you\r\n/i.test(answer), answer);
  assert(answer.endsWith("\r\n\r\n[GET /plain h2c, WebSocket true]"), answer);

  using other = await served.connect();
  await other.ask("GET /stream HTTP/1.1");
  const streamed = await other.until(null);
  assert(
    /\r\nconnection: close\r\n/i.test(streamed) && /a[^]*b[^]*\[GET \/stream websocket true\]/.test(streamed),
  );
});

Deno.test("a handler that fails is answered for, and so is a request that is none", async () => {
  expectUpgrades();
  const errors: unknown[] = [];
  const handler = (): Response => {
    throw new Error("no");
  };
  await using served = new Served(handler, (error) => {
    errors.push(error);
    return new Response("sorry", { status: 500 });
  });
  using client = await served.connect();
  await client.ask("GET / HTTP/1.1");
  const answer = await client.until(null);
  assert(answer.startsWith("HTTP/1.1 500 ") && answer.endsWith("\r\n\r\nsorry"), answer);
  using bad = await served.connect();
  await bad.ask("GET nowhere HTTP/1.1");
  assert((await bad.until(null)).startsWith("HTTP/1.1 400 "));
  assertEquals(errors.length, 1);
});

Deno.test("a connection that is handed on is its taker's, with what came behind the request", async () => {
  expectUpgrades();
  await using served = new Served(async (request) => {
    // What comes meanwhile waits.
    if (request.url.endsWith("/late")) await new Promise((resolve) => setTimeout(resolve, 50));
    const response = new Response(null, { status: 101 });
    handOn(response, (req, socket, head) => {
      socket.write(`taken ${req.url}:${head}`);
      socket.on("data", (data) => socket.write(data));
      socket.on("end", () => socket.end("over"));
    });
    return response;
  });
  using client = await served.connect();
  await client.ask("GET /now HTTP/1.1", "websocket", "early");
  await client.until("taken /now:early");
  await client.write("echo");
  await client.until("echo");
  using late = await served.connect();
  await late.ask("GET /late HTTP/1.1");
  await late.write("meanwhile");
  await late.until("taken /late:meanwhile");
});

Deno.test("a connection that cannot be handed on is answered with an error", async () => {
  expectUpgrades();
  const errors: unknown[] = [];
  const handler = (): Response => {
    const response = new Response(null, { status: 101 });
    handOn(response, () => {
      throw new Error("no descriptor left");
    });
    return response;
  };
  await using served = new Served(handler, (error) => {
    errors.push(error);
    return new Response("full", { status: 503 });
  });
  using client = await served.connect();
  await client.ask("GET / HTTP/1.1");
  const answer = await client.until(null);
  assert(answer.startsWith("HTTP/1.1 503 ") && answer.endsWith("\r\n\r\nfull"), answer);
  assertEquals(`${errors}`, "Error: no descriptor left");
});

Deno.test("a client that leaves while the handler thinks is found when it has answered", async () => {
  expectUpgrades();
  let asked = false;
  let found = "";
  const gate = Promise.withResolvers<void>();
  await using served = new Served(async () => {
    asked = true;
    await gate.promise;
    const response = new Response(null, { status: 101 });
    handOn(response, (_req, socket) => {
      socket.on("data", (data) => found += data);
      socket.on("end", () => {
        found += " end";
        socket.destroy();
      });
    });
    return response;
  });
  {
    using client = await served.connect();
    await client.ask("GET / HTTP/1.1");
    await waitFor(() => asked, { what: "the request" });
    await client.write("said");
  }
  gate.resolve();
  await waitFor(() => found.includes("end"), { what: "the end" });
  assertEquals(found, "said end");
});
