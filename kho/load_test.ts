import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";

import { copyTree } from "../testing/build.ts";
import { type TempDir, tempDir } from "../testing/wait.ts";
import { loadGraph, type ModuleGraph, resolutionFlags } from "./load.ts";

const APP = {
  "main.ts": `import { one } from "./lib/one.ts";\nconsole.log(one);\n`,
  "lib/one.ts": `export const one = 1;\n`,
  "other.ts": `not even a module (\n`,
  "deno.json": `{ "version": "1.0.0" }\n`,
};

function writeTree(files: Record<string, string>): TempDir {
  const directory = tempDir("heirloom-load-");
  for (const [name, text] of Object.entries(files)) {
    const path = `${directory.path}/${name}`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(path, text);
  }
  return directory;
}

function load(directory: string, config: string | null = "deno.json"): Promise<ModuleGraph> {
  const entry = `${directory}/main.ts`;
  const path = config === null ? null : `${directory}/${config}`;
  const flags = path === null ? ["--no-config"] : ["--config", path];
  const argv = [Deno.execPath(), "run", "-A", ...flags, entry];
  return loadGraph({ exec: Deno.execPath(), entry, argv, config: path, cwd: directory });
}

Deno.test("loadGraph() lists what the entry reaches, and nothing else", async () => {
  await using tree = writeTree(APP);
  const graph = await load(tree.path);
  assertEquals(graph.modules, [`${tree.path}/lib/one.ts`, `${tree.path}/main.ts`]);
  assertEquals(graph.errors, []);
  assert(/^[0-9a-f]{64}$/.test(graph.fingerprint), graph.fingerprint);
});

Deno.test("loadGraph() runs nothing", async () => {
  await using tree = writeTree({ "main.ts": `Deno.writeTextFileSync("ran", ""); Deno.exit(3);` });
  assertEquals((await load(tree.path, null)).errors, []);
  await assertRejects(() => Deno.stat(`${tree.path}/ran`), Deno.errors.NotFound);
});

Deno.test("loadGraph() gives a copied tree the same fingerprint, and a changed one another", async () => {
  await using tree = writeTree(APP);
  await using other = tempDir("heirloom-load-");
  const copy = `${other.path}/copy`;
  await copyTree(tree.path, copy);
  const { fingerprint } = await load(tree.path);
  assertEquals((await load(copy)).fingerprint, fingerprint);
  const seen = new Set([fingerprint, (await load(copy, null)).fingerprint]);
  for (const [name, size] of [["main.ts", 3], ["lib/one.ts", 4], ["deno.json", 5]] as const) {
    Deno.writeTextFileSync(`${copy}/${name}`, "\n", { append: true });
    seen.add((await load(copy)).fingerprint);
    assertEquals(seen.size, size, name);
  }
  const before = (await load(copy)).fingerprint;
  Deno.writeTextFileSync(`${copy}/other.ts`, "\n", { append: true });
  assertEquals((await load(copy)).fingerprint, before, "a file that the entry does not reach");
});

Deno.test("loadGraph() gives a renamed module another fingerprint", async () => {
  await using tree = writeTree(APP);
  await using renamed = writeTree({
    ...APP,
    "main.ts": APP["main.ts"].replace("one.ts", "eno.ts"),
    "lib/eno.ts": APP["lib/one.ts"],
  });
  assert((await load(tree.path)).fingerprint !== (await load(renamed.path)).fingerprint);
});

Deno.test("loadGraph() reports a syntax error with its place, wherever it is", async () => {
  for (const name of ["main.ts", "lib/one.ts"]) {
    await using tree = writeTree({ ...APP, [name]: `${APP[name as "main.ts"]}const = 2;\n` });
    const { errors } = await load(tree.path);
    assertEquals(errors.length, 1);
    assertStringIncludes(errors[0] ?? "", `${tree.path}/${name}:`);
    assertEquals(errors[0]?.includes("\n"), false);
  }
});

Deno.test("loadGraph() reports a static import that is missing, and not a dynamic one", async () => {
  await using missing = writeTree({ "main.ts": `import "./gone.ts";` });
  const { errors } = await load(missing.path, null);
  assertEquals(errors.length, 1);
  assertStringIncludes(errors[0] ?? "", `${missing.path}/gone.ts`);

  await using bare = writeTree({ "main.ts": `import "bare-name";` });
  assertStringIncludes((await load(bare.path, null)).errors[0] ?? "", "bare-name");

  await using dynamic = writeTree({
    "main.ts": `import("./gone.ts").catch(() => 0); import("bare-name").catch(() => 0); import("./bad.ts");`,
    "bad.ts": "const = 1;",
  });
  assertEquals((await load(dynamic.path, null)).errors, []);
});

Deno.test("loadGraph() reports an entry that is not there", async () => {
  await using tree = writeTree({});
  const { errors, modules } = await load(tree.path, null);
  assertEquals(modules, []);
  assertStringIncludes(errors[0] ?? "", "main.ts");
});

Deno.test("loadGraph() says what keeps the runtime from answering", async () => {
  await using tree = writeTree({ ...APP, "broken.json": "{" });
  await assertRejects(() => load(tree.path, "broken.json"), Error, `Cannot load ${tree.path}/main.ts: `);
  await assertRejects(() => load(tree.path, "gone.json"), Error, `Cannot load ${tree.path}/main.ts: `);
  const target = { entry: `${tree.path}/main.ts`, argv: [], config: null, cwd: tree.path };
  await assertRejects(() => loadGraph({ ...target, exec: `${tree.path}/deno` }), Error, `${tree.path}/deno`);
  await assertRejects(() => loadGraph({ ...target, exec: "/bin/false" }), Error, "/bin/false info: exit 1");
  await assertRejects(() => loadGraph({ ...target, exec: "/bin/true" }), Error);
});

Deno.test("loadGraph() ends its child when it is told to", async () => {
  await using tree = writeTree(APP);
  Deno.writeTextFileSync(`${tree.path}/hang`, "#!/bin/sh\nexec sleep 600\n", { mode: 0o755 });
  const exec = `${tree.path}/hang`;
  const target = { exec, entry: `${tree.path}/main.ts`, argv: [], config: null, cwd: tree.path };
  await assertRejects(() => loadGraph(target, AbortSignal.timeout(200)), Error, "Cannot load");
});

Deno.test("resolutionFlags() takes what decides about imports, and stops at the entry", () => {
  const flags = [
    "-A",
    "--config",
    "/d.json",
    "--lock",
    "/l",
    "--seed",
    "1",
    "--import-map=/m.json",
    "--no-remote",
    "--v8-flags=-x",
  ];
  const argv = ["deno", "run", ...flags, "--unstable-cron", "-c", "/e.json", "/app.ts", "--config", "/own"];
  assertEquals(resolutionFlags(argv, "/app.ts"), [
    "--config",
    "/d.json",
    "--import-map=/m.json",
    "--no-remote",
    "--unstable-cron",
    "-c",
    "/e.json",
  ]);
  assertEquals(resolutionFlags(["deno", "run", "/app.ts"], "/app.ts"), []);
  assertEquals(resolutionFlags([], "/app.ts"), []);
  const booted = ["deno", "run", "-A", "--no-config", "/h/live/boot.ts", "{}", "--config", "/own"];
  assertEquals(resolutionFlags(booted, "/app.ts"), ["--no-config"]);
});
