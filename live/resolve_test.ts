import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";

import { sampleImage } from "../kho/samples_test.ts";
import { writeApp } from "../testing/build.ts";
import { heirloomRoot } from "../testing/app_command.ts";
import { tempDir } from "../testing/wait.ts";
import { sampleSpec } from "./helpers_test.ts";
import type { LaunchSpec } from "./launch.ts";
import { inspectBuild, resolveBuild, resolveEntry } from "./resolve.ts";
import type { Self } from "./self.ts";

/** A running build: `v1/main.ts` in a directory of its own, asked for as `current`, a symlink to `v1`. */
interface Running extends AsyncDisposable {
  path: string;
  self: Self;
  /** Writes a build and gives the path of its entry. */
  write(name: string, files?: Record<string, string>): Promise<string>;
}

async function running(mode: LaunchSpec["mode"] | "by hand" = "run"): Promise<Running> {
  const dir = tempDir("heirloom-resolve-");
  const path = await Deno.realPath(dir.path);
  const write = (name: string, files: Record<string, string> = { "main.ts": "console.log(1);\n" }) =>
    writeApp(`${path}/${name}`, { files });
  const entry = await write("v1");
  await Deno.symlink("v1", `${path}/current`);
  const name = `${path}/current/main.ts`;
  const heirloom = `${heirloomRoot()}/`;
  const spec = mode === "by hand" ? null : sampleSpec({
    ...{ mode, entry, heirloom },
    name: mode === "serve" ? `${path}/current` : name,
    heirloomName: heirloom,
    socket: `${path}/s.sock`,
  });
  const image = sampleImage({
    argv: ["deno", "run", "-A", entry, "one", "two"],
    config: null,
    cwd: path,
    entry,
    exec: await Deno.realPath(Deno.execPath()),
    names: { entry: spec?.name ?? name, exec: null },
    version: null,
  });
  return {
    path,
    self: { image, spec, shown: null, args: ["one", "two"], inherited: [] },
    write,
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

/** The launch in an argument list. */
function specIn(argv: readonly string[]): LaunchSpec {
  return JSON.parse(argv.find((argument) => argument.startsWith("{")) ?? "null");
}

Deno.test("resolveBuild() without a request resolves the present name anew", async () => {
  await using app = await running();
  const same = await resolveBuild(app.self, {});
  assertEquals(same.image.entry, `${app.path}/v1/main.ts`);
  const second = await app.write("v2");
  await Deno.remove(`${app.path}/current`);
  await Deno.symlink("v2", `${app.path}/current`);
  const next = await resolveBuild(app.self, {});
  assertEquals([next.image.entry, next.build.name], [second, `${app.path}/current/main.ts`]);
  assertEquals(next.image.names, { entry: `${app.path}/current/main.ts`, exec: null });
  const spec = specIn(next.image.argv);
  assertEquals([spec.entry, spec.name], [second, `${app.path}/current/main.ts`]);
  assertEquals(next.image.argv.slice(-2), ["one", "two"]);
  assertEquals([next.boot, next.image.fingerprint, next.build.info.id], [null, null, null]);
});

Deno.test("resolveBuild() takes modules and directories, from the directory of the start", async () => {
  await using app = await running();
  const second = await app.write("v2");
  for (const build of [second, `${app.path}/v2`, `${app.path}/v2/`, "v2", "v2/main.ts", "./v1/../v2"]) {
    const { image, build: resolved } = await resolveBuild(app.self, { build });
    assertEquals(image.entry, second, build);
    assertEquals(resolved.info.path, second);
    assertEquals(resolved.name, build.startsWith("/") ? build : `${app.path}/${build}`);
  }
});

Deno.test("resolveBuild() takes configuration and version from what lies beside the new entry", async () => {
  await using app = await running();
  await app.write("v2", { "main.ts": "", "deno.json": '{"version": "2.0.0"}' });
  const { image, build } = await resolveBuild(app.self, { build: "v2" });
  assertEquals([image.config, image.version], [`${app.path}/v2/deno.json`, "2.0.0"]);
  assertEquals(build.info, { path: `${app.path}/v2/main.ts`, version: "2.0.0", id: null });
  assertEquals(image.argv.slice(3, 5), ["--config", `${app.path}/v2/deno.json`]);
});

Deno.test("resolveBuild() of a program that was started by hand replaces the entry and nothing else", async () => {
  await using app = await running("by hand");
  const second = await app.write("v2", { "main.ts": "", "deno.json": "{}" });
  const { image, boot } = await resolveBuild(app.self, { build: "v2" });
  assertEquals(image.argv, ["deno", "run", "-A", second, "one", "two"]);
  assertEquals([image.config, boot], [`${app.path}/v2/deno.json`, null]);
  assertEquals(app.self.image.argv[3], `${app.path}/v1/main.ts`, "the running image is untouched");
  app.self.image.argv[3] = "-";
  await assertRejects(
    () => resolveBuild(app.self, { build: "v2" }),
    Error,
    `Cannot use build ${app.path}/v2: the entry module is not in the argument list`,
  );
});

Deno.test("resolveBuild() follows the runtime's name anew, or takes another", async () => {
  await using app = await running();
  const exec = app.self.image.exec;
  assertEquals((await resolveBuild(app.self, {})).image.exec, exec);
  await Deno.symlink(exec, `${app.path}/deno`);
  const { image, build } = await resolveBuild(app.self, { deno: "deno" });
  assertEquals([image.exec, build.execName], [exec, `${app.path}/deno`]);
  assertEquals(image.names.exec, `${app.path}/deno`);

  app.self.image.names.exec = `${app.path}/deno`;
  const script = `${app.path}/other-deno`;
  await Deno.writeTextFile(script, "#!/bin/sh\n", { mode: 0o755 });
  await Deno.remove(`${app.path}/deno`);
  await Deno.symlink(script, `${app.path}/deno`);
  assertEquals((await resolveBuild(app.self, {})).image.exec, script);
});

Deno.test("resolveBuild() to another Heirloom boots with it, by a name that is resolved anew", async () => {
  await using app = await running();
  await app.write("h1", { "main.ts": "", "live/boot.ts": "" });
  await Deno.symlink("h1", `${app.path}/heirloom`);
  const { image, boot } = await resolveBuild(app.self, { heirloom: "heirloom" });
  assertEquals(boot, `${app.path}/h1/live/boot.ts`);
  const spec = specIn(image.argv);
  assertEquals([spec.heirloom, spec.heirloomName], [`${app.path}/h1/`, `${app.path}/heirloom`]);
  assert(image.argv.includes(`${app.path}/h1/live/boot.ts`));
  assertEquals(image.entry, `${app.path}/v1/main.ts`);
});

Deno.test("resolveBuild() under serve takes a Heirloom tree, and boots one without a boot module itself", async () => {
  await using app = await running("serve");
  await app.write("tree", { "main.ts": "", "live/boot.ts": "", "deno.json": '{"version": "3.0.0"}' });
  const tree = await resolveBuild(app.self, { build: "tree" });
  assertEquals(tree.boot, `${app.path}/tree/live/boot.ts`);
  assertEquals(tree.build.info, { path: `${app.path}/tree`, version: "3.0.0", id: null });

  // The tree runs now. The one that it was started from is gone, and the next one cannot boot itself.
  const spec = { ...specIn(tree.image.argv), heirloomName: `${app.path}/gone/` };
  await app.write("bare");
  const bare = await resolveBuild({ ...app.self, image: tree.image, spec }, { build: "bare" });
  assertEquals(bare.boot, null);
  assertEquals(specIn(bare.image.argv).heirloom, `${app.path}/tree/`);
});

Deno.test("resolveBuild() refuses what cannot be started, and names it", async (t) => {
  await using app = await running();
  const { path } = app;
  await Deno.mkdir(`${path}/empty`);
  await Deno.writeTextFile(`${path}/plain`, "");
  await Deno.symlink("nowhere", `${path}/dangling`);
  await Deno.symlink("loop", `${path}/loop`);
  const cases: [request: Parameters<typeof resolveBuild>[1], says: string][] = [
    [{ build: "/no/where.ts" }, "Cannot use build /no/where.ts: it does not exist"],
    [{ build: "gone.ts" }, `Cannot use build ${path}/gone.ts: it does not exist`],
    [{ build: "plain/main.ts" }, `Cannot use build ${path}/plain/main.ts: it does not exist`],
    [{ build: "dangling" }, `Cannot use build ${path}/dangling: it does not exist`],
    [{ build: "empty" }, `Cannot use build ${path}/empty: the directory has no main.ts`],
    [{ build: "loop" }, `Cannot use ${path}/loop: `],
    [{ deno: "/no/deno" }, "Cannot use runtime /no/deno: it does not exist"],
    [{ deno: "plain" }, `Cannot use runtime ${path}/plain: it is not executable`],
    [{ deno: "empty" }, `Cannot use runtime ${path}/empty: it is not executable`],
    [{ heirloom: "empty" }, `Cannot use Heirloom ${path}/empty: it has no live/boot.ts`],
    [{ heirloom: "/no/heirloom" }, "Cannot use Heirloom /no/heirloom: it has no live/boot.ts"],
  ];
  for (const [request, says] of cases) {
    await t.step(JSON.stringify(request), async () => {
      await assertRejects(() => resolveBuild(app.self, request), Error, says);
    });
  }
});

Deno.test("resolveEntry() resolves symlinks of files and of directories", async () => {
  await using app = await running();
  const entry = `${app.path}/v1/main.ts`;
  await Deno.symlink(entry, `${app.path}/link.ts`);
  for (const name of ["link.ts", "current", "current/", "current/main.ts"]) {
    assertEquals(await resolveEntry(`${app.path}/${name}`), entry, name);
  }
});

Deno.test("inspectBuild() fills in the fingerprint, which changes with any local module", async () => {
  await using app = await running();
  const files = {
    "main.ts": 'import { x } from "./x.ts";\nconsole.log(x);\n',
    "x.ts": "export const x = 1;\n",
  };
  await app.write("v2", files);
  await app.write("v3", { ...files, "x.ts": "export const x = 2;\n" });
  await app.write("v4", files);
  const ids: string[] = [];
  for (const build of ["v2", "v3", "v4"]) {
    const resolved = await resolveBuild(app.self, { build });
    await inspectBuild(resolved);
    assertMatch(resolved.image.fingerprint ?? "", /^[0-9a-f]{64}$/);
    assertEquals(resolved.build.fingerprint, resolved.image.fingerprint);
    assertEquals(resolved.build.info.id, resolved.image.fingerprint?.slice(0, 12));
    ids.push(resolved.build.info.id ?? "");
  }
  assertEquals([ids[0] === ids[1], ids[0] === ids[2]], [false, true]);
});

for (
  const [name, files, says] of [
    ["does not parse", { "main.ts": "const x = ;\n" }, /main\.ts:1:/],
    ["imports what is not there", { "main.ts": 'import "./gone.ts";\n' }, /gone\.ts/],
    ["imports what does not parse", { "main.ts": 'import "./x.ts";\n', "x.ts": "const = 1;\n" }, /x\.ts:1:/],
    ["imports a name nobody knows", { "main.ts": 'import "what";\n' }, /what/],
    [
      "has two errors",
      { "main.ts": 'import "./gone.ts";\nimport "./away.ts";\n' },
      /(gone|away)\.ts.* \(and 1 more\)$/,
    ],
  ] as const
) {
  Deno.test(`inspectBuild() refuses a build that ${name}`, async () => {
    await using app = await running();
    const entry = await app.write("v2", files);
    const resolved = await resolveBuild(app.self, { build: entry });
    const error = await assertRejects(() => inspectBuild(resolved), Error, `Cannot load build ${entry}: `);
    assertMatch(error.message, says);
    assertEquals(resolved.image.fingerprint, null);
  });
}

Deno.test("inspectBuild() looks at the boot module of another Heirloom too", async () => {
  await using app = await running();
  await app.write("h1", { "main.ts": "", "live/boot.ts": 'import "./gone.ts";\n' });
  const resolved = await resolveBuild(app.self, { heirloom: "h1" });
  await assertRejects(() => inspectBuild(resolved), Error, "h1/live/gone.ts");
});

Deno.test("inspectBuild() ends when it is told to", async () => {
  await using app = await running();
  const resolved = await resolveBuild(app.self, {});
  await assertRejects(() => inspectBuild(resolved, AbortSignal.abort()));
  assertEquals(resolved.image.fingerprint, null);
});
