import { assert, assertEquals } from "@std/assert";
import { clientFrame, joined, OPCODE, RawWebSocket } from "../../live/streams/web_socket_kit_test.ts";
import { descriptors, freePort, startApp, waitFor } from "../../testing/mod.ts";
import { builds, Client, untilQuiescing } from "../update/_fixtures.ts";
import { CountingClient, webSocketsApp } from "./_web_sockets_app.ts";

const { text, continuation, ping, pong } = OPCODE;
const decoder = new TextDecoder();

Deno.test("messages in both directions, through ten updates: each once, and in order", async () => {
  await using all = builds();
  const entries = [
    await all.write("first", webSocketsApp()),
    await all.write("second", webSocketsApp({ label: "v2" })),
  ];
  const port = freePort();
  await using app = await startApp({ entry: entries[0]!, args: [String(port)] });
  using clients = new DisposableStack();
  const peers: CountingClient[] = [];
  for (let at = 0; at < 6; at++) peers.push(clients.use(await CountingClient.open(port, `peer${at}`)));
  using http = await Client.open(port);
  assertEquals(await http.text("/"), "v1");
  for (const peer of peers) peer.start();
  for (const peer of peers) await peer.hears();
  const before = descriptors(app.pid).length;
  for (let round = 1; round <= 10; round++) {
    const record = await app.upgrade({ build: entries[round % 2]! });
    assertEquals([record.outcome, record.reason], ["committed", null], app.output().stderr);
    for (const peer of peers) await peer.hears();
  }
  for (const peer of peers) {
    const answered = await peer.stop();
    assert(answered > 100, `${answered} messages`);
    assert(peer.pushed > 100 && peer.returned === answered, `${peer.pushed} and ${peer.returned}`);
  }
  assertEquals(await http.text("/"), "v1", "the eleventh build is the first one");
  const after = descriptors(app.pid).length;
  assert(after <= before, `${before} descriptors before, ${after} after`);
  for (const peer of peers) await peer.close();
  await waitFor(() => app.output().stdout.split("closed 1000").length === peers.length + 1, {
    what: "all closed",
  });
});

Deno.test("a message in fragments, cut in a header and in a payload, with pings in between", async () => {
  await using all = builds();
  const entry = await all.write("app", webSocketsApp());
  const port = freePort();
  await using app = await startApp({ entry, args: [String(port)] });
  using client = await RawWebSocket.open(port, "/ws?fay");
  const parts = [
    clientFrame(text, "first ", false),
    clientFrame(ping, "one"),
    clientFrame(continuation, "x".repeat(70_000), false),
    clientFrame(ping, "two"),
    clientFrame(continuation, " last"),
  ];
  const whole = joined(...parts);
  // In the second byte of the long frame's header, in its payload, and in the header of the second ping.
  const header = parts[0]!.byteLength + parts[1]!.byteLength + 2;
  const cuts = [header, header + 20_000, whole.byteLength - parts[4]!.byteLength - 8, whole.byteLength];
  let sent = 0;
  for (const [round, cut] of cuts.entries()) {
    if (round > 0) assertEquals((await app.upgrade()).outcome, "committed");
    await client.send(whole.subarray(sent, cut));
    sent = cut;
    if (round === 0) assertEquals((await client.next())?.opcode, pong);
  }
  const second = await client.next();
  assertEquals([second?.opcode, decoder.decode(second?.payload)], [pong, "two"]);
  assertEquals(await client.message(), `v1 first ${"x".repeat(70_000)} last`);
  const pings = app.output().stdout.split("\n").filter((line) => line.includes("ping"));
  assertEquals(pings, ["fay ping one", "fay ping two"]);
});

Deno.test("a long message that comes slowly, and what comes while nobody reads", async () => {
  await using all = builds();
  const entry = await all.write("app", webSocketsApp());
  const port = freePort();
  await using app = await startApp({ entry, args: [String(port)] });
  using client = await RawWebSocket.open(port, "/ws?gus");
  const bytes = crypto.getRandomValues(new Uint8Array(65_536));
  const message = joined(...Array.from({ length: 16 }, () => bytes));
  const whole = clientFrame(OPCODE.binary, message);
  const half = whole.byteLength / 2;
  await client.send(whole.subarray(0, half));
  const update = app.upgrade();
  await untilQuiescing(app);
  await client.send(whole.subarray(half, half + 100_000));
  assertEquals((await update).outcome, "committed");
  assertEquals((await app.upgrade()).outcome, "committed");
  await client.send(whole.subarray(half + 100_000), clientFrame(text, "who"));
  const echo = await client.next();
  assertEquals(echo?.payload, message);
  assertEquals(JSON.parse(await client.message()).name, "gus");
});

Deno.test("a client that reads slowly gets all of it, in order", async () => {
  await using all = builds();
  const entry = await all.write("app", webSocketsApp());
  const port = freePort();
  await using app = await startApp({ entry, args: [String(port)] });
  using client = await RawWebSocket.open(port, "/ws?hal");
  await client.send(clientFrame(text, "flood 60 300000"));
  await waitFor(() => app.output().stdout.includes("hal waits"), { what: "the flood" });
  const waiting = Number(/hal waits (\d+)/.exec(app.output().stdout)?.[1]);
  assert(waiting > 8_000_000, `${waiting} bytes wait in user space`);
  for (let round = 0; round < 2; round++) {
    const record = await app.upgrade();
    assertEquals(record.outcome, "committed");
    assert((record.segment_bytes ?? 0) > 2_000_000, `a segment of ${record.segment_bytes} bytes`);
    for (let at = 0; at < 5; at++) {
      const wanted = `${round * 5 + at} `;
      assertEquals(await client.message(), wanted.padEnd(300_000, "."));
    }
  }
  for (let at = 10; at < 60; at++) assertEquals(await client.message(), `${at} `.padEnd(300_000, "."));
  await client.send(clientFrame(text, "done"));
  assertEquals(await client.message(), "v1 done");
});
