import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";

import { listenAt, ownerOf } from "../live/address.ts";
import { getPid } from "../sys/mod.ts";
import { tempDir } from "../testing/wait.ts";
import { cli } from "./helpers_test.ts";
import { absolute, run } from "./run.ts";

const RUN = { command: "run", json: false, denoArgs: [], hup: false, args: [] } as const;

Deno.test("absolute() keeps absolute paths, and finds others from here without following symlinks", () => {
  assertEquals(absolute("/a/../b"), "/a/../b");
  assertEquals(absolute("a/b"), `${Deno.cwd()}/a/b`);
});

Deno.test("run() refuses an entry that is not there", async () => {
  await using dir = tempDir();
  const command = { ...RUN, socket: `${dir.path}/s.sock` };
  await assertRejects(
    () => run({ ...command, entry: `${dir.path}/gone.ts` }),
    Error,
    `Cannot use build ${dir.path}/gone.ts: it does not exist`,
  );
  await assertRejects(() => run({ ...command, entry: dir.path }), Error, "the directory has no main.ts");
});

Deno.test("run() refuses a socket that is served, and names the process", async () => {
  await using dir = tempDir();
  const [entry, path] = [`${dir.path}/main.ts`, `${dir.path}/s.sock`];
  await Deno.writeTextFile(entry, "");
  using _listener = listenAt({ family: "unix", path });
  await assertRejects(
    () => run({ ...RUN, socket: path, entry }),
    Error,
    `Cannot start: process ${getPid()} serves ${path}`,
  );
  assertEquals(ownerOf({ family: "unix", path })?.pid, getPid());
  const ended = await cli(["run", "--socket", path, entry]);
  assertEquals([ended.code, ended.stdout], [1, ""]);
  assertEquals(ended.stderr, `heirloom: Cannot start: process ${getPid()} serves ${path}\n`);
});

Deno.test("run becomes the application, with its arguments, its directory and its exit code", async () => {
  await using dir = tempDir();
  const path = await Deno.realPath(dir.path);
  await Deno.mkdir(`${path}/app`);
  await Deno.writeTextFile(
    `${path}/app/main.ts`,
    `console.log(JSON.stringify([Deno.args, Deno.cwd(), import.meta.filename, import.meta.main]));
Deno.exit(7);
`,
  );
  for (const entry of ["app", "app/main.ts", `${path}/app`]) {
    const { code, stdout, stderr } = await cli(["run", "--socket", "s.sock", entry, "--json", "ü"], path);
    assertEquals([code, stderr], [7, ""], entry);
    const [args, cwd, filename] = JSON.parse(stdout);
    assertEquals([args, cwd, filename], [["--json", "ü"], path, `${path}/app/main.ts`]);
  }
  await Deno.writeTextFile(`${path}/app/main.ts`, 'throw new Error("broken from the start");\n');
  const broken = await cli(["run", "--socket", "s.sock", "app"], path);
  assertEquals([broken.code, broken.stdout], [1, ""]);
  assertStringIncludes(broken.stderr, "broken from the start");
});

Deno.test("findRuntime() gives the path that leads to the runtime now, or null", async () => {
  await using dir = tempDir();
  const path = await Deno.realPath(dir.path);
  const exec = await Deno.realPath(Deno.execPath());
  await Deno.mkdir(`${path}/bin`);
  await Deno.mkdir(`${path}/first`);
  await Deno.symlink(exec, `${path}/bin/deno`);
  await Deno.writeTextFile(`${path}/first/deno`, "#!/bin/sh\n");
  await Deno.writeTextFile(
    `${path}/find.ts`,
    `import { findRuntime } from "${new URL("run.ts", import.meta.url)}";
console.log(findRuntime());
`,
  );
  const home = Deno.env.get("HOME") ?? "/";
  const find = async (search: string, command: string): Promise<string> => {
    const { stdout, stderr } = await new Deno.Command("/bin/sh", {
      args: ["-c", `PATH="${search}" exec ${command} run -A --no-lock find.ts`],
      cwd: path,
      env: { HOME: home, DENO_NO_UPDATE_CHECK: "1" },
      stdout: "piped",
      stderr: "piped",
    }).output();
    return new TextDecoder().decode(stdout).trim() || new TextDecoder().decode(stderr);
  };
  assertEquals(await find(`${path}/first:${path}/bin:/usr/bin`, "deno"), `${path}/bin/deno`);
  assertEquals(await find("bin", "deno"), `${path}/bin/deno`);
  assertEquals(await find("/nowhere", "bin/deno"), `${path}/bin/deno`);
  assertEquals(await find("/nowhere", `${path}/bin/deno`), `${path}/bin/deno`);
});
