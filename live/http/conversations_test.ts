import { assertEquals } from "@std/assert";
import type { RequestListener } from "node:http";
import type { Socket } from "node:net";

import { requestListener } from "./fetch_bridge.ts";

import {
  carriable,
  get,
  Host,
  isSettled,
  pause,
  readKernel,
  settled,
  takeOne,
  until,
  Wire,
} from "./wire_test.ts";

Deno.test("Conversations.pause leaves what arrives in the kernel", async () => {
  await using host = await Host.start();
  using wire = await host.wire();
  await wire.ask("/before");
  host.conversations.pause();
  const request = get("/during");
  await wire.send(request);
  using taken = takeOne(host.conversations);
  assertEquals(await readKernel(taken, request.length), request);
  assertEquals(host.asked, ["/before"]);
});

Deno.test("Conversations.pause cannot be undone by who resumes a socket", async () => {
  await using host = await Host.start();
  const sockets: Socket[] = [];
  host.server.on("connection", (socket) => sockets.push(socket));
  using wire = await host.wire();
  await wire.ask("/before");
  host.conversations.pause();
  sockets[0]?.pause();
  sockets[0]?.resume();
  await wire.send(get("/during"));
  await pause(30);
  assertEquals(host.asked, ["/before"]);
  host.conversations.resume();
  await wire.receive("\r\n\r\n/during");
});

Deno.test("Conversations.resume leaves a socket paused that the application has paused", async () => {
  await using host = await Host.start();
  const sockets: Socket[] = [];
  host.server.on("connection", (socket) => sockets.push(socket));
  using wire = await host.wire();
  await wire.ask("/before");
  sockets[0]?.pause();
  host.conversations.pause();
  await wire.send(get("/during"));
  host.conversations.resume();
  await pause(30);
  assertEquals(host.asked, ["/before"]);
  sockets[0]?.resume();
  await wire.receive("\r\n\r\n/during");
});

Deno.test("Conversations.resume answers what has arrived during the pause", async () => {
  await using host = await Host.start();
  using wire = await host.wire();
  await wire.ask("/before");
  for (let round = 0; round < 5; round++) {
    host.conversations.pause();
    await wire.send(get(`/during${round}`));
    await pause(20);
    assertEquals(host.asked.length, round + 1);
    host.conversations.resume();
    await wire.receive(`\r\n\r\n/during${round}`);
  }
});

Deno.test("Conversations.pause holds a connection that comes later", async () => {
  await using host = await Host.start();
  host.conversations.pause();
  using wire = await host.wire();
  await wire.send(get("/new"));
  await pause(30);
  assertEquals([host.conversations.size, host.conversations.owing, carriable(host)], [1, 0, 1]);
  assertEquals(host.asked, []);
  host.conversations.resume();
  await wire.receive("\r\n\r\n/new");
});

Deno.test("Conversations.pause lets an answer finish and then holds the connection", async () => {
  await using host = await Host.start();
  using wire = await host.wire();
  await wire.send(get("/slow?wait=60"));
  await until(() => host.asked.length === 1, "the request");
  host.conversations.pause();
  assertEquals([host.conversations.owing, carriable(host)], [1, 0]);
  assertEquals(await isSettled(host.conversations.settled()), false);
  await settled(host.conversations);
  assertEquals([host.conversations.owing, carriable(host)], [0, 1]);
  await wire.receive("\r\n\r\n/slow");
  await wire.send(get("/next"));
  await pause(30);
  assertEquals(host.asked.length, 1);
  host.conversations.resume();
  await wire.receive("\r\n\r\n/next");
});

Deno.test("Conversations.owing counts a request whose body has come in part", async () => {
  const whole = [
    "POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n0123456789",
    "POST /chunks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n3\r\nxyz\r\n0\r\n\r\n",
  ];
  await using host = await Host.start((req, res) => {
    req.resume();
    req.on("end", () => res.end(req.url));
  });
  for (const request of whole) {
    for (let cut = request.indexOf("\r\n\r\n") + 4; cut < request.length; cut += 3) {
      using wire = await host.wire();
      await wire.send(request.slice(0, cut));
      await until(() => host.conversations.owing === 1, `${cut} bytes of ${request}`);
      host.conversations.pause();
      assertEquals(carriable(host), 0);
      await wire.send(request.slice(cut));
      await settled(host.conversations);
      assertEquals(carriable(host), 1);
      await wire.receive(`\r\n\r\n/`);
      host.conversations.resume();
      wire[Symbol.dispose]();
      await until(() => host.conversations.size === 0, "the end");
    }
  }
});

