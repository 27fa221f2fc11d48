import { assert, assertEquals, assertMatch } from "@std/assert";
import { assertNothingLost, descriptors, snapshot, waitFor } from "../../testing/mod.ts";
import { brokenEntry, config, deploy, type Deployed, entryText, untilAlone } from "./_deployed.ts";
import { onlyForReal } from "./_fixtures.ts";

const V1 = ["v1", "hello from v1"] as const;

/** What overwrites the application, so that it fails where it takes over for real; and what mends it. */
const BROKEN: readonly (readonly [name: string, files: Record<string, string>, reason: RegExp])[] = [
  ["the entry", { "main.ts": brokenEntry("a bad entry") }, /a bad entry/],
  [
    "a dependency",
    {
      "greeting.ts": `${
        onlyForReal('throw new Error("a bad dependency");')
      }\nexport const greeting = "broken";\n`,
    },
    /a bad dependency/,
  ],
  [
    "deno.json and a dependency that it names",
    {
      "deno.json": config("2.0.0", {
        imports: { ...JSON.parse(config("2")).imports, greeting: "./other.ts" },
      }),
      "other.ts": `${onlyForReal('throw new Error("another map");')}\nexport const greeting = "other";\n`,
    },
    /another map/,
  ],
  [
    "all of it",
    {
      "main.ts": brokenEntry("everything is bad"),
      "greeting.ts": 'export const greeting = "broken";\n',
      "deno.json": config("2.0.0"),
    },
    /everything is bad/,
  ],
];

