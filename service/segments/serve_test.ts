/** The handler behind a real server: what only a wire shows. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { CHUNK_BYTES } from "./bytes.ts";
import { createSegmentHandler } from "./handler.ts";
import { type ErrorBody, FakeStore, options, TOKEN } from "./fake_store_test.ts";

const AUTHORIZATION = `Bearer ${TOKEN}`;
const DEADLINE_MS = 30_000;

class Service implements AsyncDisposable {
  readonly store = new FakeStore();
  readonly server: Deno.HttpServer<Deno.NetAddr>;
  readonly host: string;

  constructor(change: Parameters<typeof options>[0] = {}) {
    const handler = createSegmentHandler(this.store, options({ hosts: () => [this.host], ...change }));
    this.server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
    this.host = `127.0.0.1:${this.server.addr.port}`;
  }

  fetch(method: string, path: string, body: BodyInit | null = null): Promise<Response> {
    const init = { method, body, headers: { authorization: AUTHORIZATION } };
    return fetch(`http://${this.host}/v1${path}`, init);
  }

  connect(): Promise<Deno.TcpConn> {
    return Deno.connect({ hostname: "127.0.0.1", port: this.server.addr.port });
  }

  /** Sends a request byte for byte and reads until the server closes. */
  async raw(...parts: string[]): Promise<string> {
    using connection = await this.connect();
    for (const part of parts) {
      await writeAll(connection, new TextEncoder().encode(part));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return await new Response(connection.readable).text();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.shutdown();
  }
}

async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.byteLength;) at += await connection.write(bytes.subarray(at));
}

/** A pattern without a period that divides the chunk size. */
function pattern(size: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 13)) & 255);
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!condition()) {
    assert(performance.now() < deadline, "the condition did not come true");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

async function refusalOf(response: Response): Promise<[number, ErrorBody]> {
  return [response.status, (await response.json()).error];
}

Deno.test("createSegmentHandler over a wire streams many chunks in and out unchanged", async () => {
  await using service = new Service();
  const content = pattern(5 * CHUNK_BYTES + 12_345);
  assertEquals((await (await service.fetch("PUT", "/segments/a?size=6000000")).json()).size, 6_000_000);
  const written = await service.fetch("PUT", "/segments/a/bytes?offset=100", content);
  assertEquals(await written.json(), { name: "a", offset: 100, written: content.byteLength });

  const path = `/segments/a/bytes?offset=100&length=${content.byteLength}`;
  const read = await service.fetch("GET", path);
  assertEquals(read.headers.get("content-length"), String(content.byteLength));
  const body = await read.bytes();
  assertEquals(body.byteLength, content.byteLength);
  assert(body.every((byte, i) => byte === content[i]));

  const head = await service.fetch("HEAD", path);
  assertEquals(head.headers.get("content-length"), String(content.byteLength));
  assertEquals((await head.bytes()).byteLength, 0);
});

Deno.test("createSegmentHandler over a wire takes a chunked body", async () => {
  await using service = new Service();
  const bytes = service.store.add("a", 3 * CHUNK_BYTES);
  const content = pattern(2 * CHUNK_BYTES);
  const body = ReadableStream.from([content.slice(0, 10), content.slice(10)]);
  const response = await service.fetch("PUT", `/segments/a/bytes?length=${content.byteLength}`, body);
  assertEquals((await response.json()).written, content.byteLength);
  assert(content.every((byte, i) => bytes[i] === byte));
  assertEquals(bytes[content.byteLength], 0);
});

Deno.test("createSegmentHandler over a wire refuses a long Content-Length before the body comes", async () => {
  await using service = new Service();
  const bytes = service.store.add("a", 8);
  // Only the head is sent: an answer can but come from Content-Length.
  const head = `PUT /v1/segments/a/bytes?offset=3 HTTP/1.1\r\nHost: ${service.host}\r\n` +
    `Authorization: ${AUTHORIZATION}\r\nContent-Length: 6\r\nConnection: close\r\n\r\n`;
  using connection = await service.connect();
  await writeAll(connection, new TextEncoder().encode(head));
  const buffer = new Uint8Array(4096);
  const count = await connection.read(buffer);
  const answer = new TextDecoder().decode(buffer.subarray(0, count ?? 0));
  assert(answer.startsWith("HTTP/1.1 413 "), answer);
  assertEquals([...bytes], Array(8).fill(0));
});

Deno.test("createSegmentHandler over a wire stops a chunked body at the end and says how much it wrote", async () => {
  await using service = new Service();
  const bytes = service.store.add("a", 8);
  const head = `PUT /v1/segments/a/bytes?offset=2 HTTP/1.1\r\nHost: ${service.host}\r\n` +
    `Authorization: ${AUTHORIZATION}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n`;
  const answer = await service.raw(head, "4\r\nabcd\r\n", "4\r\nefgh\r\n", "0\r\n\r\n");
  assert(answer.startsWith("HTTP/1.1 413 "), answer);
  const { error } = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4));
  assertEquals([error.code, error.written], ["EFBIG", 6]);
  assertEquals(new TextDecoder().decode(bytes), "\0\0abcdef");
});

