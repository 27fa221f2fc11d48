import { assertEquals, assertMatch } from "@std/assert";

import { copyTree, heirloomRoot, tempDir } from "../testing/mod.ts";
import { runProgram } from "./helpers_test.ts";
import { ROOT, VERSION } from "./version.ts";

const readJson = async (name: string): Promise<Record<string, unknown>> =>
  JSON.parse(await Deno.readTextFile(`${ROOT}${name}`));

/** The version of cborg that a module of ours names, which must be one. */
async function cborgOf(name: string): Promise<string> {
  const text = await Deno.readTextFile(`${ROOT}${name}`);
  const [version, ...others] = new Set(
    [...text.matchAll(/cborg@([0-9][^"'/\s]*)/g)].map(([, found]) => found),
  );
  assertEquals(others, [], name);
  return version ?? "none";
}

Deno.test("VERSION is that of deno.json", async () => {
  assertEquals((await readJson("deno.json"))["version"], VERSION);
});

Deno.test("ROOT is the folder of this copy", () => {
  assertEquals(ROOT, `${heirloomRoot()}/`);
});

Deno.test("cborg is pinned to the same version wherever it is named", async () => {
  const version = await cborgOf("kho/codec.ts");
  assertMatch(version, /^\d+\.\d+\.\d+$/);
  assertEquals(await cborgOf("live/lock_file.ts"), version);
  const { specifiers, npm } = await readJson("deno.lock") as {
    specifiers: Record<string, string>;
    npm: Record<string, { integrity?: string }>;
  };
  const ours = Object.keys(specifiers).filter((name) => name.startsWith("npm:cborg"));
  assertEquals(ours, [`npm:cborg@${version}`]);
  assertEquals(specifiers[`npm:cborg@${version}`], version);
  assertMatch(npm[`cborg@${version}`]?.integrity ?? "", /^sha512-/);
});

Deno.test("a copy under a path with every difficult character has a version and runs an application", async () => {
  await using dir = tempDir("heirloom-root-");
  const root = await copyTree(heirloomRoot(), `${dir.path}/a b%20c#d?e ü`);
  const cli = (...args: string[]) => runProgram(Deno.execPath(), ["run", "-A", `${root}/main.ts`, ...args]);
  const version = await cli("--version");
  assertEquals([version.code, version.stdout], [0, `heirloom ${VERSION}\n`], version.stderr);

  const app = `${dir.path}/an app#1/main.ts`;
  await Deno.mkdir(`${dir.path}/an app#1`);
  await Deno.writeTextFile(app, `console.log(JSON.stringify([Deno.args, import.meta.filename]));\n`);
  const { code, stdout, stderr } = await cli(
    "run",
    "--socket",
    `${dir.path}/s.sock`,
    app,
    "one",
    "two words",
  );
  assertEquals([code, stderr], [0, ""]);
  assertEquals(JSON.parse(stdout), [["one", "two words"], app]);
});
