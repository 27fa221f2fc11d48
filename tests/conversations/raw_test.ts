import { assert, assertEquals } from "@std/assert";

import { joinBytes } from "../../live/streams/bytes.ts";
import { firstWrong } from "../../live/streams/helpers_test.ts";
import { assertNothingLost, snapshot, waitFor } from "../../testing/mod.ts";
import { ask, fill, Nuisance, PATIENCE_MS, readText, startScene, Stream } from "./_raw_kit.ts";

Deno.test("twenty streams of random bytes go through ten updates, while others misbehave", async () => {
  await using scene = await startScene();
  const before = await snapshot(scene.app);
  const streams = await Promise.all(
    Array.from({ length: 20 }, () => Stream.open(scene.address("echo"))),
  );
  const nuisance = new Nuisance(scene);
  for (let update = 2; update <= 11; update++) {
    const counts = streams.map(({ receivedBytes }) => receivedBytes);
    await scene.commits(`v${update}`);
    await waitFor(() => streams.every(({ receivedBytes }, index) => receivedBytes > counts[index]!), {
      what: `all streams to go on after update ${update}`,
      timeoutMs: PATIENCE_MS,
    });
  }
  await nuisance.stop();
  assert(nuisance.count > 100, `${nuisance.count} bad clients`);
  await Promise.all(streams.map((stream) => stream.stop()));
  for (const stream of streams) {
    assertEquals(stream.receivedBytes, stream.sentBytes);
    const [sent, received] = stream.digests();
    assertEquals(received, sent);
    assert(stream.sentBytes > 100_000, `${stream.sentBytes} bytes`);
  }
  for (const { resumed } of scene.reports().slice(1)) assert(resumed["echo"]! >= 20, JSON.stringify(resumed));
  assertNothingLost(before, await snapshot(scene.app), { updates: 10 });
});

Deno.test("half a line, slow readers and half-closed clients cross updates as if there were none", async () => {
  await using scene = await startScene();
  using lines = scene.connect("lines");
  await ask(lines, "one", "v1 1");
  lines.write("tw");
  const size = 6_000_000;
  using slow = scene.connect("source", 4096);
  slow.write(`${size}\n`);
  using half = scene.connect("source", 4096);
  half.write(`${size}\n`);
  half.finish();
  // A request in two halves with updates between them.
  using late = scene.connect("source");
  late.write("2500");
  using finished = scene.connect("echo", 4096);
  const finishedSize = await fill(finished);
  finished.finish();

  const parts: Uint8Array[][] = [[], []];
  for (let update = 2; update <= 5; update++) {
    for (const [index, peer] of [slow, half].entries()) parts[index]!.push(await peer.readBytes(200_000));
    await scene.commits(`v${update}`);
  }
  assertEquals(scene.reports().at(-1)?.resumed, { echo: 1, lines: 1, source: 3 });
  lines.write("o\nthr");
  await readText(lines, "v5 2 two\n");
  await scene.commits("v6");
  lines.write("ee\n");
  await readText(lines, "v6 3 three\n");
  late.write("00\n");
  for (const [index, peer] of [slow, half].entries()) {
    const all = joinBytes([...parts[index]!, await peer.readAll()]);
    assertEquals([all.byteLength, firstWrong(all)], [size, -1], index === 0 ? "slow" : "half-closed");
  }
  for (const [peer, length] of [[late, 250_000], [finished, finishedSize]] as const) {
    const all = await peer.readAll();
    assertEquals([all.byteLength, firstWrong(all)], [length, -1]);
  }
  await scene.commits("v7");
  assertEquals(scene.reports().at(-1)?.resumed, { lines: 1, source: 2 }, "two have not finished themselves");
  slow.finish();
  late[Symbol.dispose]();
  await ask(lines, "four", "v7 4");
  await scene.commits("v8");
  assertEquals(scene.reports().at(-1)?.resumed, { lines: 1 }, "who has finished is not carried");
});

Deno.test("unix sockets with a path and with an abstract name are carried with what waits both ways", async () => {
  await using scene = await startScene();
  const names = ["path", "abstract", "echo"];
  const peers = names.map((name) => scene.connect(name));
  const sizes: number[] = [];
  for (const peer of peers) sizes.push(await fill(peer));
  for (let update = 2; update <= 4; update++) await scene.commits(`v${update}`);
  for (const [index, peer] of peers.entries()) {
    using _peer = peer;
    const name = names[index]!;
    assert(sizes[index]! > 100_000, `${name}: ${sizes[index]} bytes`);
    const all = await peer.readBytes(sizes[index]!);
    assertEquals([all.byteLength, firstWrong(all)], [sizes[index]!, -1], name);
    peer.write("and on");
    await readText(peer, "and on");
  }
});
