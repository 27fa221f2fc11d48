import { assert, assertEquals, assertMatch } from "@std/assert";
import { assertNothingLost, freePort, snapshot } from "../../testing/mod.ts";
import { untilAlone, untilSnapshot } from "./_deployed.ts";
import { type Builds, builds, type Held, onlyForReal, READY_IN_CHECK, startHeld } from "./_fixtures.ts";

const { COPYFILE_FICLONE } = (await import("node:fs")).constants;

/** A service on a copy of the runtime. */
interface OnCopy extends AsyncDisposable {
  readonly held: Held;
  readonly all: Builds;
  /** Path of the copy. */
  readonly runtime: string;
  /** Does the service run on the file that it was started with? */
  runsOnFirst(): Promise<boolean>;
}

async function startOnCopy(): Promise<OnCopy> {
  await using undo = new AsyncDisposableStack();
  const all = undo.use(builds());
  const runtime = `${all.path}/deno`;
  await copyRuntime(runtime);
  const first = await Deno.stat(runtime);
  const held = undo.use(await startHeld(await all.write("first"), freePort(), { deno: runtime }));
  const kept = undo.move();
  return {
    held,
    all,
    runtime,
    async runsOnFirst() {
      const { dev, ino } = await Deno.stat(`/proc/${held.app.pid}/exe`);
      return dev === first.dev && ino === first.ino;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** The file system shares the blocks where it can: the runtime has a hundred megabytes. */
async function copyRuntime(path: string): Promise<void> {
  const { copyFile } = await import("node:fs/promises");
  await copyFile(Deno.execPath(), path, COPYFILE_FICLONE);
}

/** What becomes of the runtime's path; nothing can write into a file that is being executed. */
const CHANGES: readonly (readonly [name: string, works: boolean, change: (path: string) => Promise<void>])[] =
  [
    ["replaced by another one", true, async (path) => {
      await copyRuntime(`${path}.new`);
      await Deno.rename(`${path}.new`, path);
    }],
    ["replaced by something that is none", false, async (path) => {
      await Deno.writeTextFile(`${path}.new`, "#!/bin/sh\nexit 3\n", { mode: 0o755 });
      await Deno.rename(`${path}.new`, path);
    }],
    ["removed", false, (path) => Deno.remove(path)],
  ];

const BAD = { ready: `${READY_IN_CHECK}throw new Error("a bad build");` };

for (const [name, works, change] of CHANGES) {
  Deno.test(`the runtime's file is ${name}: the old build comes back on the runtime that it was started with`, async () => {
    await using on = await startOnCopy();
    const { held, all, runtime } = on;
    const [bad, second] = [await all.write("bad", BAD), await all.write("second", { label: "v2" })];
    await untilSnapshot(held.app);
    await change(runtime);
    const before = await snapshot(held.app);
    const deno = works ? {} : { deno: Deno.execPath() };
    if (!works) {
      const record = await held.app.upgrade({ build: second });
      assertEquals([record.outcome, record.blackout_ms], ["refused", null]);
      assertMatch(record.reason ?? "", /Cannot .*deno/);
      await held.holds("v1", 0);
    }
    // Twice: what came back has the way back still.
    for (let round = 0; round < 2; round++) {
      const record = await held.app.upgrade({ build: bad, ...deno });
      assertEquals(record.outcome, "rolled-back", `${record.reason}`);
      assertMatch(record.reason ?? "", /a bad build/);
      await held.holds("v1", 0);
      assert(await on.runsOnFirst(), Deno.readLinkSync(`/proc/${held.app.pid}/exe`));
    }
    await untilAlone(held.app);
    const passing = (each: string): boolean => each.includes(" to ");
    assertNothingLost(before, await snapshot(held.app), { updates: 0, ignore: passing });

    const good = await held.app.upgrade({ build: second, ...deno });
    assertEquals([good.outcome, good.reason], ["committed", null]);
    await held.holds("v2", 1);
    assert(!await on.runsOnFirst(), "the update goes to the runtime that is named");
    assertEquals((await held.app.upgrade({ build: bad })).outcome, "rolled-back");
    await held.holds("v2", 1);
  });

  Deno.test(`the runtime's file is ${name}, the entry overwritten: the old build comes back from both`, async () => {
    await using on = await startOnCopy();
    const { held, all, runtime } = on;
    await untilSnapshot(held.app);
    await change(runtime);
    await all.write("first", BAD);
    const deno = { deno: Deno.execPath() };
    for (let round = 0; round < 2; round++) {
      const record = await held.app.upgrade(deno);
      assertEquals(record.outcome, "rolled-back", `${record.reason}`);
      await held.holds("v1", 0);
      assert(await on.runsOnFirst(), Deno.readLinkSync(`/proc/${held.app.pid}/exe`));
    }
    await all.write("first", { label: "v2" });
    assertEquals((await held.app.upgrade(deno)).outcome, "committed");
    await held.holds("v2", 1);
  });

  Deno.test(`the runtime's file is ${name}: the guardian brings the old build back on it`, async () => {
    await using on = await startOnCopy();
    const { held, all, runtime } = on;
    const killed = await all.write("killed", { before: onlyForReal('Deno.kill(Deno.pid, "SIGKILL");') });
    const second = await all.write("second", { label: "v2" });
    await change(runtime);
    const deno = { deno: Deno.execPath() };
    const record = await held.app.upgrade({ build: killed, ...deno });
    assertEquals([record.outcome, record.guardian], ["recovered", "acted"], `${record.reason}`);
    assertEquals(held.app.pid, record.pid);
    assert(await on.runsOnFirst(), Deno.readLinkSync(`/proc/${record.pid}/exe`));
    assertEquals(await held.client.text("/"), "v1");
    assertEquals((await held.app.upgrade({ build: second, ...deno })).outcome, "committed");
    assertEquals(await held.client.text("/"), "v2");
    await untilAlone(held.app);
  });
}
