import { assert, assertEquals, assertMatch } from "@std/assert";
import { freePort } from "../../testing/mod.ts";
import { FAILURES, FIRST } from "./_failures.ts";
import { type AppParts, builds, opensInCheck, READY_IN_CHECK, startHeld } from "./_fixtures.ts";

Deno.test("a build that fails before ready() brings the old one back, with everything", async (t) => {
  await using all = builds();
  const first = await all.write("first", FIRST);
  await using held = await startHeld(first, freePort());
  let generation = 0;
  for (const { name, late, undone } of FAILURES) {
    await t.step(name, async () => {
      const path = await all.write(name.replaceAll(" ", "-"), late);
      const record = await held.app.upgrade({ build: path });
      assertEquals(record.outcome, "rolled-back", `${record.reason}`);
      assertMatch(record.reason ?? "", undone);
      assertEquals([record.generation, record.pid], [generation, held.app.pid]);
      assertEquals([record.from.path, record.to.path], [first, path]);
      assert(record.blackout_ms !== null && record.blackout_ms > 0, `blackout ${record.blackout_ms}`);
      await held.holds("v1", generation);
      // A way back that was used must not be in the way of the next update.
      const good = await held.commits(first, "v1");
      assertEquals(good.generation, ++generation);
    });
  }
});

Deno.test("a build that is not ready at the deadline brings the old one back", async (t) => {
  await using all = builds();
  const first = await all.write("first");
  await using held = await startHeld(first, freePort());
  const late = /ran past its deadline before ready\(\)/;
  const hanging: [string, AppParts | string][] = [
    ["a top-level await that never resolves", opensInCheck("await new Promise(() => {});")],
    ["ready() is never called", { ready: `${READY_IN_CHECK}setInterval(() => {}, 1000);` }],
  ];
  for (const [at, [name, build]] of hanging.entries()) {
    await t.step(name, async () => {
      const path = await all.write(`hanging-${at}`, build);
      const { code, stdout, stderr } = await held.app.upgradeCli([
        "--build",
        path,
        "--timeout",
        "2",
        "--json",
      ]);
      assertEquals(code, 1, stderr);
      const record = JSON.parse(stdout);
      assertEquals(record.outcome, "rolled-back");
      assertMatch(record.reason, late);
      assertMatch(stderr, late);
      await held.holds("v1", at);
      await held.commits(first, "v1");
    });
  }
});

Deno.test("three failures in a row cost nothing, and the history tells all of them", async () => {
  await using all = builds();
  await using held = await startHeld(await all.write("first"), freePort());
  const bad = await all.write("bad", opensInCheck('throw new Error("again");'));
  for (let round = 0; round < 3; round++) {
    assertEquals((await held.app.upgrade({ build: bad })).outcome, "rolled-back");
  }
  await held.holds("v1", 0);
  await held.commits(await all.write("second", { label: "v2" }), "v2");
  const outcomes = (await held.app.history()).map(({ outcome }) => outcome);
  assertEquals(outcomes, ["rolled-back", "rolled-back", "rolled-back", "committed"]);
});
