import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  assertNoFailures,
  callControl,
  ControlCallError,
  copyTree,
  freePort,
  heirloomRoot,
  startLoad,
  type UpdateRecord,
} from "../../testing/mod.ts";
import { brokenEntry, config, deploy, entryText } from "./_deployed.ts";
import { builds, type Held, LIBRARY, opensInCheck, startHeld } from "./_fixtures.ts";
import { versioned } from "./_versioned.ts";

/** `heirloom rollback --json`, which must commit. */
async function rollback(held: Held, ...args: string[]): Promise<UpdateRecord> {
  const { code, stdout, stderr } = await held.app.cli("rollback", ["--json", ...args]);
  assertEquals(code, 0, stderr);
  const record = JSON.parse(stdout);
  assertEquals([record.outcome, record.reason], ["committed", null]);
  return record;
}

/** `heirloom rollback`, which must be refused. */
async function refusedRollback(held: Held, reason: RegExp): Promise<void> {
  const { code, stdout, stderr } = await held.app.cli("rollback", ["--json"]);
  assertEquals(code, 1, stderr);
  const record = JSON.parse(stdout);
  assertEquals([record.outcome, record.blackout_ms], ["refused", null]);
  assertMatch(record.reason, reason);
  assertMatch(stderr, reason);
}

Deno.test("rollback goes to the build before by its path, and twice in a row forth again, under load", async () => {
  await using all = builds();
  const [first, second] = [await all.write("first"), await all.write("second", { label: "v2" })];
  const port = freePort();
  await using held = await startHeld(first, port);
  await refusedRollback(held, /Cannot roll back: this service has not had another build/);
  await held.holds("v1", 0);

  await held.commits(second, "v2");
  const target = { hostname: "127.0.0.1", port };
  const load = startLoad({ target, keepAlive: 4, keepAlivePeriodMs: 50, newPerSecond: 20 });
  for (const [round, [path, label]] of [[first, "v1"], [second, "v2"], [first, "v1"]].entries()) {
    const { to, from } = await rollback(held);
    assertEquals([to.path, from.path], [path, path === first ? second : first]);
    await held.holds(label!, 2 + round);
    assertEquals((await held.app.status()).build, to);
  }
  const report = await load.stop();
  assertNoFailures(report);
  assertEquals(report.keepAliveClosed, 0);

  const text = await held.app.cli("rollback");
  assertEquals([text.code, text.stderr], [0, ""]);
  assertMatch(text.stdout, /committed.*second/);
  await held.holds("v2", 5);
});

Deno.test("a build that failed is not the build before: rollback goes to the one that ran", async () => {
  await using all = builds();
  const [first, second] = [await all.write("first"), await all.write("second", { label: "v2" })];
  const bad = await all.write("bad", opensInCheck('throw new Error("bad");'));
  await using held = await startHeld(first, freePort());
  // Nothing to go back to either way: the one that failed never was a build of this service.
  assertEquals((await held.app.upgrade({ build: bad })).outcome, "rolled-back");
  await refusedRollback(held, /has not had another build/);
  await held.commits(second, "v2");
  assertEquals((await held.app.upgrade({ build: bad })).outcome, "rolled-back");
  assertEquals((await held.app.upgrade({ build: `${all.path}/nowhere` })).outcome, "refused");
  assertEquals((await rollback(held)).to.path, first);
  await held.holds("v1", 2);
});

Deno.test("rollback after an edit in place goes to the snapshot, and forth to what lies there", async (t) => {
  await using deployed = await deploy();
  const { held, entry, dir } = deployed;
  await deployed.overwrite("main.ts", entryText("v2"));
  await deployed.overwrite("greeting.ts", 'export const greeting = "hello from v2";\n');
  await deployed.overwrite("deno.json", config("2.0.0"));
  assertEquals((await deployed.update()).outcome, "committed");
  await deployed.runs("v2", "hello from v2", 1);

  await t.step("back", async () => {
    const { to, from } = await rollback(held);
    assertEquals([to.path, to.version, from.path, from.version], [entry, "1.0.0", entry, "2.0.0"]);
    assert(to.id !== from.id);
    await deployed.runs("v1", "hello from v1", 2);
    assertEquals((await held.app.status()).build, to);
  });
  await t.step("forth, and back once more", async () => {
    assertEquals((await rollback(held)).to.version, "2.0.0");
    await deployed.runs("v2", "hello from v2", 3);
    assertEquals((await rollback(held)).to.version, "1.0.0");
    await deployed.runs("v1", "hello from v1", 4);
  });
  await t.step("what runs from a snapshot has a way back", async () => {
    await deployed.overwrite("main.ts", brokenEntry("worse"));
    const record = await deployed.update();
    assertEquals(record.outcome, "rolled-back");
    assertMatch(record.reason ?? "", /worse/);
    await deployed.runs("v1", "hello from v1", 4);
  });
  await t.step("the next update resolves what was deployed", async () => {
    await deployed.overwrite("main.ts", entryText("v3"));
    assertEquals((await deployed.update()).to.version, "2.0.0");
    await deployed.runs("v3", "hello from v2", 5);
  });
  await t.step("a directory that is gone altogether comes back from the snapshot", async () => {
    const other = await deployed.all.write("other", entryText("v4"));
    for (const name of ["greeting.ts", "asset.txt", "deno.json"]) {
      await Deno.copyFile(`${dir}/${name}`, `${deployed.all.path}/other/${name}`);
    }
    assertEquals((await held.app.upgrade({ build: other })).outcome, "committed");
    await Deno.rename(dir, `${dir}.gone`);
    // What lies beside the modules is no part of the snapshot: only a link to it is.
    await Deno.mkdir(dir);
    await Deno.writeTextFile(`${dir}/asset.txt`, "asset");
    assertEquals((await rollback(held)).to.path, entry);
    await deployed.runs("v3", "hello from v2", 7);
  });
});