Deno.test("Conversations.owing counts pipelined requests, not the part of a head behind them", async () => {
  await using host = await Host.start();
  using wire = await host.wire();
  const last = get("/3");
  await wire.send(get("/1?wait=40") + get("/2?wait=20") + last.slice(0, 9));
  await until(() => host.asked.length === 2, "two requests");
  host.conversations.pause();
  await wire.receive("\r\n\r\n/1");
  await wire.receive("\r\n\r\n/2");
  await settled(host.conversations);
  assertEquals(carriable(host), 1);
  await wire.send(last.slice(9));
  host.conversations.resume();
  await wire.receive("\r\n\r\n/3");
});

Deno.test("Conversations.pause holds a head that has begun behind an answer under way", async () => {
  await using host = await Host.start();
  using wire = await host.wire();
  await wire.send(get("/1?wait=100"));
  await until(() => host.asked.length === 1, "the first request");
  host.conversations.pause();
  const last = get("/3");
  await wire.send(get("/2") + last.slice(0, 9));
  await until(() => host.asked.length === 2, "the second request");
  await wire.receive("\r\n\r\n/2");
  await settled(host.conversations);
  assertEquals(carriable(host), 1);
  await wire.send(last.slice(9));
  host.conversations.resume();
  await wire.receive("\r\n\r\n/3");
});

Deno.test("Conversations.settled comes although a client never stops to send requests", async () => {
  await using host = await Host.start();
  using wire = await host.wire();
  let sending = true;
  const flood = (async () => {
    for (let i = 0; sending; i++) {
      await wire.send(get(`/${i}?wait=200`));
      await pause(1);
    }
  })();
  await until(() => host.asked.length > 20, "a flood");
  host.conversations.pause();
  await settled(host.conversations);
  assertEquals([host.conversations.owing, carriable(host)], [0, 1]);
  const before = host.asked.length;
  await pause(40);
  assertEquals(host.asked.length, before);
  host.conversations.resume();
  await until(() => host.asked.length > before + 20, "the rest of the flood");
  sending = false;
  await flood;
});

Deno.test("Conversations.owing counts a request whose answer is there before its body", async () => {
  await using host = await Host.start((_req, res) => void res.end("early"));
  using wire = await host.wire();
  await wire.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n01234");
  await wire.receive("\r\n\r\nearly");
  host.conversations.pause();
  assertEquals([host.conversations.owing, carriable(host)], [1, 0]);
  await wire.send("56789");
  await settled(host.conversations);
  assertEquals(carriable(host), 1);
});

Deno.test("Conversations.settled does not wait for a body that nobody reads", async () => {
  const size = 500_000;
  const request = `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${size}\r\n\r\n${"x".repeat(size)}`;
  const listeners: RequestListener[] = [
    requestListener(() => new Response("early")),
    (_req, res) => void res.end("early"),
  ];
  for (const listener of listeners) {
    await using host = await Host.start(listener);
    using wire = await host.wire();
    const sending = wire.send(request);
    await wire.receive("\r\n\r\nearly");
    host.conversations.pause();
    await settled(host.conversations);
    await sending;
    assertEquals(carriable(host), 1);
    host.conversations.resume();
    await wire.send(get("/next"));
    await wire.receive("\r\n\r\nearly");
  }
});

Deno.test("Conversations.owing counts an answer that ends with the connection", async () => {
  for (const request of [get("/close", "Connection: close"), "GET /old HTTP/1.0\r\n\r\n"]) {
    await using host = await Host.start();
    using wire = await host.wire();
    const atTheEnd: number[] = [];
    host.server.once("request", (_req, res) => {
      host.conversations.pause();
      res.once("close", () => atTheEnd.push(host.conversations.owing, carriable(host)));
    });
    await wire.send(request);
    await until(() => host.asked.length === 1, "the request");
    await settled(host.conversations);
    await until(() => wire.ended, "the end");
    assertEquals([wire.failed, host.conversations.size, ...atTheEnd], [false, 0, 1, 0]);
  }
});

Deno.test("Conversations carries a client of HTTP/1.0 that keeps its connection", async () => {
  await using host = await Host.start((_req, res) => void res.setHeader("content-length", 3).end("old"));
  using wire = await host.wire();
  await wire.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  await wire.receive("\r\n\r\nold");
  host.conversations.pause();
  await settled(host.conversations);
  assertEquals([wire.ended, carriable(host)], [false, 1]);
});

