import { assert, assertEquals, assertMatch } from "@std/assert";
import { assertNothingLost, freePort, snapshot, type UpgradeOptions } from "../../testing/mod.ts";
import { untilSnapshot } from "./_deployed.ts";
import { FAILURES, FIRST } from "./_failures.ts";
import { type AppParts, builds, startHeld } from "./_fixtures.ts";

Deno.test("a build or a runtime that cannot be used is refused, and the service does not notice", async (t) => {
  await using all = builds();
  const first = await all.write("first");
  await all.write("syntax", "const = ;\n");
  await all.write("import", 'import "./not_there.ts";\n');
  await all.write("deep", 'import "./broken.ts";\n');
  await Deno.writeTextFile(`${all.path}/deep/broken.ts`, "export const x = {;\n");
  await Deno.mkdir(`${all.path}/empty`);
  await Deno.writeTextFile(`${all.path}/not-executable`, "#!/bin/sh\n", { mode: 0o644 });
  await Deno.writeTextFile(`${all.path}/no-runtime`, "#!/bin/sh\nexit 3\n", { mode: 0o755 });

  const cases: [string, UpgradeOptions, RegExp][] = [
    ["a path that does not exist", { build: `${all.path}/nowhere` }, /nowhere: it does not exist/],
    ["a directory without main.ts", { build: `${all.path}/empty` }, /empty: the directory has no main\.ts/],
    ["a module that does not parse", { build: `${all.path}/syntax` }, /Cannot load build .*syntax/],
    ["an import that is not there", { build: `${all.path}/import` }, /not_there\.ts/],
    ["a module further down that does not parse", { build: `${all.path}/deep` }, /broken\.ts/],
    [
      "a runtime that does not exist",
      { deno: `${all.path}/nowhere` },
      /runtime .*nowhere: it does not exist/,
    ],
    ["a runtime that is a directory", { deno: `${all.path}/empty` }, /runtime .*empty: it is not executable/],
    [
      "a runtime that is not executable",
      { deno: `${all.path}/not-executable` },
      /runtime .*not-executable: it is not executable/,
    ],
    ["a runtime that is none", { deno: `${all.path}/no-runtime` }, /no-runtime/],
    ["a Heirloom that is none", { heirloom: `${all.path}/empty` }, /Cannot use Heirloom .*empty/],
  ];

  await using held = await startHeld(first, freePort());
  let generation = 0;
  for (const [name, options, reason] of cases) {
    await t.step(name, async () => {
      const record = await held.app.upgrade(options);
      assertEquals(record.outcome, "refused", `${record.reason}`);
      assertMatch(record.reason ?? "", reason);
      assertEquals([record.blackout_ms, record.stall_ms], [null, null]);
      assertEquals([record.generation, record.pid], [generation, held.app.pid]);
      await held.holds("v1", generation);
      await held.commits(first, "v1");
      generation++;
    });
  }
});

Deno.test("a build that fails in the check is refused with what it said, and the service does not notice", async (t) => {
  await using all = builds();
  await using held = await startHeld(await all.write("first", FIRST), freePort());
  // The first update loads what updates need; from then on everything stays the same.
  await untilSnapshot(held.app);
  assertEquals((await held.app.upgrade({ build: `${all.path}/nowhere` })).outcome, "refused");
  const before = await snapshot(held.app);
  for (const { name, early, refused } of FAILURES) {
    await t.step(name, async () => {
      const path = await all.write(name.replaceAll(" ", "-"), early);
      const record = await held.app.upgrade({ build: path });
      assertEquals(record.outcome, "refused", `${record.reason}`);
      const [reason = "", ...tail] = (record.reason ?? "").split("\n");
      assertMatch(reason, refused);
      assert(reason.startsWith(`Cannot use build ${path}: in the check`), reason);
      // What is longer than a line is quoted in full below it.
      if (tail.length > 0) assertMatch(tail.join("\n"), /^\s+at .*main\.ts/m);
      assertEquals([record.blackout_ms, record.stall_ms, record.guardian], [null, null, "off"]);
      assertEquals(record.phases.map(({ name }) => name), ["requested", "loading"]);
      assertEquals([record.generation, record.pid], [0, held.app.pid]);
      await held.holds("v1", 0);
    });
  }
  assertNothingLost(before, await snapshot(held.app), { updates: 0 });
  await held.commits(await all.write("second", { label: "v2" }), "v2");
});

