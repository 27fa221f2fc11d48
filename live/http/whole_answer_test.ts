import { assert, assertEquals } from "@std/assert";

import { createServer, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { Bridge, post } from "./bridge_kit_test.ts";
import { Conversations } from "./conversations.ts";
import { type FetchHandler, requestListener } from "./fetch_bridge.ts";
import { answerOf, handleOf } from "./runtime.ts";
import { standingLines } from "./runtime_answer.ts";
import { settleAfterReading, writeWhole } from "./whole_answer.ts";
import { disposeAll, get, pause, settled, until, Wire } from "./wire_test.ts";

const LONG = "abcdefgh".repeat(4000);

/** Every kind of answer that may leave in one write, and some that may not. */
const ANSWERS: Record<string, () => Response> = {
  text: () => new Response("text"),
  empty: () => new Response(""),
  none: () => new Response(null),
  json: () => Response.json({ a: 1 }),
  bytes: () => new Response(new Uint8Array([0, 13, 10, 255])),
  noBytes: () => new Response(new Uint8Array(0)),
  unicode: () => new Response("grüß \u{1f600} \ud800"),
  long: () => new Response(LONG),
  longUnicode: () => new Response(LONG + "ü"),
  longBytes: () => new Response(new TextEncoder().encode(LONG)),
  noContent: () => new Response(null, { status: 204 }),
  notModified: () => new Response(null, { status: 304, headers: { etag: '"a"' } }),
  odd: () => new Response("odd", { status: 299 }),
  named: () => new Response("odd", { status: 299, statusText: "Odd" }),
  redirect: () => Response.redirect("http://localhost/", 307),
  headers: () => new Response("a", { headers: { "X-Z": "1", "x-a": "2", "Content-Type": "text/html" } }),
  cookies: () => new Response("a", { headers: [["Set-Cookie", "b=1"], ["x-a", "1"], ["set-cookie", "a=2"]] }),
  twice: () => new Response("a", { headers: [["x-a", "1"], ["X-A", "2"]] }),
  tab: () => new Response("a", { headers: { "x-a": "1\t2" } }),
  length: () => new Response("12345", { headers: { "content-length": "3" } }),
  date: () => new Response("a", { headers: { date: "then" } }),
  close: () => new Response("a", { headers: { connection: "close" } }),
  keep: () => new Response("a", { headers: { "keep-alive": "timeout=9" } }),
  chunked: () => new Response("a", { headers: { "transfer-encoding": "chunked" } }),
};

/** As the runtime writes the same answer, step by step. */
const stepByStep = (name: string, res: ServerResponse, body: Uint8Array): void => {
  const response = ANSWERS[name]!();
  const headers: string[] = [];
  let length: number | null = body.byteLength;
  if (response.body === null && [204, 304].includes(response.status)) length = null;
  if (response.body === null && res.req.method === "HEAD") length = null;
  response.headers.forEach((value, key) => {
    if (key !== "content-length" && key !== "transfer-encoding") headers.push(key, value);
  });
  if (length !== null) headers.push("content-length", `${length}`);
  if (response.statusText === "") res.writeHead(response.status, headers);
  else res.writeHead(response.status, response.statusText, headers);
  res.end(body);
};

async function raw(port: number, request: string): Promise<string> {
  using wire = await Wire.to(port);
  // The one behind it ends the connection, and with it the answer.
  await wire.send(request.includes("HTTP/1.0") ? request : request + get("/text", "Connection: close"));
  await until(() => wire.ended, "the end");
  return wire.text.replaceAll(/Date: .{29}\r\n/g, "Date: now\r\n");
}

Deno.test("an answer in one write is byte for byte that of the runtime", async () => {
  await using bridge = await Bridge.start((request) => ANSWERS[new URL(request.url).pathname.slice(1)]!());
  const bodies = new Map<string, Uint8Array>();
  for (const [name, make] of Object.entries(ANSWERS)) bodies.set(name, await make().bytes());
  const reference = createServer((req, res) => {
    const name = (req.url ?? "").slice(1);
    stepByStep(name, res, bodies.get(name)!);
  });
  await new Promise<void>((resolve) => reference.listen(0, "127.0.0.1", resolve));
  const { port } = reference.address() as AddressInfo;
  for (const name of Object.keys(ANSWERS)) {
    for (const method of ["GET", "HEAD", "POST"]) {
      for (const version of ["1.1", "1.0"]) {
        const request = get(`/${name}`).replace("GET", method).replace("1.1", version);
        const [ours, theirs] = [await raw(bridge.port, request), await raw(port, request)];
        assertEquals([name, method, version, ours], [name, method, version, theirs]);
      }
    }
  }
  await new Promise((resolve) => reference.close(resolve));
});

Deno.test("writeWhole sends what it is given, and only an answer that nobody waits before", async () => {
  const done: unknown[] = [];
  let first: ServerResponse | null = null;
  const server = createServer((_req, res) => {
    const head = `HTTP/1.1 200 OK\r\nx-a: \xe9\r\ncontent-length: 2\r\n${standingLines(first ?? res)}`;
    // The second answer waits behind the first one.
    if (first === null) return void (first = res);
    done.push(writeWhole({ res, head, body: "bb", ascii: true }), res.headersSent);
    done.push(
      writeWhole({ res: first, head, body: "\xe9", ascii: false }),
      first.headersSent,
      standingLines(first),
    );
    res.end("cc");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  using wire = await Wire.to((server.address() as AddressInfo).port);
  await wire.send(get("/1") + get("/2", "Connection: close"));
  await until(() => wire.ended, "the end");
  assertEquals(done, [false, false, true, true, null]);
  const answers = wire.text.split(/(?=HTTP\/)/);
  assertEquals(answers.map((answer) => answer.includes("\r\nx-a: \xe9\r\n")), [true, false]);
  assertEquals(answers.map((answer) => answer.split("\r\n\r\n")[1]), ["\xc3\xa9", "cc"]);
  await new Promise((resolve) => server.close(resolve));
});

Deno.test("an answer in one write is finished before the next request of its connection", async () => {
  const seen: unknown[] = [];
  const server = createServer((req, res) => {
    const before = answerOf(req.socket) === res;
    requestListener(() => new Response("ok"))(req, res);
    seen.push([before, res.headersSent, res.writableEnded]);
    res.once("finish", () => seen.push("finish"));
    res.once("close", () => seen.push(["close", res.writableFinished, answerOf(req.socket)]));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  {
    using wire = await Wire.to((server.address() as AddressInfo).port);
    for (let count = 0; count < 3; count++) {
      await wire.send(get("/"));
      await wire.receive("\r\n\r\nok");
    }
    await until(() => seen.length >= 9, "the end of all");
  }
  const one = [[true, true, true], "finish", ["close", true, null]];
  assertEquals(seen, [...one, ...one, ...one]);
  await new Promise((resolve) => server.close(resolve));
});

Deno.test("a second answer in the same turn waits for its end, so that nobody else has to", async () => {
  const written: string[] = [];
  const server = createServer((req, res) => {
    const { socket } = req;
    settleAfterReading(socket);
    const bytes = (): number =>
      (handleOf(socket) as unknown as { getBytesWritten(): number }).getBytesWritten();
    const head = `HTTP/1.1 200 OK\r\ncontent-length: 1\r\n${standingLines(res)}`;
    const note = (when: string): void => void written.push(`${when}: ${bytes() / (head.length + 1)}`);
    res.once("finish", () => {
      note("finish");
      const second = new ServerResponse(req);
      second.assignSocket(socket);
      second.once("finish", () => {
        note("second finish");
        second.detachSocket(socket);
      });
      assert(writeWhole({ res: second, head, body: "b", ascii: true }));
      assert(second.headersSent);
      note("second");
    });
    assert(writeWhole({ res, head, body: "a", ascii: true }));
    note("first");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  using wire = await Wire.to((server.address() as AddressInfo).port);
  await wire.send(get("/"));
  await wire.receive("\r\n\r\na");
  await wire.receive("\r\n\r\nb");
  assertEquals(written, ["first: 1", "finish: 1", "second: 1", "second finish: 2"]);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

Deno.test("a connection that is silent after such an answer is closed in time, and not before", async () => {
  await using bridge = await Bridge.start(() => new Response("ok"));
  bridge.server.keepAliveTimeout = 200;
  using wire = await bridge.wire();
  const begin = performance.now();
  // Each request gives it the full time again.
  for (let count = 0; count < 4; count++) {
    await wire.send(get("/"));
    await wire.receive("\r\n\r\nok");
    await pause(400);
    assert(!wire.ended, "closed too early");
  }
  await until(() => wire.ended, "the end");
  // The runtime adds a second.
  assert(performance.now() - begin > 4 * 400 + 700, "closed too early");
});

Deno.test("pipelined requests are answered in order, whether at once or later", async () => {
  await using bridge = await Bridge.start((request) => {
    const { pathname } = new URL(request.url);
    const number = Number(pathname.slice(1));
    const response = new Response(`<${pathname}>`);
    if (number % 3 === 0) return response;
    return number % 3 === 1 ? pause(number % 7).then(() => response) : Promise.resolve(response);
  });
  using wire = await bridge.wire();
  const wanted = Array.from({ length: 200 }, (_, index) => `/${index}`);
  await wire.send(wanted.map((path) => get(path)).join(""));
  await wire.receive("</199>");
  using again = await bridge.wire();
  void again.send(wanted.map((path) => get(path)).join(""));
  const all = await again.receive("</199>");
  assertEquals([...all.matchAll(/<(\/\d+)>/g)].map(([, path]) => path), wanted);
});

Deno.test("a client that is slow to take an answer gets all of it, and the next one", async () => {
  const size = 8_000_000;
  const text = "0123456789".repeat(size / 10);
  const bodies: Record<string, () => string | Uint8Array<ArrayBuffer>> = {
    "/ascii": () => text,
    "/unicode": () => text.slice(1) + "ü",
    "/bytes": () => new TextEncoder().encode(text),
  };
  await using bridge = await Bridge.start((request) =>
    new Response(bodies[new URL(request.url).pathname]?.() ?? "next")
  );
  for (const [path, make] of Object.entries(bodies)) {
    using wire = await Wire.deafTo(bridge.port);
    await wire.send(get(path) + get("/after"));
    await pause(50);
    wire.listen();
    await wire.receive("\r\n\r\n");
    const body = (await wire.receive("HTTP/1.1 200 OK")).slice(0, -"HTTP/1.1 200 OK".length);
    assertEquals(body.length, new Blob([make()]).size);
    assert(body.startsWith(text.slice(1, 1000)) || body.startsWith(text.slice(0, 1000)));
    await wire.receive("\r\n\r\nnext");
  }
});

Deno.test("a client that leaves in the middle of such an answer is noticed, and nobody else", async () => {
  const aborted: string[] = [];
  await using bridge = await Bridge.start((request) => {
    const { pathname } = new URL(request.url);
    request.signal.addEventListener("abort", () => aborted.push(pathname));
    return new Response(pathname === "/next" ? "next" : "x".repeat(30_000_000));
  });
  {
    using wire = await Wire.deafTo(bridge.port);
    await wire.send(get("/long"));
    await pause(50);
    assertEquals(aborted, []);
  }
  using other = await bridge.wire();
  for (let count = 0; count < 3; count++) {
    await other.send(get("/next"));
    await other.receive("\r\n\r\nnext");
  }
  await until(() => aborted.length > 0, "the abort");
  assertEquals(aborted, ["/long"]);
});

Deno.test("a pause waits for such an answer until the client has taken it", async () => {
  const text = "x".repeat(20_000_000);
  const server = createServer(requestListener(() => new Response(text)));
  const conversations = new Conversations(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  using wire = await Wire.deafTo((server.address() as AddressInfo).port);
  await wire.send(get("/"));
  await until(() => conversations.owing === 1, "the request");
  conversations.pause();
  await pause(50);
  assertEquals([conversations.owing, conversations.takeDescriptors().length], [1, 0]);
  wire.listen();
  await settled(conversations);
  const taken = conversations.takeDescriptors();
  assertEquals([conversations.owing, taken.length], [0, 1]);
  disposeAll(taken);
  conversations.resume();
  await until(() => wire.text.endsWith("x") && wire.text.length > text.length, "all of it");
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

Deno.test("what is read by hand is answered as well", async () => {
  const server = createServer(requestListener((request) => new Response(new URL(request.url).pathname)));
  const conversations = new Conversations(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  using wire = await Wire.to((server.address() as AddressInfo).port);
  // Half a head makes the connection one that JavaScript reads.
  await wire.send("GET /a HTTP/1.1\r\nHo");
  await pause(50);
  await wire.send("st: a\r\n\r\n");
  await wire.receive("\r\n\r\n/a");
  for (let count = 0; count < 20; count++) {
    await wire.send(get("/b") + get("/c"));
    await wire.receive("\r\n\r\n/b");
    await wire.receive("\r\n\r\n/c");
  }
  await until(() => conversations.owing === 0, "the end of the answer");
  conversations.pause();
  assertEquals([conversations.size, conversations.owing], [1, 0]);
  conversations.resume();
  await wire.send(get("/d"));
  await wire.receive("\r\n\r\n/d");
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

Deno.test("answers go on when a body is sent that nobody reads", async () => {
  const handler: FetchHandler = () => new Response("ok");
  await using bridge = await Bridge.start(handler);
  using wire = await bridge.wire();
  for (let count = 0; count < 5; count++) {
    await wire.send(post("/", "x".repeat(100_000)) + get("/"));
    await wire.receive("\r\n\r\nok");
    await wire.receive("\r\n\r\nok");
  }
  await wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
  await wire.receive("\r\n\r\nok");
  await wire.send("0123456789" + get("/"));
  await wire.receive("\r\n\r\nok");
});
