import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ControlCallError, freePort, waitFor } from "../../testing/mod.ts";
import { builds, once, startHeld } from "./_fixtures.ts";

/** A build that lets the test decide, by paths, what the next update meets. */
const DECIDING = {
  options: "{ quiesceTimeoutMs: 400 }",
  use: `let mode = "";
const open_ = Promise.withResolvers();
live.on("quiesce", (event) => {
  console.log("quiesce", typeof event.id, event.timeoutMs > 0);
  if (mode === "refuse") { event.refuse("the backup runs"); event.refuse("a second reason"); }
  if (mode === "reject") event.waitUntil(Promise.reject(new Error("cannot flush")));
  if (mode === "hang") event.waitUntil(new Promise(() => {}));
  if (mode === "throw") throw new Error("a bad listener");
  if (mode === "wait") event.waitUntil(open_.promise);
});
live.on("resume", ({ id, reason }) => console.log("resume", typeof id, reason));
live.on("resume", () => { throw new Error("a bad resume listener"); });
live.on("resume", () => console.log("resumed all"));`,
  routes: `  if (path === "/mode") { mode = query.get("is"); return new Response(mode); }
  if (path === "/open") { open_.resolve(undefined); return new Response("open"); }
  if (path === "/self") {
    const record = await live.upgrade({ build: "/nowhere" }).catch((error) => error.code);
    return Response.json(record);
  }`,
};

Deno.test("an application can refuse an update, and is told when one did not happen", async (t) => {
  await using all = builds();
  const first = await all.write("first", DECIDING);
  await using held = await startHeld(first, freePort());
  const cases: [string, RegExp][] = [
    ["refuse", /the application refused: the backup runs$/],
    ["reject", /cannot flush/],
    ["hang", /not quiet after \d+ ms/],
    ["throw", /a bad listener/],
  ];
  for (const [mode, reason] of cases) {
    await t.step(mode, async () => {
      await held.client.text(`/mode?is=${mode}`);
      const record = await held.app.upgrade({ build: first });
      assertEquals(record.outcome, "refused");
      assertMatch(record.reason ?? "", reason);
      await held.holds("v1", 0);
      const told = held.app.output().stdout.split("\n").filter((line) => line.startsWith("resume"));
      assertEquals(told.slice(-2), [`resume string ${record.reason}`, "resumed all"]);
    });
  }
  await held.client.text("/mode?is=none");
  await held.commits(first, "v1");
});

Deno.test("while an update runs, another one is EBUSY, and the first one goes on", async () => {
  await using all = builds();
  const first = await all.write("first", { ...DECIDING, options: "{ quiesceTimeoutMs: 60_000 }" });
  const second = await all.write("second", { label: "v2" });
  await using held = await startHeld(first, freePort());
  await held.client.text("/mode?is=wait");
  const update = held.app.upgrade({ build: second });
  await waitFor(() => held.app.output().stdout.includes("quiesce string true"), { what: "the first update" });

  const busy = await assertRejects(() => held.app.upgrade({ build: second }), ControlCallError);
  assertEquals([busy.status, busy.code], [409, "EBUSY"]);
  const { code, stdout, stderr } = await held.app.upgradeCli(["--build", second]);
  assertEquals([code, stdout], [1, ""], stderr);
  assertMatch(stderr, /update [0-9a-f]+ is under way/);
  assertEquals(await held.client.text("/self"), '"EBUSY"');
  held.app.signal("SIGUSR2");
  await waitFor(() => /SIGUSR2: .*under way/.test(held.app.output().stderr), {
    what: "SIGUSR2 to be refused",
  });
  assertEquals((await held.app.status()).state, "updating");
  assertEquals(await held.client.text("/line"), "2", "the service serves meanwhile");

  await once(held.port, "/open");
  const record = await update;
  assertEquals([record.outcome, record.generation], ["committed", 1]);
  assertEquals((await held.app.history()).length, 1, "what was refused at the door is no update");
  assertEquals(await held.client.text("/line"), "3");
});

Deno.test("live.upgrade() of an application tells it why it was refused, and updates it otherwise", async () => {
  await using all = builds();
  const second = await all.write("second", { label: "v2" });
  const first = await all.write("first", {
    use: "let outcome = null;",
    routes: `  if (path === "/to") {
    // The answer must not wait for an update that waits for the answer.
    live.upgrade({ build: query.get("build") }).then((record) => outcome = record);
    return new Response("begun");
  }
  if (path === "/outcome") return Response.json(outcome);`,
  });
  await using held = await startHeld(first, freePort());
  await held.client.text("/to?build=/nowhere");
  const text = await waitFor(async () => {
    const answer = await held.client.text("/outcome");
    return answer !== "null" && answer;
  }, { what: "the record" });
  const record = JSON.parse(text);
  assertEquals([record.outcome, record.generation], ["refused", 0]);
  assert(record.reason.includes("/nowhere: it does not exist"), record.reason);
  await held.client.text(`/to?build=${second}`);
  await waitFor(async () => await held.client.text("/") === "v2", { what: "the second build" });
  await held.holds("v2", 1);
});
