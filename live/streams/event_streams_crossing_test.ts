import { assert, assertEquals, assertThrows } from "@std/assert";

import { LuoError } from "../../luo/errors.ts";
import { EventStreams } from "./event_streams.ts";
import { decoder, GET, Host, readUntil, type State } from "./event_streams_kit_test.ts";
import { pattern, turn, waitFor } from "./helpers_test.ts";

Deno.test("streams cross with state, backlog and order, and an update that fails changes nothing", async () => {
  await using old = await Host.serving({ maxQueueBytes: 10_000_000 }).listen();
  using slow = old.connect(GET, 4096);
  using quick = old.connect(GET);
  await readUntil(quick, "\r\n\r\n");
  await waitFor(() => old.feed.size === 2, { what: "both streams" });
  const send = (host: Host, number: number): void => {
    for (const stream of host.feed) {
      stream.state.last = number;
      stream.send({ id: String(number), data: `${number} `.repeat(2000) });
    }
  };
  const expected = (from: number, to: number): string =>
    Array.from(
      { length: to - from },
      (_, index) => `id: ${from + index}\ndata: ${`${from + index} `.repeat(2000)}\n\n`,
    ).join("");
  for (let number = 1; number <= 600; number++) send(old, number);
  old.channel.connections.pause();
  send(old, 601);
  await old.channel.connections.settled();
  for (const { fd } of old.channel.connections.takeDescriptors()) fd[Symbol.dispose]();
  // The exec has failed.
  old.channel.connections.resume();
  send(old, 602);
  old.channel.connections.pause();
  send(old, 603);
  const gone = old.opened.map(({ stream }) => stream);
  await using young = Host.serving({ maxQueueBytes: 10_000_000 }, undefined, old);
  // What an exec does to the old image.
  for (const stream of gone) (stream as unknown as { destroy(): void }).destroy();
  assertEquals(young.opened.map(({ stream, resumed }) => [stream.state, resumed]), [[{ last: 603 }, true], [
    { last: 603 },
    true,
  ]]);
  assert(young.opened.some(({ stream }) => stream.queued > 0));
  send(young, 604);
  // Only what is in the kernel comes before the tap opens.
  let before = "";
  for (let quiet = 0; quiet < 5; quiet++) {
    const some = quick.readSome()!;
    before += decoder.decode(some);
    if (some.byteLength > 0) quiet = 0;
    await turn();
  }
  const kernel = young.opened.map(({ stream }) => stream.queued);
  young.channel.open();
  assertEquals(expected(1, 605).length - before.length, kernel[1]);
  send(young, 605);
  for (const stream of young.feed) stream.close();
  assertEquals(young.feed.size, 0);
  assertEquals(before + decoder.decode(await quick.readAll()), expected(1, 606));
  const text = decoder.decode(await slow.readAll());
  assertEquals(text.slice(text.indexOf("\r\n\r\n") + 4), expected(1, 606));
});

Deno.test("an end that waits behind what the client has not read goes on in the next build", async () => {
  await using old = await Host.serving({ maxQueueBytes: 10_000_000 }).listen();
  using slow = old.connect(GET, 4096);
  await waitFor(() => old.feed.size === 1, { what: "the stream" });
  const { stream } = old.opened[0]!;
  const bytes = pattern(0, 4_000_000).map((byte) => 48 + byte % 10);
  stream.send({ data: decoder.decode(bytes) });
  stream.close();
  assert(stream.queued > 0);
  old.channel.connections.pause();
  await using young = Host.serving({ maxQueueBytes: 10_000_000 }, undefined, old);
  (stream as unknown as { destroy(): void }).destroy();
  assertEquals([young.opened.length, young.feed.size, young.channel.connections.size], [0, 0, 1]);
  young.channel.open();
  const text = decoder.decode(await slow.readAll());
  assertEquals(text.slice(text.indexOf("data: ") + 6), `${decoder.decode(bytes)}\n\n`);
  slow[Symbol.dispose]();
  await waitFor(() => young.channel.connections.size === 0, { what: "the end" });
});