Deno.test("createSegmentHandler over a wire keeps what came before a body broke off, and serves on", async () => {
  await using service = new Service();
  const bytes = service.store.add("a", 8);
  const head = `PUT /v1/segments/a/bytes HTTP/1.1\r\nHost: ${service.host}\r\n` +
    `Authorization: ${AUTHORIZATION}\r\nContent-Length: 8\r\n\r\nabcd`;
  {
    using connection = await service.connect();
    await writeAll(connection, new TextEncoder().encode(head));
    await until(() => bytes[3] !== 0);
  }
  assertEquals(await (await service.fetch("GET", "/segments/a/bytes")).text(), "abcd\0\0\0\0");
});

Deno.test("createSegmentHandler over a wire copies no more than the client takes", async () => {
  await using service = new Service();
  const bytes = service.store.add("a", 64 * CHUNK_BYTES);
  let copies = 0;
  bytes.slice = function (start, end) {
    copies++;
    return Uint8Array.prototype.slice.call(this, start, end) as Uint8Array<ArrayBuffer>;
  };
  const response = await service.fetch("GET", "/segments/a/bytes");
  const reader = response.body!.getReader();
  assert(((await reader.read()).value?.byteLength ?? 0) > 0);
  // Sockets hold some megabytes; a server that did not wait would copy all 64.
  let before = -1;
  while (before !== copies) {
    before = copies;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert(copies > 0 && copies < 32, `${copies} chunks were copied for a client that read one`);
  await reader.cancel();
});

Deno.test("createSegmentHandler over a wire fails a read whose segment is removed meanwhile", async () => {
  await using service = new Service();
  service.store.add("a", 64 * CHUNK_BYTES);
  const response = await service.fetch("GET", "/segments/a/bytes");
  assertEquals((await service.fetch("DELETE", "/segments/a")).status, 204);
  await assertRejects(() => response.bytes());
  assertEquals((await refusalOf(await service.fetch("GET", "/segments/a")))[0], 404);
});

Deno.test("createSegmentHandler over a wire fails a write whose segment is removed meanwhile", async () => {
  await using service = new Service();
  const bytes = service.store.add("a", 8);
  const { readable, writable } = new TransformStream<Uint8Array<ArrayBuffer>>();
  const answer = service.fetch("PUT", "/segments/a/bytes", readable);
  const writer = writable.getWriter();
  await writer.write(Uint8Array.of(1, 2));
  await until(() => bytes[1] === 2);
  assertEquals((await service.fetch("DELETE", "/segments/a")).status, 204);
  await writer.write(Uint8Array.of(3));
  const [status, error] = await refusalOf(await answer);
  assertEquals([status, error.code, error.written], [404, "ENOENT", 2]);
  await writer.abort().catch(() => {});
});

Deno.test("createSegmentHandler over a wire refuses a foreign, missing or doubled Host", async () => {
  await using service = new Service();
  const ask = (version: string, ...hosts: string[]) =>
    service.raw(
      `GET /v1/status HTTP/${version}\r\n${hosts.map((host) => `Host: ${host}\r\n`).join("")}` +
        "Connection: close\r\n\r\n",
    );
  assert((await ask("1.1", service.host)).startsWith("HTTP/1.1 200 "));
  assert((await ask("1.1", "rebound.example")).startsWith("HTTP/1.1 421 "));
  assert((await ask("1.0")).startsWith("HTTP/1.0 421 "));
  assert((await ask("1.1", service.host, service.host)).startsWith("HTTP/1.1 400 "));
});

Deno.test("createSegmentHandler over a wire resolves no dots and decodes no path", async () => {
  await using service = new Service();
  service.store.add("a", 1);
  for (
    const [path, status] of [
      ["/v1/segments/a", 200],
      ["/v1/x/../segments/a", 404],
      ["/v1/segments/%2e%2e/status", 404],
      ["/v1/segments/%61", 400],
      ["/v1/segments/..", 400],
      ["/v1/segments\\a", 404],
      ["//v1/segments/a", 404],
    ] as const
  ) {
    const answer = await service.raw(
      `GET ${path} HTTP/1.1\r\nHost: ${service.host}\r\nConnection: close\r\n\r\n`,
    );
    assert(answer.startsWith(`HTTP/1.1 ${status} `), `${path}: ${answer}`);
  }
});

Deno.test("createSegmentHandler over a wire creates one segment for many clients at once", async () => {
  await using service = new Service();
  const all = await Promise.all(
    Array.from({ length: 16 }, () => service.fetch("PUT", "/segments/a?size=4096")),
  );
  await Promise.all(all.map((response) => response.body?.cancel()));
  assertEquals(all.map(({ status }) => status).sort(), [...Array(15).fill(200), 201]);
  assertEquals(service.store.creations, 1);
});
