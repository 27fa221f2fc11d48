import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import type { ServerResponse } from "node:http";

import { LeavingHost } from "./leaving_kit_test.ts";
import type { ConnectionPolicy } from "./policy.ts";
import { disposeAll, get, isSettled, pause, settled, until, Wire } from "./wire_test.ts";

Deno.test("an idle connection that is to be closed ends in order, after a short while", async () => {
  await using host = await LeavingHost.http("close");
  using idle = await host.wire();
  await idle.ask("/one");
  using silent = await host.wire();
  const parted = host.part();
  await pause(30);
  assertEquals([idle.ended, silent.ended], [false, false], "a request may be under way");
  await parted;
  await until(() => idle.ended && silent.ended, "both ends");
  assertEquals([idle.failed, silent.failed, host.ended, host.connections.size], [false, false, 2, 0]);
  host.connections.pause();
  await settled(host.connections);
});

Deno.test("a request in time is answered as the last one", async () => {
  await using host = await LeavingHost.http("close");
  using wire = await host.wire();
  await wire.ask("/one");
  const parted = host.part();
  await wire.send(get("/two"));
  assertStringIncludes(await wire.receive("/two"), "\r\nConnection: close\r\n");
  await until(() => wire.ended, "the end");
  await parted;
  assertEquals([wire.failed, host.ended], [false, 1]);
});

Deno.test("what is owed is answered: under way, half asked, in a queue", async () => {
  const waiting: ServerResponse[] = [];
  await using host = await LeavingHost.http("close", (_req, res) => void waiting.push(res));
  using busy = await host.wire();
  await busy.send(get("/busy"));
  using half = await host.wire();
  await half.send("GET /half HTTP/1.1\r\nHo");
  using queue = await host.wire();
  await queue.send(get("/1") + get("/2") + get("/3"));
  await until(() => waiting.length === 4 && host.sockets[1]!.bytesRead > 0, "all requests");

  const parted = host.part();
  await pause(400);
  assertEquals([busy.ended, half.ended, queue.ended, await isSettled(parted)], [false, false, false, false]);
  await half.send("st: x\r\n\r\n");
  await until(() => waiting.length === 5, "the rest of a head");
  for (const res of waiting) res.end(res.req.url);
  await until(() => busy.ended && half.ended && queue.ended, "all ends");
  await parted;
  assertEquals([busy, half, queue].map(({ failed }) => failed), [false, false, false]);
  for (const [wire, path] of [[busy, "/busy"], [half, "/half"]] as const) {
    assertStringIncludes(wire.text, "\r\nConnection: close\r\n");
    assert(wire.text.endsWith(`\r\n\r\n${path}`), wire.text);
  }
  assertEquals(queue.text.split("HTTP/1.1 200").length, 4, queue.text);
  assertEquals(queue.text.split("Connection: close").length, 2, "only the last one says so");
  assert(queue.text.endsWith("\r\n\r\n/3"));
  assertEquals(host.ended, 3);
});

Deno.test("an answer whose head is out already is finished, and the end follows", async () => {
  let answer: ServerResponse | undefined;
  await using host = await LeavingHost.http("close", (_req, res) => {
    res.write("begun");
    answer = res;
  });
  using wire = await host.wire();
  await wire.send(get("/"));
  await wire.receive("begun");
  const parted = host.part();
  await pause(400);
  assertEquals(wire.ended, false);
  answer?.end(" and done");
  await wire.receive("0\r\n\r\n");
  await until(() => wire.ended, "the end");
  await parted;
  assertEquals([wire.failed, host.ended], [false, 1]);
});

Deno.test("who sends something in the very moment of the end gets no reset, and is not heard", async () => {
  await using host = await LeavingHost.http("close");
  using wire = await host.wire();
  await wire.ask("/one");
  const parted = host.part();
  await until(() => wire.ended, "the end");
  await wire.send(get("/too/late"));
  await pause(20);
  await wire.send(get("/later/still"));
  await parted;
  assertEquals([wire.failed, wire.text, host.asked], [false, "", ["/one"]]);
});

Deno.test("an upgraded connection is ended, whatever is spoken on it", async () => {
  await using host = await LeavingHost.http("close");
  host.server.on("upgrade", (_req, socket) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    socket.on("data", (data) => socket.write(data));
  });
  using wire = await host.wire();
  await wire.send(get("/", "Connection: upgrade", "Upgrade: x"));
  await wire.receive("\r\n\r\n");
  // It never falls silent.
  const timer = setInterval(() => void wire.send("chat").catch(() => {}), 5);
  await host.part();
  clearInterval(timer);
  await until(() => wire.ended, "the end");
  assertEquals(host.ended, 1);
});

Deno.test("those who come while the others leave cross unheard", async () => {
  await using host = await LeavingHost.http("close");
  using idle = await host.wire();
  await idle.ask("/one");
  const parted = host.part();
  using late = await Wire.to(host.port);
  await late.send(get("/late"));
  await parted;
  host.connections.pause();
  await settled(host.connections);
  const taken = host.connections.takeDescriptors();
  disposeAll(taken);
  assertEquals([taken.length, host.connections.size, host.asked], [1, 1, ["/one"]]);
  host.connections.resume();
  await late.receive("\r\n\r\n/late");
});

Deno.test("who was not told yet stays when the update is refused", async () => {
  let answer: ServerResponse | undefined;
  await using host = await LeavingHost.http("close", (_req, res) => void (answer = res));
  using busy = await host.wire();
  await busy.send(get("/busy"));
  using idle = await host.wire();
  await until(() => answer !== undefined, "the request");
  const parted = host.part();
  await pause(20);
  host.connections.resume();
  await parted;
  assertEquals(host.uncarried.isParting, false);
  answer?.end("/busy");
  assertStringIncludes(await busy.receive("/busy"), "\r\nConnection: keep-alive\r\n");
  for (const wire of [busy, idle]) {
    await wire.send(get("/again"));
    await until(() => answer?.req.url === "/again" && !answer.headersSent, "the next request");
    answer?.end("again");
    await wire.receive("again");
  }
  assertEquals([busy.ended, idle.ended, host.ended], [false, false, 0]);
});

