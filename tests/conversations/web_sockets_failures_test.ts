import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  clientFrame,
  closePayload,
  joined,
  OPCODE,
  RawWebSocket,
} from "../../live/streams/web_socket_kit_test.ts";
import { descriptors, freePort, startApp, type TestApp, waitFor } from "../../testing/mod.ts";
import { builds, LIBRARY, onlyForReal, READY_IN_CHECK, untilQuiescing } from "../update/_fixtures.ts";
import { CountingClient, webSocketsApp, WS } from "./_web_sockets_app.ts";

const { text, close, ping, continuation } = OPCODE;

/** What the application has said about a client. */
function said(app: TestApp, name: string): string[] {
  return app.output().stdout.split("\n").filter((line) => line.startsWith(`${name} `));
}

async function untilSaid(app: TestApp, line: string): Promise<void> {
  await waitFor(() => app.output().stdout.split("\n").includes(line), { what: line, timeoutMs: 30_000 });
}

Deno.test("closing handshakes that were begun before an update are finished after it", async () => {
  await using all = builds();
  const entry = await all.write("app", webSocketsApp());
  const port = freePort();
  await using app = await startApp({ entry, args: [String(port)] });
  const open = async (name: string): Promise<RawWebSocket> => {
    const client = await RawWebSocket.open(port, `/ws?${name}`);
    await client.send(clientFrame(text, "hello"));
    assertEquals(await client.message(), "v1 hello");
    return client;
  };
  using asked = await open("asked");
  await asked.send(clientFrame(text, "close 4001 enough"));
  assertEquals(await asked.closing(), [4001, "enough"]);

  using cut = await open("cut");
  const bye = clientFrame(close, closePayload(4002, "bye"));
  await cut.send(clientFrame(text, "mark"), bye.subarray(0, 7));
  assertEquals(await cut.message(), "v1 mark");

  using slow = await open("slow");
  await slow.send(clientFrame(text, "flood 30 300000"), bye);
  await waitFor(() => said(app, "slow").some((line) => line.includes("waits")), { what: "the flood" });

  using lazy = await open("lazy");
  await lazy.send(bye);
  assertEquals(await lazy.closing(), [4002, "bye"]);
  assertEquals(await lazy.next(), null);

  for (let round = 0; round < 2; round++) assertEquals((await app.upgrade()).outcome, "committed");

  await asked.send(clientFrame(close, closePayload(4001, "well")));
  assertEquals(await asked.next(), null, "no second close frame");
  await cut.send(bye.subarray(7));
  assertEquals([await cut.closing(), await cut.next()], [[4002, "bye"], null]);
  for (let at = 0; at < 30; at++) assertEquals(await slow.message(), `${at} `.padEnd(300_000, "."));
  assertEquals([await slow.closing(), await slow.next()], [[4002, "bye"], null]);
  for (const client of [asked, cut, slow, lazy]) client[Symbol.dispose]();
  const endings = [
    "asked closed 4001 well",
    "cut closed 4002 bye",
    "slow closed 4002 bye",
    "lazy closed 4002 bye",
  ];
  for (const line of endings) await untilSaid(app, line);
  const count = app.output().stdout.split("\n").filter((line) => line.includes("closed")).length;
  assertEquals(count, endings.length, "each was closed once");
  assertEquals(said(app, "lazy").slice(1), ["lazy resumed 2", "lazy resumed 2", "lazy closed 4002 bye"]);
});

Deno.test("a peer that vanishes during an update, and one that sends garbage", async () => {
  await using all = builds();
  const entry = await all.write("app", webSocketsApp());
  const port = freePort();
  await using app = await startApp({ entry, args: [String(port)] });
  using vanishing = await RawWebSocket.open(port, "/ws?vanishing");
  using rude = await RawWebSocket.open(port, "/ws?rude");
  using early = await RawWebSocket.open(port, "/ws?early");
  using well = await CountingClient.open(port, "well");
  well.start();
  await well.hears();
  await vanishing.send(clientFrame(text, "half", false));
  await early.send(Uint8Array.of(0x83, 0x80, 1, 2, 3, 4));
  assertEquals((await early.closing())[0], 1002);
  const update = app.upgrade();
  await untilQuiescing(app);
  vanishing[Symbol.dispose]();
  await rude.send(joined("this is no frame"));
  assertEquals((await update).outcome, "committed");
  assertEquals((await rude.closing())[0], 1002);
  assertEquals([await rude.next(), await early.next()], [null, null]);
  rude[Symbol.dispose]();
  early[Symbol.dispose]();
  for (const name of ["vanishing", "rude", "early"]) await untilSaid(app, `${name} closed 1006 `);
  assertEquals(said(app, "early").filter((line) => line.includes("error")).length, 1);
  assertMatch(said(app, "rude").join(), /rude error Invalid WebSocket frame/);
  assert(await well.stop() > 0);
  using other = await RawWebSocket.open(port, "/ws?other");
  await other.send(clientFrame(text, "who"));
  assertEquals(JSON.parse(await other.message()).size, 2);
});