Deno.test("a build before that is lost on disk, or cannot take over, is no way to go", async (t) => {
  await t.step("changed, and the snapshot is gone", async () => {
    await using deployed = await deploy();
    await deployed.overwrite("main.ts", entryText("v2"));
    assertEquals((await deployed.update()).outcome, "committed");
    for (const path of await deployed.snapshot()) await Deno.remove(path, { recursive: true });
    await refusedRollback(
      deployed.held,
      /Cannot roll back: build .* changed on disk, and there is no snapshot/,
    );
    await deployed.runs("v2", "hello from v1", 1);
  });
  await t.step("it does not read what the present one writes", async () => {
    await using all = builds();
    const v1 = await all.write("v1", versioned({ label: "v1", writes: 1, handler: [1, 1] }));
    const v2 = await all.write("v2", versioned({ label: "v2", writes: 2, handler: [1, 2] }));
    await using held = await startHeld(v1, freePort());
    await held.commits(v2, "v2");
    await refusedRollback(held, /its record has version 2, handler "box-v1" reads 1 to 1/);
    await held.holds("v2", 1);
  });
});

Deno.test("rollback goes back to the runtime and to the Heirloom of the build before as well", async () => {
  await using all = builds();
  const next = await copyTree(heirloomRoot(), `${all.path}/next`, { version: "0.1.9" });
  const runtime = `${all.path}/deno`;
  await Deno.copyFile(Deno.execPath(), runtime);
  const routes =
    `  if (path === "/boot") return new Response(Deno.mainModule + " " + Deno.readLinkSync("/proc/self/exe"));`;
  await using held = await startHeld(await all.write("first", { routes }), freePort());
  const boot = async (): Promise<string[]> =>
    (await held.client.text("/boot")).replace("file://", "").split(" ");
  const before = await boot();
  assertEquals(before, [`${heirloomRoot()}/live/boot.ts`, Deno.realPathSync(Deno.execPath())]);

  assertEquals((await held.app.upgrade({ deno: runtime })).outcome, "committed");
  assertEquals((await boot())[1], runtime);
  await rollback(held);
  assertEquals(await boot(), before);
  assertEquals((await held.app.upgrade({ heirloom: next })).outcome, "committed");
  assertEquals((await boot())[0], `${next}/live/boot.ts`);
  await rollback(held);
  assertEquals(await boot(), before);
  await held.holds("v1", 4);

  // Started by hand, the runtime has no name of its own.
  await using plain = await startHeld(await all.write("plain", { routes }), freePort(), { mode: "plain" });
  const runs = async (): Promise<string | undefined> => (await plain.client.text("/boot")).split(" ")[1];
  assertEquals((await plain.app.upgrade({ deno: runtime })).outcome, "committed");
  assertEquals(await runs(), runtime);
  await rollback(plain);
  assertEquals(await runs(), before[1]);
});

Deno.test("a rollback names no build, and does what else an update does", async () => {
  await using all = builds();
  const use = `import("${LIBRARY}");
live.on("quiesce", (event) => { if (live.generation === 1) event.refuse("not on a Friday"); });`;
  const [first, second] = [await all.write("first"), await all.write("second", { label: "v2", use })];
  await using held = await startHeld(first, freePort());
  await held.commits(second, "v2");
  const { socket } = held.app;
  const body = { rollback: true, build: first };
  const error = await assertRejects(
    () => callControl({ socket, path: "/v1/upgrade", body }),
    ControlCallError,
  );
  assertEquals([error.status, error.code], [400, "EINVAL"]);
  const { code, stdout } = await held.app.cli("rollback", ["--build", first]);
  assertEquals([code, stdout], [2, ""]);
  await refusedRollback(held, /the application refused: not on a Friday/);
  await held.holds("v2", 1);
});
