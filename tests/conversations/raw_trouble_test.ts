import { assertEquals, assertMatch } from "@std/assert";

import { joinBytes } from "../../live/streams/bytes.ts";
import { firstWrong, type Peer } from "../../live/streams/helpers_test.ts";
import { assertNothingLost, snapshot, waitFor } from "../../testing/mod.ts";
import { untilQuiescing } from "../update/_fixtures.ts";
import { ask, PATIENCE_MS, readText, reset, startScene } from "./_raw_kit.ts";

const decoder = new TextDecoder();

Deno.test("whatever clients do while nothing is read or accepted, the others do not notice", async () => {
  await using scene = await startScene();
  const before = await snapshot(scene.app);
  const open = async (count: number): Promise<Peer[]> => {
    const peers = Array.from({ length: count }, () => scene.connect("lines"));
    for (const peer of peers) await ask(peer, "hello", "v1 1");
    return peers;
  };
  using kept = new DisposableStack();
  const rounds = [await open(5), await open(5)];
  using corked = scene.connect("corked");
  corked.write("x");
  await waitFor(() => scene.app.output().stdout.includes("corked"), { what: "the cork" });

  const update = scene.app.upgrade({ build: await scene.write("v2", { gate: "ready" }) });
  const phases: [string, () => Promise<unknown>][] = [
    // A stream that is corked keeps the update in its pause.
    ["gate", () => untilQuiescing(scene.app)],
    ["ready", () => waitFor(() => scene.app.output().stdout.includes("in probation"), { what: "probation" })],
  ];
  const answers: (() => Promise<void>)[] = [];
  for (const [round, [gate, begun]] of phases.entries()) {
    await begun();
    const [leaving, resetting, finishing, garbage, asking] = rounds[round] as [Peer, Peer, Peer, Peer, Peer];
    leaving[Symbol.dispose]();
    reset(resetting);
    resetting[Symbol.dispose]();
    finishing.finish();
    garbage.write(crypto.getRandomValues(new Uint8Array(60_000)).map((byte) => byte === 10 ? 11 : byte));
    asking.write("still there?\n");
    const fresh = scene.connect("lines");
    fresh.write("anybody?\n");
    for (const peer of [finishing, garbage, asking, fresh]) kept.use(peer);
    answers.push(async () => {
      await readText(asking, "v2 2 still there?\n");
      await readText(fresh, "v2 1 anybody?\n");
      assertEquals((await finishing.readAll()).byteLength, 0, "who has finished is let go");
      garbage.write("\n");
      const answer = await garbage.readBytes("v2 2 ".length);
      assertEquals(decoder.decode(answer), "v2 2 ");
    });
    scene.open(gate);
  }
  const record = await update;
  assertEquals([record.outcome, record.reason], ["committed", null], scene.app.output().stderr);
  for (const answer of answers) await answer();
  await readText(corked, "x");
  await waitFor(() => scene.reports().length === 2, { what: "the report" });

  // Those that left are gone: what is carried now are two times garbage, a question, a newcomer; and the corked one.
  await scene.commits("v3");
  assertEquals(scene.reports().at(-1)?.resumed, { corked: 1, lines: 6 });
  kept.dispose();
  corked[Symbol.dispose]();
  await scene.commits("v4");
  assertEquals(scene.reports().at(-1)?.resumed, {});
  assertNothingLost(before, await snapshot(scene.app), { updates: 3 });
});

Deno.test("a build that fails leaves no trace on any connection", async () => {
  await using scene = await startScene();
  using lines = scene.connect("lines");
  await ask(lines, "one", "v1 1");
  lines.write("tw");
  using slow = scene.connect("source", 4096);
  slow.write("3000000\n");
  const first = await slow.readBytes(100_000);
  using echo = scene.connect("echo");
  echo.write("before");
  await readText(echo, "before");
  for (const fails of ["open", "ready"] as const) {
    echo.write(fails);
    const record = await scene.app.upgrade({ build: await scene.write(`fails in ${fails}`, { fails }) });
    assertEquals(record.outcome, "rolled-back", `${record.reason}`);
    await readText(echo, fails);
  }
  lines.write("o\n");
  await readText(lines, "v1 2 two\n");
  await scene.commits("v2");
  await ask(lines, "three", "v2 3");
  const all = joinBytes([first, await slow.readAll()]);
  assertEquals([all.byteLength, firstWrong(all)], [3_000_000, -1]);
});

Deno.test("a state that cannot be saved or read refuses the update, and the connection goes on", async () => {
  await using scene = await startScene();
  using lines = scene.connect("lines");
  await ask(lines, "one", "v1 1");
  lines.write("tw");
  const unread = await scene.app.upgrade({ build: await scene.write("v2", { version: 2, reads: [2, 2] }) });
  assertEquals(unread.outcome, "refused", `${unread.reason}`);
  assertMatch(unread.reason ?? "", /"lines".*has version 1, this build reads 2 to 2/);
  lines.write("o\n");
  await readText(lines, "v1 2 two\n");

  await scene.commits("v3", { version: 2, unsavable: true });
  await ask(lines, "three", "v3 3");
  const unsaved = await scene.app.upgrade({ build: await scene.write("v4", { version: 2 }) });
  assertEquals(unsaved.outcome, "refused", `${unsaved.reason}`);
  assertMatch(unsaved.reason ?? "", /Cannot save the state of a connection of "lines" \(127\.0\.0\.1:\d+\)/);
  await ask(lines, "four", "v3 4");
  assertEquals((await scene.app.history()).map(({ outcome }) => outcome), [
    "refused",
    "committed",
    "refused",
  ]);
});

Deno.test("where descriptors are short, an update is refused, and happens when there are enough", async () => {
  await using scene = await startScene({}, { prefix: ["prlimit", "--nofile=220"] });
  const peers = Array.from({ length: 60 }, () => scene.connect("echo"));
  const allAnswer = async (count: number): Promise<void> => {
    for (const peer of peers.slice(0, count)) {
      peer.write("hello");
      await readText(peer, "hello");
    }
  };
  await allAnswer(60);
  const build = await scene.write("v2");
  const refused = await scene.app.upgrade({ build });
  assertEquals(refused.outcome, "refused");
  assertMatch(refused.reason ?? "", /\d+ descriptors are needed, the limit \(RLIMIT_NOFILE\) is 220/);
  await allAnswer(60);
  for (const peer of peers.slice(10)) peer[Symbol.dispose]();
  await waitFor(async () => (await scene.app.upgrade({ build })).outcome === "committed", {
    what: "the update, now that there are enough",
    timeoutMs: PATIENCE_MS,
  });
  await allAnswer(10);
  for (const peer of peers.slice(0, 10)) peer[Symbol.dispose]();
});
