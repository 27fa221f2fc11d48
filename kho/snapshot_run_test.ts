import { assert, assertEquals } from "@std/assert";

import { type TempDir, tempDir } from "../testing/wait.ts";
import { loadGraph, type ModuleGraph } from "./load.ts";
import { type Snapshot, Snapshots } from "./snapshot.ts";

/** A name that a path keeps, and that a URL has to escape. */
const ODD = "äpp %20 #1?";

interface Ran {
  code: number;
  lines: string[];
  stderr: string;
}

/** A program and the files around it: `app/` below a folder of its own, snapshots in `state/`. */
class Project implements AsyncDisposable {
  readonly app: string;
  readonly snapshots: Snapshots;
  readonly #directory: TempDir;

  constructor(files: Record<string, string>) {
    this.#directory = tempDir("heirloom-snapshot-");
    this.app = `${this.#directory.path}/${ODD}`;
    this.snapshots = new Snapshots(`${this.#directory.path}/state ${ODD}`);
    for (const [name, text] of Object.entries(files)) this.write(name, text);
  }

  write(name: string, text: string): void {
    const path = `${this.app}/${name}`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(path, text);
  }

  flags(place: string): string[] {
    return ["--config", `${place}/deno.json`, "--no-lock"];
  }

  graph(): Promise<ModuleGraph> {
    const entry = `${this.app}/main.ts`;
    const argv = [Deno.execPath(), "run", "-A", ...this.flags(this.app), entry];
    return loadGraph({ exec: Deno.execPath(), entry, argv, config: `${this.app}/deno.json`, cwd: "/" });
  }

  async take(configs: string[] = []): Promise<Snapshot> {
    const { errors, fingerprint, modules } = await this.graph();
    assertEquals(errors, []);
    const snapshot = await this.snapshots.take(fingerprint, {
      modules,
      configs: ["deno.json", ...configs].map((name) => `${this.app}/${name}`),
      roots: [this.app],
    });
    for (const module of modules) {
      assertEquals(snapshot.has(module), !module.includes("/node_modules/"), module);
    }
    return snapshot;
  }

  /** Runs the program as it is in a folder: that of the application, or its copy. */
  async run(place: string): Promise<Ran> {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", ...this.flags(place), `${place}/main.ts`, "one", "two"],
      cwd: "/",
      stdin: "null",
      env: { NO_COLOR: "1" },
    }).output();
    const decoder = new TextDecoder();
    return { code, lines: decoder.decode(stdout).split("\n").slice(0, -1), stderr: decoder.decode(stderr) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#directory[Symbol.asyncDispose]();
  }
}

const BROKEN = `throw new Error("the new one");\n`;

const APP = {
  "main.ts": `import { one } from "./lib/one.ts";
import { mapped } from "mapped";
import { deep } from "deep/value.ts";
import { outside } from "../common/outside.ts";
import { linked } from "./lib/linked.ts";
import { inside } from "./linked/inside.ts";
import data from "./data.json" with { type: "json" };
import local, { type Shape } from "@scope/member";
const lazy = await import("./lib/lazy.ts");
const asset = await Deno.readTextFile(new URL("./static/asset.txt", import.meta.url));
console.log([one, mapped, deep, outside, linked, inside, data.value, (local satisfies Shape).x, lazy.lazy].join());
console.log(asset, await Deno.readTextFile(import.meta.dirname + "/beside.txt"), Deno.args.join());
`,
  "lib/one.ts":
    `export const one: string = "one" + await (await fetch(new URL("../static/asset.txt", import.meta.url))).text();`,
  "lib/mapped.ts": `export const mapped = "mapped";`,
  "lib/deep/value.ts": `export const deep = "deep";`,
  "lib/lazy.ts": `export const lazy = "lazy";`,
  "../common/outside.ts": `export const outside = "outside";`,
  "../elsewhere/linked.ts": `export const linked = "linked";`,
  "../elsewhere/folder/inside.ts": `import { near } from "./near.ts"; export const inside = "inside" + near;`,
  "../elsewhere/folder/near.ts": `export const near = "near";`,
  "data.json": `{ "value": "data" }`,
  "static/asset.txt": "asset",
  "beside.txt": "beside",
  "member/deno.json": `{ "name": "@scope/member", "version": "1.0.0", "exports": "./mod.ts" }`,
  "member/mod.ts":
    `export interface Shape { x: string }\nconst value: Shape = { x: "member" };\nexport default value;`,
  "other/deno.json": `{ "name": "@scope/other", "version": "1.0.0", "exports": "./mod.ts" }`,
  "other/mod.ts": ``,
  "deno.json": `{
  "workspace": ["./member", "./other"],
  "imports": { "mapped": "./lib/mapped.ts", "deep/": "./lib/deep/" }
}`,
};

/** Configurations that the runtime reads besides the one it is given. */
const MEMBERS = ["member/deno.json", "other/deno.json"];

const OUTPUT = ["oneasset,mapped,deep,outside,linked,insidenear,data,member,lazy", "asset beside one,two"];

function linkedProject(): Project {
  const project = new Project(APP);
  Deno.symlinkSync("../../elsewhere/linked.ts", `${project.app}/lib/linked.ts`);
  Deno.symlinkSync("../elsewhere/folder", `${project.app}/linked`);
  return project;
}

