import { assert, assertEquals, assertMatch } from "@std/assert";
import { freePort } from "../../testing/mod.ts";
import { type AppParts, builds, startHeld } from "./_fixtures.ts";

/** What a build can do wrong once it runs, and what the record must say of it. */
const FAILURES: readonly (readonly [name: string, build: AppParts | string, reason: RegExp])[] = [
  ["throws at load", 'throw new Error("no luck today");', /threw.*no luck today/],
  ["throws after open", { use: 'throw new Error("half way");' }, /threw.*half way/],
  ["throws when it holds everything", { ready: 'throw new Error("nearly");' }, /threw.*nearly/],
  ["exits at load", "Deno.exit(7);", /ended before ready\(\) \(exit status 7\)/],
  ["exits with 0 before ready", { ready: "Deno.exit(0);" }, /ended before ready\(\) \(exit status 0\)/],
  ["runs off its end", "export const nothing = 1;", /ended before ready\(\)/],
  ["serves, but never says that it is ready", { ready: "" }, /ended before ready\(\)/],
  [
    "leaves a rejection unhandled",
    { ready: 'Promise.reject(new TypeError("nobody cares"));' },
    /rejection unhandled.*nobody cares/,
  ],
  [
    "throws in a timer",
    { ready: 'setTimeout(() => { throw new Error("late"); }, 0);' },
    /threw.*late/,
  ],
  ["abandons", { ready: 'live.abandon("the database is away");' }, /abandoned: the database is away/],
  [
    "misses a module that it imports while it runs",
    { ready: 'await import("./miss" + "ing.ts");' },
    /missing\.ts/,
  ],
  [
    "cannot load a state",
    {
      use:
        'live.state("extra", { version: 3, save: () => 0, load: () => { throw new Error("cannot read that"); } });',
    },
    /cannot read that/,
  ],
  [
    "does not read the version of a state",
    { use: 'live.state("extra", { version: 9, reads: [8, 9], save: () => 0, load: () => {} });' },
    /state "extra": it has version 3, this build reads 8 to 9/,
  ],
  [
    "wants a name as something else",
    { use: 'await live.file("extra-memory", "app.log");' },
    /"extra-memory" as a file: it was handed over as a segment/,
  ],
];

/** The first build has what some of the failing ones stumble over. */
const FIRST: AppParts = {
  use: `live.state("extra", { version: 3, save: () => 3, load: () => {} });
await live.segment("extra-memory", { size: 10 });`,
};

Deno.test("a build that fails before ready() brings the old one back, with everything", async (t) => {
  await using all = builds();
  const first = await all.write("first", FIRST);
  await using held = await startHeld(first, freePort());
  let generation = 0;
  for (const [name, build, reason] of FAILURES) {
    await t.step(name, async () => {
      const path = await all.write(name.replaceAll(" ", "-"), build);
      const record = await held.app.upgrade({ build: path });
      assertEquals(record.outcome, "rolled-back", `${record.reason}`);
      assertMatch(record.reason ?? "", reason);
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
    ["a top-level await that never resolves", "await new Promise(() => {});"],
    ["ready() is never called", { ready: "setInterval(() => {}, 1000);" }],
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
  const bad = await all.write("bad", 'throw new Error("again");');
  for (let round = 0; round < 3; round++) {
    assertEquals((await held.app.upgrade({ build: bad })).outcome, "rolled-back");
  }
  await held.holds("v1", 0);
  await held.commits(await all.write("second", { label: "v2" }), "v2");
  const outcomes = (await held.app.history()).map(({ outcome }) => outcome);
  assertEquals(outcomes, ["rolled-back", "rolled-back", "rolled-back", "committed"]);
});
