import { assert, assertEquals, assertMatch } from "@std/assert";
import { freePort, tempDir, writeApp } from "../../testing/mod.ts";
import {
  appText,
  builds,
  type Held,
  LIBRARY,
  onlyForReal,
  opensInCheck,
  runCommand,
  startHeld,
} from "../update/_fixtures.ts";

/** A configuration as an application that lives elsewhere has it. */
function config(more: Record<string, unknown> = {}): string {
  const imports = { heirloom: LIBRARY, "own/": "./own/" };
  return JSON.stringify({ version: "3.2.1", imports, ...more }, null, 2);
}

/** An application with an import map of its own. */
function files(label: string, more: Record<string, string> = {}): Record<string, string> {
  return {
    "main.ts": appText({
      label,
      library: "heirloom",
      before: 'import { greeting } from "own/greeting.ts";',
      routes: '  if (path === "/greeting") return new Response(greeting);',
    }),
    "own/greeting.ts": `export const greeting = "hello from ${label}";\n`,
    "deno.json": config(),
    ...more,
  };
}

/** The lock file that the runtime itself writes for an application, without what it says of Heirloom's dependency. */
async function lockWithoutHeirloom(dir: string): Promise<string> {
  const entry = await writeApp(dir, { files: files("any") });
  const { code, stderr } = await runCommand([Deno.execPath(), "cache", entry], { cwd: dir });
  assertEquals(code, 0, stderr);
  const lock = JSON.parse(await Deno.readTextFile(`${dir}/deno.lock`));
  assert(JSON.stringify(lock).includes("cborg"), "the dependency is not there to be removed");
  for (const part of ["specifiers", "npm"]) {
    for (const name of Object.keys(lock[part])) if (name.includes("cborg")) delete lock[part][name];
  }
  return `${JSON.stringify(lock)}\n`;
}

async function updates(held: Held, build: string): Promise<void> {
  await held.commits(build, "v2");
  assertEquals(await held.client.text("/greeting"), "hello from v2");
  const { build: running } = await held.app.status();
  assertEquals([running.path, running.version], [build, "3.2.1"]);
}

Deno.test("an application with a configuration of its own runs with its import map, and gets no lock file", async () => {
  await using dir = tempDir();
  const first = await writeApp(`${dir.path}/first`, { files: files("v1") });
  const second = await writeApp(`${dir.path}/second`, { files: files("v2") });
  await using held = await startHeld(first, freePort());
  assertEquals(await held.client.text("/greeting"), "hello from v1");
  assertEquals((await held.app.status()).build.version, "3.2.1");
  await updates(held, second);
  const names = [...Deno.readDirSync(`${dir.path}/first`)].map(({ name }) => name).sort();
  assertEquals(names, ["deno.json", "main.ts", "own"]);
});

Deno.test("an application without a configuration runs, whatever directory it is started in", async () => {
  await using all = builds();
  const elsewhere = `${all.path}/elsewhere`;
  await Deno.mkdir(elsewhere);
  await Deno.writeTextFile(
    `${elsewhere}/deno.json`,
    '{ "imports": { "node:http": "./none.ts" }, "version": "9" }',
  );
  const first = await all.write("first");
  const second = await all.write("second", { label: "v2" });
  await using held = await startHeld(first, freePort(), { cwd: elsewhere });
  assertEquals((await held.app.status()).build.version, null);
  await held.commits(second, "v2");
});

for (
  const [name, setting] of [["a", {}], ["a frozen", { lock: { path: "deno.lock", frozen: true } }]] as const
) {
  Deno.test(`${name} lock file of an application is used and stays as it is, to the byte`, async () => {
    await using dir = tempDir();
    const lock = await lockWithoutHeirloom(`${dir.path}/made`);
    const more = { "deno.json": config(setting), "deno.lock": lock };
    const first = await writeApp(`${dir.path}/first`, { files: files("v1", more) });
    const second = await writeApp(`${dir.path}/second`, { files: files("v2", more) });
    await using held = await startHeld(first, freePort());
    await held.commits(first, "v1");
    await updates(held, second);
    const failing = await writeApp(`${dir.path}/failing`, {
      files: files("v3", {
        ...more,
        "own/greeting.ts": `${onlyForReal('throw new Error("no greeting");')}\nexport const greeting = "";\n`,
      }),
    });
    assertEquals((await held.app.upgrade({ build: failing })).outcome, "rolled-back");
    await held.holds("v2", 2);
    for (const build of ["first", "second", "failing"]) {
      assertEquals(await Deno.readTextFile(`${dir.path}/${build}/deno.lock`), lock, build);
    }
  });
}

Deno.test("--deno-args reach the runtime, in every generation", async () => {
  await using all = builds();
  const routes = '  if (path === "/gc") return new Response(typeof (globalThis as { gc?: unknown }).gc);';
  const entry = await all.write("app", { routes });
  await using held = await startHeld(entry, freePort(), { denoArgs: ["--v8-flags=--expose-gc", "--quiet"] });
  assertEquals(await held.client.text("/gc"), "function");
  await held.commits(entry, "v1");
  assertEquals(await held.client.text("/gc"), "function");
});

Deno.test("an entry through a symbolic link is resolved anew by each update", async (t) => {
  await using all = builds();
  const [v1, v2, v3] = [
    await all.write("v1", { label: "v1" }),
    await all.write("v2", { label: "v2" }),
    await all.write("v3", opensInCheck('throw new Error("v3 is bad");')),
  ];
  const current = `${all.path}/current`;
  const pointTo = async (name: string): Promise<void> => {
    await Deno.symlink(`${all.path}/${name}`, `${current}.new`);
    await Deno.rename(`${current}.new`, current);
  };
  await pointTo("v1");
  await using held = await startHeld(`${current}/main.ts`, freePort());
  const path = async (): Promise<string> => (await held.app.status()).build.path;
  assertEquals(await path(), v1);

  await t.step("to where it leads now", async () => {
    await pointTo("v2");
    assertEquals(await path(), v1, "nothing changes before the update");
    const { code, stdout, stderr } = await held.app.upgradeCli();
    assertEquals(code, 0, stderr);
    assertMatch(stdout, /committed/);
    await held.holds("v2", 1);
    assertEquals(await path(), v2);
  });
  await t.step("back to the real path of the old build when the new one fails", async () => {
    await pointTo("v3");
    const record = await held.app.upgrade();
    assertEquals([record.outcome, record.to.path], ["rolled-back", v3]);
    await held.holds("v2", 1);
    assertEquals(await path(), v2);
  });
  await t.step("and forth again by the same name", async () => {
    await pointTo("v1");
    const record = await held.app.upgrade();
    assertEquals([record.outcome, record.to.path], ["committed", v1]);
    await held.holds("v1", 2);
  });
  await t.step("--build gives another name", async () => {
    await held.commits(`${all.path}/v2`, "v2");
    await pointTo("v3");
    assertEquals(
      (await held.app.upgrade()).outcome,
      "committed",
      "the name is the directory now, not the link",
    );
    await held.holds("v2", 4);
  });
  assert((await held.app.history()).length === 5);
});