Deno.test("a peer that floods while nobody reads is answered in full; one that only finishes is gone", async () => {
  await using all = builds();
  const entry = await all.write("app", webSocketsApp());
  const port = freePort();
  await using app = await startApp({ entry, args: [String(port)] });
  using floods = await RawWebSocket.open(port, "/ws?floods");
  using before = await RawWebSocket.open(port, "/ws?before");
  using during = await RawWebSocket.open(port, "/ws?during");
  // Of pings `ws` takes 60 at once, and no more: messages are what it takes any number of.
  const numbers = Array.from({ length: 2000 }, (_, index) => index);
  const flood = joined(...numbers.map((number) => clientFrame(text, `message ${number}`)));
  await before.finish();
  await untilSaid(app, "before closed 1006 ");
  const update = app.upgrade();
  await untilQuiescing(app);
  await floods.send(flood);
  await during.finish();
  assertEquals((await update).outcome, "committed");
  for (const number of numbers) assertEquals(await floods.message(), `v1 message ${number}`);
  await untilSaid(app, "during closed 1006 ");
  for (const peer of [before, during]) while (await peer.next() !== null);
  await floods.send(clientFrame(text, "who"));
  assertEquals(JSON.parse(await floods.message()).size, 1);
});

Deno.test("a build that fails leaves the old one with its peers as they are", async (t) => {
  await using all = builds();
  const first = await all.write("first", webSocketsApp());
  const port = freePort();
  await using app = await startApp({ entry: first, args: [String(port)] });
  using talking = await CountingClient.open(port, "talking");
  using half = await RawWebSocket.open(port, "/ws?half");
  using slow = await RawWebSocket.open(port, "/ws?slow");
  using closing = await RawWebSocket.open(port, "/ws?closing");
  talking.start();
  await talking.hears();
  await slow.send(clientFrame(text, "flood 30 300000"));
  await waitFor(() => said(app, "slow").some((line) => line.includes("waits")), { what: "the flood" });
  await closing.send(clientFrame(text, "close 4003"));
  assertEquals((await closing.closing())[0], 4003);
  const tail = clientFrame(continuation, "bc");
  await half.send(clientFrame(text, "a", false), clientFrame(ping), tail.subarray(0, 7));
  assertEquals((await half.next())?.opcode, OPCODE.pong);
  const before = descriptors(app.pid).length;
  const failures = {
    "it throws when it opens a peer": { opening: onlyForReal('throw new Error("no peers");') },
    "it says something, and throws before ready()": {
      opening: 'socket.send("nobody hears this"); socket.close(4000);',
      ready: `${READY_IN_CHECK}throw new Error("not ready");`,
    },
    "it ends the peers, and itself": {
      opening: onlyForReal("setTimeout(() => socket.terminate());"),
      ready: `${READY_IN_CHECK}await new Promise((resolve) => setTimeout(resolve, 50)); Deno.exit(3);`,
    },
  };
  for (const [name, parts] of Object.entries(failures)) {
    await t.step(name, async () => {
      const build = await all.write(name.replaceAll(/\W+/g, "-"), webSocketsApp({ label: "bad", ...parts }));
      const record = await app.upgrade({ build });
      assertEquals(record.outcome, "rolled-back", `${record.reason}`);
      await talking.hears();
    });
  }
  await half.send(tail.subarray(7));
  for (let at = 0; at < 30; at++) assertEquals(await slow.message(), `${at} `.padEnd(300_000, "."));
  await closing.send(clientFrame(close, closePayload(4003)));
  assertEquals(await closing.next(), null);
  closing[Symbol.dispose]();
  await untilSaid(app, "closing closed 4003 ");
  assertEquals(await half.message(), "v1 abc");
  const record = await app.upgrade({ build: first });
  assertEquals(record.outcome, "committed");
  assert(await talking.stop() > 0);
  await slow.send(clientFrame(text, "who"));
  assertEquals(JSON.parse(await slow.message()).size, 3);
  const after = descriptors(app.pid).length;
  assert(after <= before, `${before} descriptors before, ${after} after`);
});

