import { assertEquals, assertThrows } from "@std/assert";

import { heirloomRoot } from "../testing/app_command.ts";
import { tempDir } from "../testing/wait.ts";
import { runProgram, sampleSpec } from "./helpers_test.ts";
import { composeArguments, type LaunchSpec } from "./launch.ts";
import { prepareLock } from "./lock_file.ts";

/** An application with a lock file of this content, and its launch. */
async function locked(
  lock: string | null,
  changes: Partial<LaunchSpec> = {},
): Promise<{ path: string; spec: LaunchSpec; copy: string } & AsyncDisposable> {
  const dir = tempDir("heirloom-lock-");
  await Deno.writeTextFile(`${dir.path}/deno.json`, "{}");
  if (lock !== null) await Deno.writeTextFile(`${dir.path}/deno.lock`, lock);
  const spec = sampleSpec({
    config: `${dir.path}/deno.json`,
    heirloom: `${heirloomRoot()}/`,
    socket: `${dir.path}/s.sock`,
    ...changes,
  });
  const copy = `${spec.socket}.lock.json`;
  return { path: dir.path, spec, copy, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() };
}

const THEIRS = { version: "5", specifiers: { "npm:left-pad@1": "1.3.0" }, npm: { "left-pad@1.3.0": {} } };

async function ours(): Promise<{ specifiers: Record<string, string>; npm: Record<string, unknown> }> {
  return JSON.parse(await Deno.readTextFile(`${heirloomRoot()}/deno.lock`));
}

Deno.test("prepareLock() adds our package to a copy, and leaves the application's lock alone", async () => {
  await using app = await locked(JSON.stringify(THEIRS));
  prepareLock(app.spec);
  assertEquals(app.spec.denoArgs, [`--lock=${app.copy}`]);
  assertEquals(JSON.parse(await Deno.readTextFile(`${app.path}/deno.lock`)), THEIRS);
  const { specifiers, npm } = await ours();
  const [specifier = ""] = Object.keys(specifiers).filter((name) => name.startsWith("npm:cborg@"));
  const version = specifiers[specifier] ?? "";
  assertEquals(JSON.parse(await Deno.readTextFile(app.copy)), {
    version: "5",
    specifiers: { ...THEIRS.specifiers, [specifier]: version },
    npm: { ...THEIRS.npm, [`cborg@${version}`]: npm[`cborg@${version}`] },
  });
});

Deno.test("prepareLock() twice gives the argument once, also when the copy is not needed any more", async () => {
  await using app = await locked(JSON.stringify(THEIRS), { denoArgs: ["--quiet"] });
  prepareLock(app.spec);
  prepareLock(app.spec);
  assertEquals(app.spec.denoArgs, ["--quiet", `--lock=${app.copy}`]);
  await Deno.remove(`${app.path}/deno.lock`);
  prepareLock(app.spec);
  assertEquals(app.spec.denoArgs, ["--quiet"]);
});

for (
  const [name, lock] of [
    ["no lock file", null],
    ["a lock that cannot be read", "{"],
    ["a lock that is null", "null"],
  ] as const
) {
  Deno.test(`prepareLock() does nothing with ${name}`, async () => {
    await using app = await locked(lock);
    prepareLock(app.spec);
    assertEquals(app.spec.denoArgs, []);
    assertThrows(() => Deno.statSync(app.copy), Deno.errors.NotFound);
  });
}

Deno.test("prepareLock() does nothing with a lock that knows our package, or without a configuration", async () => {
  await using app = await locked(JSON.stringify(await ours()));
  prepareLock(app.spec);
  assertEquals(app.spec.denoArgs, []);
  const bare = sampleSpec({ socket: app.spec.socket });
  prepareLock(bare);
  assertEquals(bare.denoArgs, []);
  assertThrows(() => Deno.statSync(app.copy), Deno.errors.NotFound);
});

for (const flag of ["--no-lock", "--lock=/elsewhere.json", "--lock"]) {
  Deno.test(`prepareLock() does not displace the application's own ${flag}`, async () => {
    await using app = await locked(JSON.stringify(THEIRS), { denoArgs: [flag] });
    prepareLock(app.spec);
    assertEquals(app.spec.denoArgs, [flag]);
  });
}

Deno.test("prepareLock() makes a frozen lock without our package start", async () => {
  const lock = JSON.stringify({ version: "5" });
  await using app = await locked(lock, { denoArgs: ["--frozen"] });
  const entry = `${app.path}/main.ts`;
  await Deno.writeTextFile(entry, 'console.log("runs");');
  Object.assign(app.spec, { entry, name: entry });
  const start = () => runProgram(Deno.execPath(), composeArguments(app.spec, []).slice(1));
  const without = await start();
  assertEquals([without.code, without.stdout], [1, ""], without.stderr);
  prepareLock(app.spec);
  const { code, stdout, stderr } = await start();
  assertEquals([code, stdout], [0, "runs\n"], stderr);
  assertEquals(await Deno.readTextFile(`${app.path}/deno.lock`), lock);
});