Deno.test("a stream that opens during a pause is held from its first event on", async () => {
  await using host = await Host.serving().listen();
  using peer = host.connect(GET);
  host.conversations.pause();
  host.channel.connections.pause();
  host.conversations.resume();
  await readUntil(peer, "\r\n\r\n");
  host.feed.broadcast({ data: "x" });
  for (let count = 0; count < 5; count++) await turn();
  assertEquals(peer.readSome(), new Uint8Array());
  host.channel.connections.resume();
  assertEquals(await readUntil(peer, "\n\n"), "data: x\n\n");
});

Deno.test("what cannot be loaded is found before anything is taken, and by the check", () => {
  const feed = new EventStreams<State>("feed", { version: 2, reads: [2, 2] });
  const about = { stage: "open", version: 1, state: new Uint8Array([0]) };
  assertEquals(assertThrows(() => feed.check(about), LuoError).code, "EOPNOTSUPP");
  feed.check({ stage: "closing", version: 1, state: null });
  for (
    const options of [{ version: 0 }, { maxQueueBytes: -1 }, { heartbeatMs: 0.5 }, { heartbeatMs: 2 ** 40 }]
  ) {
    assertEquals(assertThrows(() => new EventStreams("feed", options), LuoError).code, "EINVAL");
  }
  assertThrows(() => feed.respond(new Request("http://x/"), { last: 0 }), TypeError, "not the request");
});

Deno.test("a stream has one descriptor more than its connection, and none when it is over", async () => {
  const count = (): number => [...Deno.readDirSync("/proc/self/fd")].length;
  await using host = await Host.serving().listen();
  const before = count();
  const peers = Array.from({ length: 200 }, () => host.connect(GET));
  await waitFor(() => host.feed.size === 200, { what: "all streams" });
  assertEquals(count(), before + 600);
  for (const peer of peers) peer[Symbol.dispose]();
  await waitFor(() => count() === before && host.feed.size === 0, { what: "all to be closed" });
});

Deno.test("a request that was completed during a pause becomes a stream that hears when its client leaves", async () => {
  await using host = await Host.serving({}, (feed) => async (request) => {
    await request.text();
    return feed.respond(request, { last: 0 });
  }).listen();
  using peer = host.connect("POST /events HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\nfour");
  await waitFor(() => host.conversations.size === 1, { what: "the connection" });
  await waitFor(() => host.conversations.owing === 1, { what: "the request" });
  host.conversations.pause();
  host.channel.connections.pause();
  peer.write("more");
  await readUntil(peer, "\r\n\r\n");
  await waitFor(() => host.conversations.owing === 0, { what: "the server to give the connection up" });
  peer.finish();
  for (let count = 0; count < 5; count++) await turn();
  assertEquals(host.feed.size, 1, "nobody reads during the pause");
  host.conversations.resume();
  host.channel.connections.resume();
  await host.opened[0]!.stream.closed;
});

Deno.test("streams that were handed over become sockets a few at a time, or when there is something to send", async () => {
  await using old = await Host.serving().listen();
  const peers = Array.from({ length: 100 }, () => old.connect(GET));
  await waitFor(() => old.feed.size === 100, { what: "all streams" });
  for (const peer of peers) await readUntil(peer, "\r\n\r\n");
  old.channel.connections.pause();
  const gone = [...old.feed] as unknown as { destroy(): void }[];
  await using young = Host.serving({}, undefined, old);
  for (const stream of gone) stream.destroy();
  await turn();
  const count = (): number => [...Deno.readDirSync("/proc/self/fd")].length;
  const asleep = count();
  young.channel.open();
  assertEquals(count(), asleep);
  // A second update before all are awake.
  young.channel.connections.pause();
  await using third = Host.serving({}, undefined, young);
  third.channel.open();
  const [first] = third.opened;
  first!.stream.send({ data: "to one" });
  third.feed.broadcast({ data: "to all" });
  const texts = await Promise.all(peers.map((peer) => readUntil(peer, "to all\n\n")));
  assertEquals(texts.filter((text) => text === "data: to one\n\ndata: to all\n\n").length, 1);
  assertEquals(texts.filter((text) => text === "data: to all\n\n").length, 99);
  for (const peer of peers) peer[Symbol.dispose]();
  await waitFor(() => third.feed.size === 0, { what: "all to be forgotten" });
});