Deno.test("an update that is refused changes nothing, and says which peer was in its way", async () => {
  await using all = builds();
  const opening = `socket.on("message", (data) => {
    if (data == "spoil") state.bad = () => {};
    if (data == "mend") delete state.bad;
  });`;
  const entry = await all.write("app", webSocketsApp({ opening }));
  const port = freePort();
  await using app = await startApp({ entry, args: [String(port)] });
  using talking = await CountingClient.open(port, "talking");
  using bad = await RawWebSocket.open(port, "/ws?bad");
  talking.start();
  await talking.hears();
  await bad.send(clientFrame(text, "spoil"));
  assertEquals(await bad.message(), "v1 spoil");
  for (let round = 0; round < 2; round++) {
    const record = await app.upgrade();
    assertEquals(record.outcome, "refused");
    assertMatch(record.reason ?? "", /Cannot save the state of a connection of "chat" \(127\.0\.0\.1:\d+\)/);
    await talking.hears();
  }
  await bad.send(clientFrame(text, "mend"));
  assertEquals(await bad.message(), "v1 mend");
  assertEquals((await app.upgrade()).outcome, "committed");
  assert(await talking.stop() > 0);
});

Deno.test("a build reads states of an older version, and one that does not is found by its check", async () => {
  await using all = builds();
  const options = `version: 2, load: (value, version) => {
    if (version === 2) return value;
    return { ...value, name: "new " + value.name, heard: value.heard + 100 };
  },`;
  const first = await all.write("first", webSocketsApp());
  const second = await all.write("second", webSocketsApp({ label: "v2", options }));
  const port = freePort();
  await using app = await startApp({ entry: first, args: [String(port)] });
  using client = await RawWebSocket.open(port, "/ws?ann");
  await client.send(clientFrame(text, "n 1"));
  assertEquals(await client.message(), "n 1");
  assertEquals((await app.check({ build: second })).ok, true);
  assertEquals((await app.upgrade({ build: second })).outcome, "committed");
  await client.send(clientFrame(text, "n 102"), clientFrame(text, "who"));
  assertEquals(await client.message(), "n 102");
  const { name, heard, label } = JSON.parse(await client.message());
  assertEquals([name, heard, label], ["new ann", 102, "v2"]);
  // The way back does not read version 2.
  const report = await app.check({ build: first });
  assertEquals(report.ok, false);
  const record = await app.upgrade({ build: first });
  assertEquals(record.outcome, "refused");
  assertMatch(record.reason ?? "", /it has version 2, this build reads 1 to 1/);
  await client.send(clientFrame(text, "n 103"));
  assertEquals(await client.message(), "n 103");
});

Deno.test("WebSockets of a server of node:http, and a request that is none", async () => {
  await using all = builds();
  const entry = await all.write(
    "app",
    `import { createServer } from "node:http";
import * as ws from "${WS}";
import { open } from "${LIBRARY}";
const live = await open();
const talk = await live.webSockets("talk", ws, {
  open: ({ socket, state }) => socket.on("message", (data) => socket.send(live.generation + state + data)),
});
const server = createServer((req, res) => res.end("plain"));
server.on("upgrade", (req, socket, head) => talk.accept(req, socket, head, req.url, { headers: { "x-by": "us" } }));
await live.server("web", server, { hostname: "127.0.0.1", port: Number(Deno.args[0]) });
await live.ready();
`,
  );
  const port = freePort();
  await using app = await startApp({ entry, args: [String(port)] });
  using client = await RawWebSocket.open(port, "/x", ["sec-websocket-protocol: talk"]);
  assertMatch(client.head, /^x-by: us\r?$/im);
  for (let round = 0; round < 3; round++) {
    await client.send(clientFrame(text, "?"));
    assertEquals(await client.message(), `${round}/x?`);
    assertEquals((await app.upgrade()).outcome, "committed");
  }
  using bad = await RawWebSocket.open(port, "/x", ["sec-websocket-version: 99"]);
  assertMatch(bad.head, /^HTTP\/1\.1 400 /);
});
