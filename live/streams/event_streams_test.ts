import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";

import { decoder, GET, HEAD, Host, linesOf, readUntil } from "./event_streams_kit_test.ts";
import { pattern, turn, waitFor } from "./helpers_test.ts";

Deno.test("a response becomes a stream: the head at once, then events as they are sent, to the byte", async () => {
  await using host = await Host.serving().listen();
  using peer = host.connect(GET);
  assertEquals(linesOf(await readUntil(peer, "\r\n\r\n")), [...HEAD].sort());
  const { stream, resumed } = host.opened[0]!;
  assertEquals([host.feed.size, [...host.feed], resumed, stream.resumed], [1, [stream], false, false]);
  assert(stream.send({ data: "one", id: "1" }));
  assertEquals(await readUntil(peer, "\n\n"), "id: 1\ndata: one\n\n");
  host.feed.broadcast({ data: "all" });
  assertEquals(await readUntil(peer, "\n\n"), "data: all\n\n");
  stream.close();
  assertEquals(await peer.readAll(), new Uint8Array());
  peer[Symbol.dispose]();
  await stream.closed;
  assertEquals([host.feed.size, host.channel.connections.size, stream.send({ data: "late" })], [0, 0, false]);
});

Deno.test("headers of the application go out, also those that a wrapper sets on the response", async () => {
  await using host = await Host.serving({}, (feed) => (request) => {
    const headers = {
      "x-own": "1",
      "cache-control": "no-cache",
      "content-type": "text/plain",
      "content-length": "7",
    };
    const response = feed.respond(request, { last: 0 }, { headers });
    const wrapped = new Response(response.body, { headers: response.headers });
    wrapped.headers.set("access-control-allow-origin", "*");
    wrapped.headers.append("set-cookie", "a=1");
    wrapped.headers.append("set-cookie", "b=2");
    return wrapped;
  }).listen();
  using peer = host.connect(GET);
  assertEquals(
    linesOf(await readUntil(peer, "\r\n\r\n")),
    [
      ...HEAD.filter((line) => !line.startsWith("cache-control")),
      "access-control-allow-origin: *",
      "cache-control: no-cache",
      "set-cookie: a=1",
      "set-cookie: b=2",
      "x-own: 1",
    ].sort(),
  );
});

Deno.test("HTTP/1.0 gets a stream, HEAD only its head, and the connection goes on for nobody else", async () => {
  await using host = await Host.serving().listen();
  using old = host.connect("GET /events HTTP/1.0\r\n\r\n");
  assertEquals(linesOf(await readUntil(old, "\r\n\r\n")), [...HEAD].sort());
  host.feed.broadcast({ data: "x" });
  assertEquals(await readUntil(old, "\n\n"), "data: x\n\n");
  using head = host.connect(GET.replace("GET", "HEAD"));
  assertEquals(linesOf(decoder.decode(await head.readAll())), [...HEAD].sort());
  assertEquals([host.feed.size, host.opened.length], [1, 1]);
});

Deno.test("what a client sends behind its request is nobody's: no second request, no garbage, no flood", async () => {
  let requests = 0;
  await using host = await Host.serving({}, (feed) => (request) => {
    requests++;
    return feed.respond(request, { last: 0 });
  }).listen();
  using peer = host.connect(GET + GET + GET);
  await readUntil(peer, "\r\n\r\n");
  peer.write(GET + "\0\0 garbage\r\n\r\n");
  for (let count = 0; count < 20; count++) {
    peer.write(pattern(0, 50_000));
    await turn();
  }
  host.feed.broadcast({ data: "still here" });
  assertEquals(await readUntil(peer, "\n\n"), "data: still here\n\n");
  assertEquals([requests, host.feed.size], [1, 1]);
});

Deno.test("a stream behind an answer that is not given yet waits for it, with what is sent meanwhile", async () => {
  const gate = Promise.withResolvers<void>();
  await using host = await new Host((feed) => (req, res) => {
    if (req.url !== "/events") return void gate.promise.then(() => res.end("first"));
    const stream = feed.attach(res, { last: 0 });
    assertEquals(stream.send({ data: "early" }), false);
    assertEquals([stream.queued, feed.size], [13, 0]);
  }).listen();
  using peer = host.connect("GET / HTTP/1.1\r\nhost: x\r\n\r\n" + GET);
  await waitFor(() => host.conversations.size === 1, { what: "the connection" });
  await turn();
  gate.resolve();
  assertMatch(
    await readUntil(peer, "data: early\n\n"),
    /first[^]*connection: close\r\n[^]*\r\n\r\ndata: early\n\n$/,
  );
  assertEquals(host.feed.size, 1);
});