Deno.test("a build that is not ready in the check at the deadline is refused", async (t) => {
  await using all = builds();
  await using held = await startHeld(await all.write("first"), freePort());
  const hanging: [string, AppParts | string][] = [
    ["a top-level await that never resolves", "await new Promise(() => setInterval(() => {}, 1000));"],
    ["ready() is never called", { ready: "setInterval(() => {}, 1000);" }],
    ["an endless loop", "while (true);"],
  ];
  for (const [at, [name, build]] of hanging.entries()) {
    await t.step(name, async () => {
      const path = await all.write(`hanging-${at}`, build);
      const args = ["--build", path, "--timeout", "2", "--json"];
      const { code, stdout, stderr } = await held.app.upgradeCli(args);
      assertEquals(code, 1, stderr);
      const record = JSON.parse(stdout);
      assertEquals([record.outcome, record.blackout_ms], ["refused", null]);
      assertMatch(record.reason, /deadline has passed in phase loading/);
      assertMatch(stderr, /deadline has passed in phase loading/);
      await held.holds("v1", 0);
      assertEquals(held.app.processes().map(({ pid }) => pid), [held.app.pid], "the child is gone");
    });
  }
  await held.commits(await all.write("second", { label: "v2" }), "v2");
});

Deno.test("execve that returns is undone", async () => {
  await using all = builds();
  const first = await all.write("first");
  // The module graph can be looked at with it, so nothing is wrong until the jump; then its interpreter is gone.
  const runtime = `${all.path}/runtime`;
  const script = `#!${all.path}/sh\nexec ${Deno.execPath()} "$@"\n`;
  await Deno.symlink("/bin/sh", `${all.path}/sh`);
  await Deno.writeTextFile(runtime, script, { mode: 0o755 });
  await using held = await startHeld(
    await all.write("second", {
      label: "v2",
      use:
        `live.on("quiesce", () => { try { Deno.removeSync("${all.path}/sh"); } catch { /* gone already */ } });
live.on("resume", ({ reason }) => console.log("resumed:", reason));`,
    }),
    freePort(),
  );
  for (let round = 0; round < 2; round++) {
    if (round > 0) await Deno.symlink("/bin/sh", `${all.path}/sh`);
    const record = await held.app.upgrade({ build: first, deno: runtime });
    assertEquals(record.outcome, "refused");
    assertMatch(record.reason ?? "", /ENOENT/);
    assert(record.phases.some(({ name }) => name === "jumping"), JSON.stringify(record.phases));
    await held.holds("v2", 0);
  }
  assertMatch(held.app.output().stdout, /resumed: .*ENOENT[^]*resumed: .*ENOENT/);
  await held.commits(first, "v1");
});

Deno.test("nothing is left of updates that were refused: no child, no descriptor", async () => {
  await using all = builds();
  await using held = await startHeld(await all.write("first"), freePort());
  // The first update loads what updates need; from then on everything stays the same.
  await held.app.upgrade({ build: `${all.path}/nowhere` });
  const before = await snapshot(held.app);
  await all.write("syntax", "const = ;\n");
  for (let round = 0; round < 3; round++) {
    assertEquals((await held.app.upgrade({ build: `${all.path}/nowhere` })).outcome, "refused");
    assertEquals((await held.app.upgrade({ build: `${all.path}/syntax` })).outcome, "refused");
  }
  assertNothingLost(before, await snapshot(held.app), { updates: 0 });
  assertEquals(before.children, []);
});
