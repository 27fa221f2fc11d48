import { assertEquals } from "@std/assert";

import { tempDir } from "../testing/wait.ts";
import { moduleUrl, runProgram, sampleSpec } from "./helpers_test.ts";
import { composeArguments, lockFileOf, nearestConfig, versionOf } from "./launch.ts";

/** A directory with a configuration, and perhaps lock files. */
async function configured(
  config: string,
  locks: readonly string[] = [],
): Promise<{ path: string; config: string } & AsyncDisposable> {
  const dir = tempDir("heirloom-launch-");
  await Deno.writeTextFile(`${dir.path}/deno.json`, config);
  for (const name of locks) await Deno.writeTextFile(`${dir.path}/${name}`, "{}");
  return {
    path: dir.path,
    config: `${dir.path}/deno.json`,
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

Deno.test("composeArguments() without a configuration asks for none, and for no lock", () => {
  const spec = sampleSpec();
  assertEquals(composeArguments(spec, ["a", "--b"]), [
    "deno",
    "run",
    "-A",
    "--no-config",
    "--no-lock",
    "/opt/heirloom/live/boot.ts",
    JSON.stringify(spec),
    "a",
    "--b",
  ]);
});

Deno.test("composeArguments() names the configuration and the lock that is there", async () => {
  await using dir = await configured("{}", ["deno.lock"]);
  const args = composeArguments(sampleSpec({ config: dir.config }), []);
  assertEquals(args.slice(3, 6), ["--config", dir.config, `--lock=${dir.path}/deno.lock`]);
  await Deno.remove(`${dir.path}/deno.lock`);
  assertEquals(composeArguments(sampleSpec({ config: dir.config }), [])[5], "--no-lock");
});

for (
  const [flags, kept] of [
    [["--config=/x.json"], ["--no-lock", "--config=/x.json"]],
    [["--config", "/x.json"], ["--no-lock", "--config", "/x.json"]],
    [["-c", "/x.json"], ["--no-lock", "-c", "/x.json"]],
    [["--no-config"], ["--no-lock", "--no-config"]],
    [["--import-map=/m.json"], ["--no-lock", "--import-map=/m.json"]],
    [["--lock=/l.json"], ["--no-config", "--lock=/l.json"]],
    [["--no-lock"], ["--no-config", "--no-lock"]],
    [["--v8-flags=--expose-gc"], ["--no-config", "--no-lock", "--v8-flags=--expose-gc"]],
  ] as const
) {
  Deno.test(`composeArguments() leaves the application's own flags alone: ${flags.join(" ")}`, () => {
    const args = composeArguments(sampleSpec({ denoArgs: [...flags] }), []);
    assertEquals(args.slice(3, -2), [...kept]);
  });
}

for (
  const [name, config, locks, expected] of [
    ["no setting", "{}", ["deno.lock"], "deno.lock"],
    ["true", '{"lock": true}', ["deno.lock"], "deno.lock"],
    ["only frozen", '{"lock": {"frozen": true}}', ["deno.lock"], "deno.lock"],
    ["a path", '{"lock": "my.lock"}', ["deno.lock", "my.lock"], "my.lock"],
    ["a path in a document", '{"lock": {"path": "my.lock"}}', ["deno.lock", "my.lock"], "my.lock"],
    ["false", '{"lock": false}', ["deno.lock"], null],
    ["a path that leads nowhere", '{"lock": "gone.lock"}', ["deno.lock"], null],
    ["no lock file", "{}", [], null],
    ["a configuration that does not parse", "{", ["deno.lock"], "deno.lock"],
  ] as const
) {
  Deno.test(`lockFileOf() with ${name} gives ${expected}`, async () => {
    await using dir = await configured(config, locks);
    assertEquals(lockFileOf(dir.config), expected === null ? null : `${dir.path}/${expected}`);
  });
}

Deno.test("lockFileOf() takes an absolute path as it is", async () => {
  await using other = await configured("{}", ["l.json"]);
  await using dir = await configured(`{"lock": "${other.path}/l.json"}`);
  assertEquals(lockFileOf(dir.config), `${other.path}/l.json`);
});

Deno.test("nearestConfig() looks in the folder and in those above it", async () => {
  await using dir = tempDir("heirloom-launch-");
  await Deno.mkdir(`${dir.path}/a/b`, { recursive: true });
  const entry = `${dir.path}/a/b/main.ts`;
  assertEquals(nearestConfig(entry), null);
  await Deno.writeTextFile(`${dir.path}/deno.jsonc`, "{}");
  assertEquals(nearestConfig(entry), `${dir.path}/deno.jsonc`);
  await Deno.mkdir(`${dir.path}/a/deno.json`);
  assertEquals(nearestConfig(entry), `${dir.path}/deno.jsonc`);
  await Deno.writeTextFile(`${dir.path}/a/b/deno.json`, "{}");
  await Deno.writeTextFile(`${dir.path}/a/b/deno.jsonc`, "{}");
  assertEquals(nearestConfig(entry), `${dir.path}/a/b/deno.json`);
});

Deno.test("versionOf() reads the version, through comments and trailing commas", async () => {
  const cases: [string, string | null][] = [
    ['{"version": "1.2.3"}', "1.2.3"],
    ['// "version": "0"\n{ /* "version": "0" */ "version": "2.0.0", // end\n}', "2.0.0"],
    ['{"name": "http://x//y", "version": "3.0.0",}', "3.0.0"],
    ['{"name": "a \\" // b", "version": "4.0.0"}', "4.0.0"],
    ['{"version": 5}', null],
    ["{}", null],
    ["[]", null],
    ["null", null],
    ["no JSON", null],
  ];
  await using dir = tempDir("heirloom-launch-");
  for (const [text, version] of cases) {
    await Deno.writeTextFile(`${dir.path}/deno.json`, text);
    assertEquals(versionOf(`${dir.path}/deno.json`), version, text);
  }
  assertEquals([versionOf(null), versionOf(`${dir.path}/gone.json`)], [null, null]);
});

Deno.test("entryIndex() finds the entry module however it is written, and not among the flags", async () => {
  await using dir = tempDir("heirloom-launch-");
  const folder = `${dir.path}/a b#c%41`;
  await Deno.mkdir(`${folder}/sub`, { recursive: true });
  await Deno.writeTextFile(
    `${folder}/app.ts`,
    `import { entryIndex } from "${moduleUrl("launch.ts")}";
import { commandLine } from "${moduleUrl("../sys/mod.ts")}";
const main = decodeURIComponent(new URL(Deno.mainModule).pathname);
const [argv, cwd] = [commandLine(), Deno.cwd()];
console.log(entryIndex(argv, main, cwd), entryIndex(argv, main + "x", cwd));
`,
  );
  const url = `file://${folder.split("/").map(encodeURIComponent).join("/")}/app.ts`;
  const cases: [cwd: string, before: string[], entry: string][] = [
    [folder, [], "app.ts"],
    [folder, ["--quiet"], "./app.ts"],
    [`${folder}/sub`, [], "../app.ts"],
    [`${folder}/sub`, [], "../sub//../app.ts"],
    ["/", [], `${folder}/app.ts`],
    ["/", ["--v8-flags=--expose-gc"], url],
  ];
  for (const [cwd, before, entry] of cases) {
    const args = ["run", "-A", "--no-lock", "--no-config", ...before, entry, entry];
    const { code, stdout, stderr } = await runProgram(Deno.execPath(), args, { cwd });
    assertEquals([code, stdout], [0, `${5 + before.length} -1\n`], `${cwd} ${entry} ${stderr}`);
  }
});