Deno.test("a client that leaves is forgotten, and its request is told", async () => {
  const aborted = Promise.withResolvers<void>();
  await using host = await Host.serving({}, (feed) => (request) => {
    request.signal.addEventListener("abort", () => aborted.resolve());
    return feed.respond(request, { last: 0 });
  }).listen();
  using peer = host.connect(GET);
  await readUntil(peer, "\r\n\r\n");
  const { stream } = host.opened[0]!;
  peer[Symbol.dispose]();
  await stream.closed;
  await aborted.promise;
  assertEquals([host.feed.size, host.channel.connections.size], [0, 0]);
  using half = host.connect(GET);
  await readUntil(half, "\r\n\r\n");
  half.finish();
  await host.opened[1]!.stream.closed;
  await waitFor(() => host.conversations.size === 0, { what: "the server to forget both" });
});

Deno.test("attach() takes an answer of node:http with its headers, and res.end() ends the stream", async () => {
  await using host = await new Host((feed) => (_req, res) => {
    res.setHeader("X-Powered-By", "tests");
    const stream = feed.attach(res, { last: 7 }, { headers: { "x-more": "2" } });
    assertEquals([stream.state.last, res.headersSent], [7, true]);
    assertThrows(() => res.write("x"), TypeError, "somebody else");
    assertThrows(() => feed.attach(res, { last: 8 }), TypeError, "begun already");
    stream.send({ data: "x" });
    res.end();
  }).listen();
  using peer = host.connect(GET);
  const text = decoder.decode(await peer.readAll());
  assertEquals(linesOf(text.split("\r\n\r\n")[0]!), [...HEAD, "X-Powered-By: tests", "x-more: 2"].sort());
  assertEquals(text.split("\r\n\r\n")[1], "data: x\n\n");
});

Deno.test("a client that does not read is cut at the limit, and nobody else", async () => {
  await using host = await Host.serving({ maxQueueBytes: 50_000 }).listen();
  using slow = host.connect(GET, 4096);
  await waitFor(() => host.feed.size === 1, { what: "the stream" });
  using quick = host.connect(GET);
  await readUntil(quick, "\r\n\r\n");
  const [first] = host.opened;
  let sent = 0;
  let isGood = true;
  while (host.feed.size === 2) {
    isGood = first!.stream.send({ data: "x".repeat(1000) });
    if (++sent % 50 === 0) await turn();
    assert(first!.stream.queued <= 50_000);
  }
  assertEquals(isGood, false);
  await first!.stream.closed;
  host.feed.broadcast({ data: "go on" });
  assertEquals(await readUntil(quick, "\n\n"), "data: go on\n\n");
  const got = await slow.readAll().catch((error) => assertMatch(error.cause.message, /ECONNRESET/));
  assert(got === undefined || got.byteLength < sent * 1008);
});

Deno.test("a silent stream gets a comment, a lively one does not", async () => {
  await using host = await Host.serving({ heartbeatMs: 50 }).listen();
  using peer = host.connect(GET);
  await readUntil(peer, "\r\n\r\n:\n\n");
  const { stream } = host.opened[0]!;
  const timer = setInterval(() => stream.send({ data: "x" }), 10);
  await new Promise((resolve) => setTimeout(resolve, 200));
  clearInterval(timer);
  const text = decoder.decode(peer.readSome()!);
  assert(text.split("data: x\n\n").length > 5);
  assertEquals(text.replaceAll("data: x\n\n", "").replace(/^(:\n\n)?/, ""), "");
});

Deno.test("an `open` that throws ends its stream, and only that", async () => {
  let count = 0;
  await using host = await Host.serving({
    open() {
      if (++count === 2) throw new Error("not you");
    },
  }).listen();
  using first = host.connect(GET);
  await readUntil(first, "\r\n\r\n");
  const { error } = console;
  const logged: unknown[] = [];
  console.error = (...args) => logged.push(...args);
  try {
    using second = host.connect(GET);
    await second.readAll().catch(() => {});
  } finally {
    console.error = error;
  }
  assertEquals([host.feed.size, String(logged.at(-1))], [1, "Error: not you"]);
  host.feed.broadcast({ data: "go on" });
  assertEquals(await readUntil(first, "\n\n"), "data: go on\n\n");
});
