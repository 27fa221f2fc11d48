import { assertEquals } from "@std/assert";

import { tempDir } from "../testing/wait.ts";
import { type ChildOptions, moduleUrl, runProgram } from "./helpers_test.ts";

const SCRIPT = `import { captureSelf } from "${moduleUrl("self.ts")}";
const { image, spec, args, inherited } = captureSelf(null, null, null);
const { argv, entry, config, version, cwd, names, fingerprint, umask } = image;
const env = image.env.map((entry) => new TextDecoder().decode(entry)).filter((entry) => entry.startsWith("SELF_"));
console.log(JSON.stringify({ argv, entry, config, version, cwd, names, fingerprint, umask, env, spec, args, inherited }));
`;

/** A directory with `v1/app.ts`, to which `current` leads. */
async function app(): Promise<{ path: string } & AsyncDisposable> {
  const dir = tempDir("heirloom-self-");
  const path = await Deno.realPath(dir.path);
  await Deno.mkdir(`${path}/v1`);
  await Deno.writeTextFile(`${path}/v1/app.ts`, SCRIPT);
  await Deno.symlink("v1", `${path}/current`);
  return { path, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() };
}

async function capture(
  program: string,
  args: string[],
  options: ChildOptions,
): Promise<Record<string, unknown>> {
  const { stdout, stderr } = await runProgram(program, args, options);
  assertEquals(stderr, "");
  return JSON.parse(stdout);
}

Deno.test("captureSelf() of a program that was started by hand holds what can be started again", async () => {
  await using dir = await app();
  await Deno.writeTextFile(`${dir.path}/deno.json`, '{"version": "1.2.3"}');
  const flags = ["run", "-A", "--no-lock", "--v8-flags=--expose-gc"];
  const self = await capture(Deno.execPath(), [...flags, "current/app.ts", "a", "--b", "ü"], {
    cwd: dir.path,
    env: { SELF_X: "1" },
  });
  const entry = `${dir.path}/v1/app.ts`;
  assertEquals((self["argv"] as string[]).slice(1), [...flags, entry, "a", "--b", "ü"]);
  assertEquals([self["entry"], self["spec"], self["fingerprint"]], [entry, null, null]);
  assertEquals(self["args"], ["a", "--b", "ü"]);
  assertEquals(self["names"], { entry: `${dir.path}/current/app.ts`, exec: null });
  assertEquals([self["config"], self["version"]], [`${dir.path}/deno.json`, "1.2.3"]);
  assertEquals([self["cwd"], self["env"]], [dir.path, ["SELF_X=1"]]);
});

Deno.test("captureSelf() tells descriptors and umask that the surroundings gave", async () => {
  await using dir = await app();
  // What the test itself was started with is there as well.
  const start = (before: string) => {
    const command = `umask 027; ${before} exec "${Deno.execPath()}" run -A --no-lock v1/app.ts`;
    return capture("/bin/sh", ["-c", command], { cwd: dir.path });
  };
  const without = (await start("exec 7<&-;"))["inherited"] as number[];
  const self = await start("exec 7</dev/null;");
  assertEquals(without.includes(7), false);
  assertEquals(self["inherited"], [...without, 7].sort((a, b) => a - b));
  assertEquals(self["umask"], 0o027);
});
