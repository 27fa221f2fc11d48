import { assert, assertEquals } from "@std/assert";

import { heirloomRoot } from "../testing/app_command.ts";
import { tempDir } from "../testing/wait.ts";
import { runProgram, sampleSpec } from "./helpers_test.ts";
import { composeArguments, type LaunchSpec } from "./launch.ts";
import { prepareLock, removeOldLocks } from "./lock_file.ts";

/** An application with a lock file of this content, and its launch. */
async function locked(
  lock: string | null,
  changes: Partial<LaunchSpec> = {},
): Promise<{ path: string; spec: LaunchSpec } & AsyncDisposable> {
  const dir = tempDir("heirloom-lock-");
  await Deno.writeTextFile(`${dir.path}/deno.json`, "{}");
  if (lock !== null) await Deno.writeTextFile(`${dir.path}/deno.lock`, lock);
  const spec = sampleSpec({
    config: `${dir.path}/deno.json`,
    heirloom: `${heirloomRoot()}/`,
    socket: `${dir.path}/s.sock`,
    ...changes,
  });
  return { path: dir.path, spec, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() };
}

/** Paths of the copies beside the control socket. */
function copies({ spec: { socket } }: { spec: LaunchSpec }): string[] {
  const folder = socket.slice(0, socket.lastIndexOf("/"));
  return [...Deno.readDirSync(folder)].map(({ name }) => `${folder}/${name}`)
    .filter((path) => path.startsWith(`${socket}.`)).sort();
}

const THEIRS = { version: "5", specifiers: { "npm:left-pad@1": "1.3.0" }, npm: { "left-pad@1.3.0": {} } };

async function ours(): Promise<{ specifiers: Record<string, string>; npm: Record<string, unknown> }> {
  return JSON.parse(await Deno.readTextFile(`${heirloomRoot()}/deno.lock`));
}

Deno.test("prepareLock() adds our package to a copy, and leaves the application's lock alone", async () => {
  await using app = await locked(JSON.stringify(THEIRS));
  prepareLock(app.spec);
  const [copy = ""] = copies(app);
  assertEquals(app.spec.denoArgs, [`--lock=${copy}`]);
  assertEquals(JSON.parse(await Deno.readTextFile(`${app.path}/deno.lock`)), THEIRS);
  const { specifiers, npm } = await ours();
  const [specifier = ""] = Object.keys(specifiers).filter((name) => name.startsWith("npm:cborg@"));
  const version = specifiers[specifier] ?? "";
  assertEquals(JSON.parse(await Deno.readTextFile(copy)), {
    version: "5",
    specifiers: { ...THEIRS.specifiers, [specifier]: version },
    npm: { ...THEIRS.npm, [`cborg@${version}`]: npm[`cborg@${version}`] },
  });
});

Deno.test("prepareLock() twice gives the argument once, also when the copy is not needed any more", async () => {
  await using app = await locked(JSON.stringify(THEIRS), { denoArgs: ["--quiet"] });
  prepareLock(app.spec);
  prepareLock(app.spec);
  assertEquals(app.spec.denoArgs, ["--quiet", ...copies(app).map((copy) => `--lock=${copy}`)]);
  await Deno.remove(`${app.path}/deno.lock`);
  prepareLock(app.spec);
  assertEquals(app.spec.denoArgs, ["--quiet"]);
});

Deno.test("prepareLock() leaves the copy of the running build alone, until removeOldLocks() takes it away", async () => {
  await using app = await locked(JSON.stringify(THEIRS));
  prepareLock(app.spec);
  const running = [...app.spec.denoArgs];
  await Deno.writeTextFile(`${app.path}/deno.lock`, JSON.stringify({ ...THEIRS, remote: {} }));
  prepareLock(app.spec);
  assertEquals(copies(app).length, 2);
  assert(app.spec.denoArgs[0] !== running[0]);
  removeOldLocks(app.spec);
  assertEquals(copies(app).map((copy) => `--lock=${copy}`), app.spec.denoArgs);
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
    assertEquals(copies(app), []);
  });
}

Deno.test("prepareLock() does nothing with a lock that knows our package, or without a configuration", async () => {
  await using app = await locked(JSON.stringify(await ours()));
  prepareLock(app.spec);
  assertEquals(app.spec.denoArgs, []);
  const bare = sampleSpec({ socket: app.spec.socket });
  prepareLock(bare);
  assertEquals(bare.denoArgs, []);
  assertEquals(copies(app), []);
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
