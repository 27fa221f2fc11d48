import { assert, assertEquals, assertThrows } from "@std/assert";
import { createServer } from "node:http";

import { getCloexec } from "../../sys/fd.ts";
import { openFile } from "../../sys/file.ts";
import { Conversations } from "./conversations.ts";
import {
  carriable,
  disposeAll,
  get,
  Host,
  isSettled,
  pause,
  settled,
  takeOne,
  until,
  Wire,
} from "./wire_test.ts";

Deno.test("Conversations.closeOwing ends what owes and nothing else", async () => {
  await using host = await Host.start();
  using idle = await host.wire();
  await idle.ask("/idle");
  using busy = await host.wire();
  await busy.send(get("/busy?wait=60000"));
  using half = await host.wire();
  await half.send("POST /half HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc");
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
  assertEquals(new Set(fds.map(({ fd }) => fd.fd)).size, 5);
  assert(fds.every(({ fd }) => getCloexec(fd.fd) && fd.fd > 2));
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
  for (const { fd, about } of old.conversations.takeDescriptors()) young.conversations.adopt(fd, about);
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
