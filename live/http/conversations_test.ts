import { assert, assertEquals, assertThrows } from "@std/assert";
import { createServer, type RequestListener } from "node:http";
import type { Socket } from "node:net";

import { getCloexec } from "../../sys/fd.ts";
import { openFile } from "../../sys/file.ts";
import type { OwnedFd } from "../../sys/owned_fd.ts";
import { Conversations } from "./conversations.ts";
import { requestListener } from "./fetch_bridge.ts";
import { get, Host, isSettled, pause, readKernel, settled, until, Wire } from "./wire_test.ts";

/** Disposes descriptors. */
function disposeAll(fds: OwnedFd[]): void {
  for (const fd of fds) fd[Symbol.dispose]();
}

/** The descriptor of the only connection there is. */
function takeOne(conversations: Conversations): OwnedFd {
  const [fd, ...others] = conversations.takeDescriptors();
  if (fd === undefined || others.length > 0) throw new Error("Expected one clean connection");
  return fd;
}

/** How many descriptors it would give. */
function carriable(host: Host): number {
  const fds = host.conversations.takeDescriptors();
  disposeAll(fds);
  return fds.length;
}

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

Deno.test("Conversations.owing counts a request that has come in part", async () => {
  const whole = [
    get("/head"),
    "POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n0123456789",
    "POST /chunks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n3\r\nxyz\r\n0\r\n\r\n",
  ];
  await using host = await Host.start((req, res) => {
    req.resume();
    req.on("end", () => res.end(req.url));
  });
  for (const request of whole) {
    for (let cut = 1; cut < request.length; cut += 7) {
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

Deno.test("Conversations.owing counts pipelined requests and the part of one behind them", async () => {
  await using host = await Host.start();
  using wire = await host.wire();
  const last = get("/3");
  await wire.send(get("/1?wait=40") + get("/2?wait=20") + last.slice(0, 9));
  await until(() => host.asked.length === 2, "two requests");
  host.conversations.pause();
  await wire.receive("\r\n\r\n/1");
  await wire.receive("\r\n\r\n/2");
  await pause(20);
  assertEquals([host.conversations.owing, carriable(host)], [1, 0]);
  await wire.send(last.slice(9));
  await settled(host.conversations);
  await wire.receive("\r\n\r\n/3");
  assertEquals(carriable(host), 1);
});

Deno.test("Conversations.pause reads on where a request has begun behind an answer under way", async () => {
  await using host = await Host.start();
  using wire = await host.wire();
  await wire.send(get("/1?wait=100"));
  await until(() => host.asked.length === 1, "the first request");
  host.conversations.pause();
  const last = get("/3");
  await wire.send(get("/2") + last.slice(0, 9));
  await until(() => host.asked.length === 2, "the second request");
  await wire.receive("\r\n\r\n/2");
  assertEquals([host.conversations.owing, carriable(host)], [1, 0]);
  await wire.send(last.slice(9));
  await settled(host.conversations);
  await wire.receive("\r\n\r\n/3");
  assertEquals(carriable(host), 1);
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
  for (const request of ["GET /half HT", get("/slow?wait=10000")]) {
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

Deno.test("Conversations.closeOwing ends what owes and nothing else", async () => {
  await using host = await Host.start();
  using idle = await host.wire();
  await idle.ask("/idle");
  using busy = await host.wire();
  await busy.send(get("/busy?wait=60000"));
  using half = await host.wire();
  await half.send("GET /ha");
  await until(() => host.conversations.owing === 2, "two that owe");
  host.conversations.pause();
  assertEquals(host.conversations.closeOwing(), 2);
  assertEquals(host.conversations.owing, 0);
  await settled(host.conversations);
  await until(() => busy.ended && half.ended, "the end of both");
  host.conversations.resume();
  await idle.ask("/still");
});

Deno.test("Conversations.exclude does not wait for the one who asks, nor carries it", async () => {
  await using host = await Host.start((req, res) => {
    if (req.url === "/update") {
      host.conversations.exclude(req);
      host.conversations.pause();
      void host.conversations.settled().then(() => {
        counts.push(host.conversations.owing, carriable(host));
        host.conversations.resume();
        res.end("refused");
      });
    } else setTimeout(() => res.end("other"), 40);
  });
  const counts: number[] = [];
  using other = await host.wire();
  using asking = await host.wire();
  await other.send(get("/other"));
  await until(() => host.asked.length === 1, "the other");
  // The request behind it cannot be answered before it, so it does not hold the update up either.
  await asking.send(get("/update") + get("/behind"));
  await asking.receive("\r\n\r\nrefused");
  await asking.receive("\r\n\r\nother");
  await other.receive("\r\n\r\nother");
  assertEquals(counts, [0, 1]);
});

Deno.test("Conversations.settled waits for a pause, and again after a resume", async () => {
  await using host = await Host.start();
  const { conversations } = host;
  const first = conversations.settled();
  assertEquals(await isSettled(first), false);
  conversations.pause();
  await first;
  conversations.resume();
  const second = conversations.settled();
  assertEquals(await isSettled(second), false);
  conversations.pause();
  await second;
  await conversations.settled();
});

Deno.test("Conversations.stalledSinceNs is the time of the first pause", async () => {
  await using host = await Host.start();
  const { conversations } = host;
  assertEquals(conversations.stalledSinceNs(), null);
  conversations.pause();
  const since = conversations.stalledSinceNs();
  assert(since !== null && since > 0n);
  conversations.pause();
  assertEquals(conversations.stalledSinceNs(), since);
  conversations.resume();
  assertEquals(conversations.stalledSinceNs(), null);
});

Deno.test("Conversations.takeDescriptors gives fresh descriptors that an exec closes", async () => {
  await using host = await Host.start();
  const wires: Wire[] = [];
  for (let i = 0; i < 5; i++) {
    const wire = await host.wire();
    await wire.ask(`/${i}`);
    wires.push(wire);
  }
  const fds = host.conversations.takeDescriptors();
  assertEquals(new Set(fds.map((fd) => fd.fd)).size, 5);
  assert(fds.every((fd) => getCloexec(fd.fd) && fd.fd > 2));
  disposeAll(fds);
  for (const wire of wires) {
    await wire.ask("/after");
    wire[Symbol.dispose]();
  }
});

Deno.test("Conversations.adopt answers the request that waits in the kernel", async () => {
  await using old = await Host.start();
  await using young = await Host.start();
  using wire = await old.wire();
  await wire.ask("/1");
  old.conversations.pause();
  await wire.send(get("/2"));
  const fd = takeOne(old.conversations);
  // What the exec does to the old build's connections: they close, and the duplicate hides it from the client.
  old.server.closeAllConnections();
  await until(() => old.conversations.size === 0, "the end of the old one");
  assertEquals(wire.ended, false);
  young.conversations.pause();
  young.conversations.adopt(fd);
  assert(fd.disposed);
  await pause(30);
  assertEquals([young.asked.length, young.conversations.size, young.conversations.owing], [0, 1, 0]);
  young.conversations.resume();
  await wire.receive("\r\n\r\n/2");
  await wire.ask("/3");
  assertEquals([old.asked, young.asked], [["/1"], ["/2", "/3"]]);
});

Deno.test("Conversations.adopt closes a connection whose client left during the pause", async () => {
  await using old = await Host.start();
  await using young = await Host.start();
  using wire = await old.wire();
  await wire.ask("/1");
  old.conversations.pause();
  await wire.send(get("/2"));
  await wire.finish();
  const fd = takeOne(old.conversations);
  old.server.closeAllConnections();
  young.conversations.adopt(fd);
  await wire.receive("\r\n\r\n/2");
  await until(() => wire.ended && young.conversations.size === 0, "the end");
  assertEquals(wire.failed, false);
});

Deno.test("Conversations.adopt leaves what is no connection to the caller", async () => {
  await using host = await Host.start();
  using file = openFile("/dev/null", { read: true });
  assertThrows(() => host.conversations.adopt(file), TypeError);
  assertEquals([file.disposed, host.conversations.size], [false, 0]);
  const gone = file.dup();
  gone[Symbol.dispose]();
  assertThrows(() => host.conversations.adopt(gone), TypeError);
});

Deno.test("Conversations keeps a connection open whose time runs out during the pause", async () => {
  const times = {
    keepAliveTimeout: 50,
    headersTimeout: 100,
    requestTimeout: 100,
    connectionsCheckingInterval: 20,
  };
  await using host = await Host.start(null, times);
  // The runtime gives a second more than it says, so the first one would end after 1050 ms.
  using spoken = await host.wire();
  await spoken.ask("/1");
  using silent = await host.wire();
  host.conversations.pause();
  await pause(1500);
  await spoken.send(get("/2"));
  await silent.send(get("/3"));
  await pause(50);
  assertEquals([spoken.ended, silent.ended, host.asked.length], [false, false, 1]);
  host.conversations.resume();
  await spoken.receive("\r\n\r\n/2");
  await silent.receive("\r\n\r\n/3");
  // And now time runs again.
  await until(() => spoken.ended && silent.ended, "the end of idle connections");
  using half = await host.wire();
  await half.send("GET /ha");
  await half.receive("408 Request Timeout");
});

Deno.test("Conversations keeps a connection open that server.timeout would end", async () => {
  await using host = await Host.start();
  host.server.timeout = 100;
  using wire = await host.wire();
  await wire.ask("/1");
  host.conversations.pause();
  await pause(1300);
  assertEquals(wire.ended, false);
  host.conversations.resume();
  await wire.ask("/2");
});

Deno.test("Conversations.adopt gives an idle connection no answer it has not asked for", async () => {
  const times = { keepAliveTimeout: 60, headersTimeout: 100, connectionsCheckingInterval: 20 };
  await using old = await Host.start();
  await using young = await Host.start(null, times);
  using idle = await old.wire();
  using busy = await old.wire();
  for (const fd of old.conversations.takeDescriptors()) young.conversations.adopt(fd);
  old.server.closeAllConnections();
  // A request that takes longer than an idle connection may live.
  await busy.send(get("/slow?wait=1500"));
  await until(() => idle.ended, "the end of the idle one");
  assertEquals([idle.text, idle.failed], ["", false]);
  await busy.receive("\r\n\r\n/slow");
});

Deno.test("Conversations cannot be confused by sockets that end under it", async () => {
  await using host = await Host.start((_req, res) => void res.socket?.destroy());
  using wire = await host.wire();
  await wire.send(get("/"));
  await until(() => wire.ended, "the end");
  host.conversations.pause();
  await settled(host.conversations);
  assertEquals([host.conversations.owing, carriable(host)], [0, 0]);
});

Deno.test("Conversations holds unix sockets too", async () => {
  const path = `${Deno.makeTempDirSync()}/s`;
  const server = createServer((req, res) => void res.end(req.url));
  const conversations = new Conversations(server);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  using wire = await Wire.toPath(path);
  await wire.ask("/1");
  conversations.pause();
  await wire.send(get("/2"));
  const fd = takeOne(conversations);
  server.closeAllConnections();
  conversations.resume();
  conversations.adopt(fd);
  await wire.receive("\r\n\r\n/2");
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  Deno.removeSync(path.slice(0, -2), { recursive: true });
});
