import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";

import { IncomingMessage } from "node:http";
import { Socket } from "node:net";

import { RequestBody } from "./request_body.ts";
import { incomingOf, servedRequest } from "./served_request.ts";

function make(
  method = "POST",
  text: string | null = "body",
): { request: Request; controller: AbortController; signals: number[]; incoming: IncomingMessage } {
  const controller = new AbortController();
  const signals: number[] = [];
  const incoming = new IncomingMessage(new Socket());
  if (text !== null) {
    incoming.push(text);
    incoming.push(null);
  }
  const request = servedRequest({
    url: new URL("http://Host:80/a/../b?c#d").href,
    method,
    rawHeaders: ["Content-Type", "text/plain", "X-A", "1", "x-a", "2"],
    body: method === "GET" ? null : new RequestBody(incoming),
    incoming,
    makeSignal: () => {
      signals.push(1);
      return controller.signal;
    },
  });
  return { request, controller, signals, incoming };
}

Deno.test("servedRequest gives a request with every property of a real one", async () => {
  for (const method of ["GET", "POST"]) {
    const { request } = make(method);
    const init: RequestInit = {
      method,
      headers: [["Content-Type", "text/plain"], ["X-A", "1"], ["x-a", "2"]],
    };
    if (method === "POST") init.body = new Response("body").body;
    const real = new Request("http://Host:80/a/../b?c#d", init);
    const names = Object.entries(Object.getOwnPropertyDescriptors(Request.prototype))
      .filter(([name, { get }]) => get !== undefined && !["headers", "body", "signal"].includes(name))
      .map(([name]) => name);
    assert(names.length > 10, "the properties of a request");
    const look = (of: Request): unknown[] => names.map((name) => [name, Reflect.get(of, name)]);
    assertEquals(look(request), look(real));
    assertEquals([...request.headers], [...real.headers]);
    assertEquals(await request.text(), await real.text());
    assertEquals(look(request), look(real));
  }
});

Deno.test("servedRequest passes for a Request", () => {
  const { request } = make();
  assert(request instanceof Request);
  assertStrictEquals(request.constructor, Request);
  assertEquals(Object.prototype.toString.call(request), "[object Request]");
  assertStrictEquals(request.headers, request.headers);
  assertStrictEquals(request.body, request.body);
  request.headers.set("x-b", "3");
  assertEquals(new Request(request).headers.get("x-b"), "3");
});

Deno.test("servedRequest makes what costs much only when it is looked at", () => {
  const { request, signals } = make();
  // The way back, for a runtime that is built otherwise, would have made it at once.
  assertEquals([request.url, request.method, signals.length], ["http://host/b?c#d", "POST", 0]);
  assertStrictEquals(request.signal, request.signal);
  assertEquals(signals.length, 1);
});

Deno.test("servedRequest hands its signal and body to copies", async () => {
  const { request, controller } = make();
  const clone = request.clone();
  const copy = new Request(request);
  assertEquals([request.bodyUsed, clone.bodyUsed, copy.bodyUsed], [true, false, false]);
  controller.abort(new Error("left"));
  for (const one of [request, clone, copy]) {
    assertEquals([one.signal.aborted, one.signal.reason.message], [true, "left"]);
  }
  assertEquals([await clone.text(), await copy.text()], ["body", "body"]);
});

Deno.test("incomingOf knows the requests that were made here", () => {
  const { request } = make();
  assert(incomingOf(request) instanceof IncomingMessage);
  assertEquals(incomingOf(new Request("http://localhost")), undefined);
});

Deno.test("servedRequest reads its body in every way", async () => {
  assertEquals(await make().request.bytes(), new TextEncoder().encode("body"));
  assertEquals(new Uint8Array(await make().request.arrayBuffer()), new TextEncoder().encode("body"));
  assertEquals((await make().request.blob()).type, "text/plain");
  assertEquals(await make("POST", '{"a":1}').request.json(), { a: 1 });
});

Deno.test("servedRequest reads its body once, in whichever way", async () => {
  const ways: ((request: Request) => Promise<unknown>)[] = [
    (request) => request.text(),
    (request) => request.json(),
    (request) => request.bytes(),
    (request) => request.arrayBuffer(),
    (request) => request.blob(),
  ];
  for (const first of ways) {
    const { request } = make("POST", "[1]");
    const [one, ...others] = [first(request), ...ways.map((way) => way(request).then(() => "read", String))];
    assertEquals(request.bodyUsed, true);
    await one;
    for (const other of [...others, ...ways.map((way) => way(request).then(() => "read", String))]) {
      assertEquals(await other, "TypeError: Body already consumed");
    }
    assertThrows(() => request.clone(), TypeError);
    assertThrows(() => new Request(request), TypeError);
    assertEquals([request.bodyUsed, request.method, request.headers.get("x-a")], [true, "POST", "1, 2"]);
    assertEquals(request.body?.locked, true);
  }
});

Deno.test("servedRequest reads a body that comes in pieces", async () => {
  const { request, incoming } = make("POST", null);
  const text = request.text();
  for (const byte of new TextEncoder().encode("\ufeffgrüß \u{1f600}")) {
    incoming.push(new Uint8Array([byte]));
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  incoming.push(null);
  assertEquals(await text, "grüß \u{1f600}");
});

Deno.test("servedRequest says what is wrong with a body", async () => {
  await assertRejects(() => make("POST", "{").request.json(), SyntaxError);
  await assertRejects(() => make("POST", "").request.json(), SyntaxError);
  await assertRejects(() => make("GET").request.json(), SyntaxError);
  assertEquals(await make("GET").request.text(), "");
  const { request, incoming } = make("POST", null);
  const text = request.text();
  incoming.destroy(new Error("gone"));
  await assertRejects(() => text, Error, "gone");
});

Deno.test("servedRequest has one set of headers, whatever is made of it", () => {
  const { request } = make();
  const { headers } = request;
  headers.set("x-b", "1");
  headers.delete("x-a");
  const copy = request.clone();
  assertStrictEquals(request.headers, headers);
  headers.set("x-c", "2");
  headers.append("X-B", "3");
  const again = new Request(request);
  assertEquals([...copy.headers], [["content-type", "text/plain"], ["x-b", "1"]]);
  assertEquals([...again.headers], [["content-type", "text/plain"], ["x-b", "1, 3"], ["x-c", "2"]]);
  assertEquals(headers instanceof Headers, true);
});