Deno.test("who owes until the deadline is left to the caller", async () => {
  await using host = await LeavingHost.http("close", () => {});
  using wire = await host.wire();
  await wire.send(get("/never"));
  await until(() => host.asked.length === 1, "the request");
  await host.part(300);
  host.connections.pause();
  assertEquals([host.connections.owing, host.connections.takeDescriptors().length], [1, 0]);
  assertEquals(host.connections.closeOwing(), 1);
  await until(() => wire.ended, "the end");
  await settled(host.connections);
});

Deno.test("a connection that is drained first does not cross in the middle of a head", async () => {
  for (const [policy, crosses] of [["carry", 1], ["drain", 0]] as [ConnectionPolicy, number][]) {
    await using host = await LeavingHost.http(() => policy);
    using wire = await host.wire();
    await wire.send("GET /half HTTP/1.1\r\nHo");
    await until(() => host.sockets[0]!.bytesRead > 0, "the beginning");
    await pause(20);
    await host.part();
    host.connections.pause();
    const taken = host.connections.takeDescriptors();
    disposeAll(taken);
    assertEquals([host.connections.owing, taken.length], [1 - crosses, crosses], policy);
    if (policy === "carry") continue;
    await wire.send("st: x\r\n\r\n");
    await wire.receive("\r\n\r\n/half");
    await settled(host.connections);
    const after = host.connections.takeDescriptors();
    disposeAll(after);
    assertEquals([after.length, after[0]?.about], [1, null]);
  }
});

Deno.test("a function says it for each connection, and what it has said counts for this update", async () => {
  const said = new Map<number | undefined, ConnectionPolicy>();
  await using host = await LeavingHost.http((socket) => said.get(socket.remotePort) ?? "carry");
  const wires = [await host.wire(), await host.wire(), await host.wire()];
  for (const [at, wire] of wires.entries()) await wire.ask(`/${at}`);
  const [first, second] = host.sockets.map(({ remotePort }) => remotePort);
  said.set(first, "refuse");
  assertEquals(host.uncarried.refusing(), 1);
  said.set(first, "close").set(second, "close");
  assertEquals(host.uncarried.refusing(), 0);
  host.uncarried.begin();
  assertEquals(host.uncarried.refusing(), 0);
  said.set(second, "refuse");
  assertEquals(host.uncarried.refusing(), 0, "it was asked already");
  await host.part();
  await until(() => wires[0]!.ended && wires[1]!.ended, "both ends");
  host.connections.pause();
  await settled(host.connections);
  const taken = host.connections.takeDescriptors();
  disposeAll(taken);
  assertEquals([taken.length, host.ended, wires[2]!.ended], [1, 2, false]);
  host.connections.resume();
  await wires[2]!.ask("/still");
  wires.forEach((wire) => wire[Symbol.dispose]());
});

Deno.test("a function that throws or gives no policy refuses the update, and closes nobody", async () => {
  const odd = [() => {
    throw new RangeError("no idea");
  }, () => "perhaps" as ConnectionPolicy];
  for (const choice of odd) {
    await using host = await LeavingHost.http(choice);
    using wire = await host.wire();
    assertThrows(
      () => host.uncarried.refusing(),
      Error,
      choice === odd[0] ? "no idea" : '"perhaps" is none of',
    );
    host.uncarried.begin();
    assertThrows(() => host.uncarried.refusing(), Error);
    host.connections.resume();
    await wire.ask("/still");
    assertEquals(wire.ended, false);
  }
});

Deno.test("Uncarried.refusing counts what is open, and nothing that is gone", async () => {
  await using host = await LeavingHost.http("refuse");
  assertEquals(host.uncarried.refusing(), 0);
  using wire = await host.wire();
  {
    using other = await host.wire();
    await other.ask("/x");
    assertEquals(host.uncarried.refusing(), 2);
  }
  await until(() => host.uncarried.refusing() === 1, "one to be gone");
  await wire.ask("/still");
});

Deno.test("a raw connection ends when it is silent, with all that was written, and writing later is no failure", async () => {
  await using host = await LeavingHost.raw("close", (socket) => {
    socket.on("data", (data) => void setTimeout(() => socket.write(data), 50));
    const timer = setInterval(() => socket.write("."), 600);
    socket.on("close", () => clearInterval(timer));
  });
  using wire = await host.wire();
  await wire.send("asked");
  const parted = host.part();
  await wire.receive("asked");
  await parted;
  await until(() => wire.ended, "the end");
  assertEquals([wire.failed, host.ended], [false, 1]);
});

Deno.test("a raw connection that never falls silent is ended after a while, one with unread bytes is not", async () => {
  await using host = await LeavingHost.raw("close", (socket) => {
    socket.on("error", () => {});
    if (host.sockets.length === 2) return void socket.on("readable", () => {});
    const timer = setInterval(() => socket.write("."), 2);
    socket.on("close", () => clearInterval(timer));
  });
  using loud = await host.wire();
  using unread = await host.wire();
  await unread.send("nobody takes this");
  await until(() => (host.sockets[1]?.readableLength ?? 0) > 0, "bytes in user space");
  await host.part(2500);
  await until(() => loud.ended, "the end");
  assertEquals([loud.failed, unread.ended, host.ended, host.connections.owing], [false, false, 1, 1]);
});