async function overwrite(deployed: Deployed, files: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${deployed.dir}/${name}`, text, { create: true });
  }
}

for (const mode of ["run", "plain"] as const) {
  Deno.test(`${mode}: a broken version over the running one: the old one comes back from its snapshot`, async (t) => {
    for (const [name, files, reason] of BROKEN) {
      // Started by hand, a module beside the library may fail before it: that is the guardian's business.
      if (mode === "plain" && files["main.ts"] === undefined) continue;
      await t.step(name, async () => {
        await using deployed = await deploy({ mode });
        const { held } = deployed;
        const before = await snapshot(held.app);
        await overwrite(deployed, files);
        await deployed.runs(...V1, 0);
        // Twice: the build that came back from the snapshot must be able to come back as well.
        for (let round = 0; round < 2; round++) {
          const record = await deployed.update();
          assertEquals(record.outcome, "rolled-back", `${record.reason}`);
          assertMatch(record.reason ?? "", reason);
          assertEquals([record.from.path, record.to.path], [deployed.entry, deployed.entry]);
          assert(record.from.id !== record.to.id, "the two builds look the same");
          await deployed.runs(...V1, 0);
          assertEquals((await held.app.status()).build, record.from);
        }
        await untilAlone(held.app);
        const passing = (each: string): boolean => each.includes(" to ");
        assertNothingLost(before, await snapshot(held.app), { updates: 0, ignore: passing });

        // Mended in place, it is an update like any other, and forth from there.
        await overwrite(deployed, {
          "main.ts": entryText("v3"),
          "greeting.ts": 'export const greeting = "hello from v3";\n',
          "deno.json": config("3.0.0"),
        });
        const good = await deployed.update();
        assertEquals([good.outcome, good.reason, good.to.version], ["committed", null, "3.0.0"]);
        await deployed.runs("v3", "hello from v3", 1);
        assertEquals((await deployed.update()).outcome, "committed");
        await deployed.runs("v3", "hello from v3", 2);
      });
    }
  });
}

Deno.test("a broken version that fails in the check already is refused, and nothing has happened", async (t) => {
  const cases: [string, string, string, RegExp][] = [
    ["the entry", "main.ts", "const = ;\n", /main\.ts/],
    ["a dependency", "greeting.ts", "export const other = 1;\n", /greeting/],
    ["deno.json", "deno.json", '{ "imports": ', /deno\.json|config/i],
  ];
  await using deployed = await deploy();
  const original = new Map(
    cases.map(([, name]) => [name, Deno.readTextFileSync(`${deployed.dir}/${name}`)]),
  );
  for (const [name, file, text, reason] of cases) {
    await t.step(name, async () => {
      await deployed.overwrite(file, text);
      const record = await deployed.update();
      assertEquals([record.outcome, record.blackout_ms], ["refused", null]);
      assertMatch(record.reason ?? "", reason);
      await deployed.runs(...V1, 0);
      await deployed.overwrite(file, original.get(file)!);
    });
  }
  assertEquals((await deployed.update()).outcome, "committed");
  await deployed.runs(...V1, 1);
});

Deno.test("what kills the new build is met by the guardian, who brings the old one back from its snapshot", async () => {
  await using deployed = await deploy();
  const { held } = deployed;
  await deployed.overwrite(
    "main.ts",
    entryText("bad", { before: onlyForReal('Deno.kill(Deno.pid, "SIGKILL");') }),
  );
  await deployed.overwrite("greeting.ts", 'export const greeting = "broken";\n');
  const { pid } = held.app;
  const record = await deployed.update();
  assertEquals([record.outcome, record.guardian], ["recovered", "acted"], `${record.reason}`);
  assert(record.pid !== pid);
  const status = await held.app.status();
  assertEquals([status.pid, status.generation, status.state], [record.pid, 0, "serving"]);
  assertEquals([await held.client.text("/"), await held.client.text("/greeting")], [
    "v1",
    "hello from v1 asset",
  ]);
  await deployed.overwrite("main.ts", entryText("v3"));
  await deployed.overwrite("greeting.ts", 'export const greeting = "hello from v3";\n');
  assertEquals((await deployed.update()).outcome, "committed");
  assertEquals([await held.client.text("/"), await held.client.text("/greeting")], [
    "v3",
    "hello from v3 asset",
  ]);
});

Deno.test("files that were only touched, or written again as they were, are no change", async () => {
  await using deployed = await deploy();
  const { held, dir, all } = deployed;
  const now = new Date();
  for (const name of ["main.ts", "greeting.ts", "deno.json"]) {
    const path = `${dir}/${name}`;
    await Deno.utime(path, now, now);
    const text = await Deno.readTextFile(path);
    await deployed.overwrite(name, text);
  }
  const bad = await all.write(
    "bad",
    brokenEntry("elsewhere").replaceAll('"greeting"', `"${dir}/greeting.ts"`),
  );
  await Deno.writeTextFile(`${all.path}/bad/deno.json`, config("9.0.0"));
  await Deno.writeTextFile(`${all.path}/bad/asset.txt`, "asset");
  const record = await held.app.upgrade({ build: bad });
  assertEquals(record.outcome, "rolled-back", `${record.reason}`);
  await deployed.runs(...V1, 0);
  const { cmdline } = processFiles(held.app.pid);
  assert(cmdline.includes(deployed.entry), "it came back from where it was deployed");
});

Deno.test("without a snapshot a changed build has no way back, and the update is refused", async (t) => {
  const gone = { XDG_STATE_HOME: "/dev/null/nowhere" };
  const noWayBack = /the running build changed on disk: no way back/;
  await t.step("no state directory", async () => {
    await using deployed = await deploy({ env: gone, snapshot: false });
    const { held } = deployed;
    assertEquals(
      (await deployed.update()).outcome,
      "committed",
      "while nothing has changed there is no harm",
    );
    await deployed.runs(...V1, 1);
    const warnings = (): number =>
      held.app.output().stderr.split("there is no snapshot of this build").length - 1;
    await waitFor(() => warnings() === 2, { what: "both builds to warn" });
    const original = await Deno.readTextFile(deployed.entry);
    await deployed.overwrite("main.ts", entryText("v2"));
    for (const build of [undefined, deployed.entry]) {
      const record = await held.app.upgrade(build === undefined ? {} : { build });
      assertEquals([record.outcome, record.blackout_ms], ["refused", null]);
      assertMatch(record.reason ?? "", noWayBack);
      assertMatch(record.reason ?? "", /main\.ts/);
      await deployed.runs(...V1, 1);
    }
    // What is as it was is no change here either.
    await deployed.overwrite("main.ts", original);
    assertEquals((await deployed.update()).outcome, "committed");
    await deployed.runs(...V1, 2);
    // In the moments after an update as well: nobody knows yet what the files were.
    await deployed.overwrite("greeting.ts", 'export const greeting = "other";\n');
    assertMatch((await deployed.update()).reason ?? "", noWayBack);
    await deployed.runs(...V1, 2);
  });
  await t.step("a snapshot that somebody removed", async () => {
    await using deployed = await deploy();
    for (const path of await deployed.snapshot()) await Deno.remove(path, { recursive: true });
    await deployed.overwrite("main.ts", brokenEntry("bad"));
    const record = await deployed.update();
    assertEquals(record.outcome, "refused");
    assertMatch(record.reason ?? "", noWayBack);
    await deployed.runs(...V1, 0);
  });
});

/** What the kernel says of a process. */
function processFiles(pid: number): { exe: string; cmdline: string } {
  return {
    exe: Deno.readLinkSync(`/proc/${pid}/exe`),
    cmdline: Deno.readTextFileSync(`/proc/${pid}/cmdline`),
  };
}

Deno.test("snapshots do not pile up: there is one of the build that runs and one of the build before", async () => {
  await using deployed = await deploy();
  const { held } = deployed;
  for (let version = 2; version <= 5; version++) {
    await deployed.overwrite("greeting.ts", `export const greeting = "hello from v${version}";\n`);
    assertEquals((await deployed.update()).outcome, "committed");
    await deployed.runs("v1", `hello from v${version}`, version - 1);
    const wanted = `hello from v${version}`;
    // Each build takes its snapshot soon after it is ready.
    await settled(deployed, wanted);
    await waitFor(async () => (await deployed.snapshot()).length <= 2, { what: "older snapshots to go" });
  }
  const open = (): number => descriptors(held.app.pid).filter(({ link }) => link.includes("/builds/")).length;
  await waitFor(() => open() === 0, { what: "the snapshots to be closed" });
});

async function settled(deployed: Deployed, text: string): Promise<void> {
  for (let round = 0; round < 500; round++) {
    for (const path of await deployed.snapshot()) {
      const copy = await Deno.readTextFile(`${path}${deployed.dir}/greeting.ts`).catch(() => "");
      if (copy.includes(text)) return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`there is no snapshot with ${text}`);
}