Deno.test("Conversations.owing counts an answer that the client is slow to take", async () => {
  const size = 8_000_000;
  for (const body of ["x".repeat(size), new Uint8Array(size)]) {
    await using host = await Host.start((_req, res) => void res.end(body));
    using wire = await Wire.deafTo(host.port);
    await wire.send(get("/big"));
    await until(() => host.asked.length === 1, "the request");
    host.conversations.pause();
    await pause(50);
    assertEquals([host.conversations.owing, carriable(host)], [1, 0]);
    wire.listen();
    await settled(host.conversations);
    assertEquals(carriable(host), 1);
    await until(() => wire.text.length > size, "the whole answer");
  }
});

Deno.test("Conversations.owing counts an answer without an end", async () => {
  await using host = await Host.start((_req, res) => void res.write("data: 1\n\n"));
  using wire = await host.wire();
  await wire.send(get("/events"));
  await wire.receive("data: 1");
  host.conversations.pause();
  await pause(50);
  assertEquals([host.conversations.owing, carriable(host)], [1, 0]);
  assertEquals(await isSettled(host.conversations.settled()), false);
  wire[Symbol.dispose]();
  await settled(host.conversations);
  await until(() => host.conversations.size === 0, "the end");
});

Deno.test("Conversations.owing counts an upgraded connection for ever", async () => {
  await using host = await Host.start();
  host.server.on("upgrade", (_req, socket) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello");
    socket.on("error", () => {});
  });
  using wire = await host.wire();
  await wire.send(get("/", "Connection: Upgrade", "Upgrade: x"));
  await wire.receive("hello");
  host.conversations.pause();
  await pause(30);
  assertEquals([host.conversations.owing, carriable(host)], [1, 0]);
  assertEquals(host.conversations.closeOwing(), 1);
  await settled(host.conversations);
  await until(() => wire.ended, "the end");
});

Deno.test("Conversations.pause lets an upgraded connection come to its end", async () => {
  await using host = await Host.start();
  host.server.on("upgrade", (_req, socket) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello");
    socket.on("data", () => socket.end("bye"));
  });
  using wire = await host.wire();
  using slow = await host.wire();
  await slow.send(get("/slow?wait=50"));
  await until(() => host.asked.length === 1, "the request");
  host.conversations.pause();
  // Upgraded during the pause, behind a request that was answered in it.
  await slow.send(get("/next") + get("/", "Connection: Upgrade", "Upgrade: x"));
  await slow.receive("hello");
  await slow.send("end");
  await slow.receive("bye");
  await slow.finish();
  await settled(host.conversations);
  assertEquals(carriable(host), 1);
  host.conversations.resume();
  await wire.ask("/still");
});

Deno.test("Conversations.owing forgets a client that leaves in the middle of its request", async () => {
  await using host = await Host.start();
  const half = "POST /half HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc";
  for (const request of [half, get("/slow?wait=10000")]) {
    using wire = await host.wire();
    await wire.send(request);
    await until(() => host.conversations.owing === 1, "the begin");
    host.conversations.pause();
    wire[Symbol.dispose]();
    await settled(host.conversations);
    host.conversations.resume();
    await until(() => host.conversations.size === 0, "the end");
  }
});

Deno.test("Conversations.owing forgets a connection that sends no HTTP", async () => {
  await using host = await Host.start();
  using wire = await host.wire();
  host.conversations.pause();
  host.conversations.resume();
  await wire.send("\x16\x03\x01 no request\r\n\r\n");
  await until(() => wire.ended, "the refusal");
  await until(() => host.conversations.size === 0, "the end");
  assertEquals(host.conversations.owing, 0);
});

Deno.test("Conversations does not mind stray line ends between requests", async () => {
  await using host = await Host.start();
  using wire = await host.wire();
  await wire.ask("/1");
  await wire.send("\r\n\r\n");
  await pause(20);
  assertEquals([host.conversations.owing, carriable(host)], [0, 1]);
  await wire.ask("/2");
});

Deno.test("Conversations.owing counts answers that the server gives without the application", async () => {
  await using host = await Host.start();
  for (const request of ["GET / HTTP/1.1\r\n\r\n", get("/", "Expect: the-unexpected")]) {
    using wire = await host.wire();
    await wire.send(request);
    await wire.receive("HTTP/1.1 4");
    host.conversations.pause();
    await settled(host.conversations);
    host.conversations.resume();
  }
  assertEquals(host.asked, []);
});