Deno.test("a program runs from its snapshot as it did, whatever has become of its modules", async () => {
  await using project = linkedProject();
  assertEquals((await project.run(project.app)).lines, OUTPUT);
  const snapshot = await project.take(MEMBERS);
  for (const name of Object.keys(APP)) {
    if (name.endsWith(".ts")) project.write(name, BROKEN);
    else if (name.endsWith(".json")) project.write(name, "broken");
  }
  assertEquals((await project.run(project.app)).code, 1);
  assertEquals(await project.run(snapshot.path(project.app)), { code: 0, lines: OUTPUT, stderr: "" });
});

Deno.test("a program runs from its snapshot when its modules are gone, and finds assets as they are then", async () => {
  await using project = linkedProject();
  const snapshot = await project.take(MEMBERS);
  for (const name of ["main.ts", "deno.json", "lib", "linked", "member", "../common", "../elsewhere"]) {
    Deno.removeSync(`${project.app}/${name}`, { recursive: true });
  }
  project.write("static/asset.txt", "newer");
  const lines = OUTPUT.map((line) => line.replace("asset", "newer"));
  assertEquals(await project.run(snapshot.path(project.app)), { code: 0, lines, stderr: "" });
});

/** A package of npm, as it is installed. */
function packageFiles(folder: string, name: string, files: Record<string, string>): Record<string, string> {
  const type = Object.keys(files).some((file) => file.endsWith(".cjs")) ? "commonjs" : "module";
  const main = Object.keys(files)[0];
  return Object.fromEntries(
    Object.entries({ ...files, "package.json": JSON.stringify({ name, version: "1.0.0", type, main }) })
      .map(([file, text]) => [`${folder}/node_modules/${name}/${file}`, text]),
  );
}

const PACKAGES = {
  ...packageFiles(".", "esm", {
    "index.js": `import { inner } from "./lib/inner.js"; export const esm = "esm " + inner;`,
    "lib/inner.js": `import { dep } from "dep"; export const inner = "inner " + dep;`,
  }),
  ...packageFiles(".", "dep", {
    "index.js": `export const dep = "dep"; globalThis.loads = (globalThis.loads ?? 0) + 1;`,
  }),
  ...packageFiles(".", "common", {
    "index.cjs": `module.exports = { common: require("./inner.cjs") };`,
    "inner.cjs": `module.exports = "common";`,
  }),
  ...packageFiles("..", "hoisted", { "index.js": `export const hoisted = "hoisted";` }),
};

Deno.test("a program with packages in node_modules runs from its snapshot", async () => {
  const sources = {
    "main.ts": `import { esm } from "esm";
import { dep } from "dep";
import common from "common";
import { lib } from "./lib/lib.ts";
console.log(esm, dep, common.common, lib, (globalThis as unknown as { loads: number }).loads);
`,
    "lib/lib.ts": `import { hoisted } from "hoisted"; export const lib = hoisted;`,
    "package.json":
      `{ "dependencies": { "esm": "1.0.0", "dep": "1.0.0", "common": "1.0.0", "hoisted": "1.0.0" } }`,
    "deno.json": `{ "nodeModulesDir": "manual" }`,
  };
  await using project = new Project({ ...PACKAGES, ...sources });
  const output = ["esm inner dep dep common hoisted 1"];
  assertEquals((await project.run(project.app)).lines, output);
  const snapshot = await project.take(["package.json"]);
  for (const name of Object.keys(sources)) project.write(name, name.endsWith(".ts") ? BROKEN : "broken");
  assertEquals((await project.run(project.app)).code, 1);
  assertEquals(await project.run(snapshot.path(project.app)), { code: 0, lines: output, stderr: "" });
});

Deno.test("a program with a node_modules that the runtime makes runs from its snapshot", async () => {
  const { imports } = JSON.parse(await Deno.readTextFile(new URL("../deno.json", import.meta.url)));
  const specifier = new URL(".", imports["@std/assert"].replace(/^npm:/, "file:///")).pathname.split("/")[1];
  await using project = new Project({
    "main.ts": `import { assertEquals } from "assert"; assertEquals(1, 1); console.log("asserted");`,
    "deno.json": `{ "nodeModulesDir": "auto", "imports": { "assert": "npm:${specifier}/assert/mod.js" } }`,
  });
  assertEquals((await project.run(project.app)).lines, ["asserted"]);
  assert((await Deno.stat(`${project.app}/node_modules`)).isDirectory);
  const snapshot = await project.take();
  project.write("main.ts", BROKEN);
  project.write("deno.json", `{ "nodeModulesDir": "auto" }`);
  assertEquals((await project.run(project.app)).code, 1);
  assertEquals(await project.run(snapshot.path(project.app)), { code: 0, lines: ["asserted"], stderr: "" });
});

Deno.test("a snapshot of a program has the fingerprint of the program", async () => {
  await using project = linkedProject();
  const { fingerprint } = await project.graph();
  const snapshot = await project.take(MEMBERS);
  const copy = snapshot.path(project.app);
  const entry = `${copy}/main.ts`;
  const argv = [Deno.execPath(), "run", "-A", ...project.flags(copy), entry];
  const graph = await loadGraph({
    exec: Deno.execPath(),
    entry,
    argv,
    config: `${copy}/deno.json`,
    cwd: "/",
  });
  assertEquals([graph.errors, graph.fingerprint], [[], fingerprint]);
  for (const module of graph.modules) assert(snapshot.has(module), module);
});
