import { assert, assertEquals, assertRejects } from "@std/assert";
import { copyTree, writeApp } from "./build.ts";
import { tempDir } from "./wait.ts";

/** All files below a directory with their text. */
function tree(dir: string, prefix = ""): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of Deno.readDirSync(dir)) {
    const path = `${dir}/${entry.name}`;
    if (entry.isDirectory) Object.assign(found, tree(path, `${prefix}${entry.name}/`));
    else if (entry.isSymlink) found[prefix + entry.name] = `-> ${Deno.readLinkSync(path)}`;
    else found[prefix + entry.name] = Deno.readTextFileSync(path);
  }
  return found;
}

Deno.test("writeApp writes files and names the entry", async () => {
  await using dir = tempDir();
  const files = { "lib/a.ts": "a", "main.ts": "m" };
  assertEquals(await writeApp(`${dir.path}/app`, { files }), `${dir.path}/app/main.ts`);
  assertEquals(tree(`${dir.path}/app`), files);
  assertEquals(await writeApp(dir.path, { files: { "other.ts": "" } }), `${dir.path}/other.ts`);
});

Deno.test("writeApp puts a new version in place of the old one by renaming", async () => {
  await using dir = tempDir();
  const entry = await writeApp(dir.path, { files: { "main.ts": "old" } });
  using open = await Deno.open(entry);
  const before = await Deno.stat(entry);
  await writeApp(dir.path, { files: { "main.ts": "new" } });
  assertEquals(await new Response(open.readable).text(), "old");
  assertEquals(await Deno.readTextFile(entry), "new");
  assert((await Deno.stat(entry)).ino !== before.ino);
  assertEquals(Object.keys(tree(dir.path)), ["main.ts"]);
});

Deno.test("writeApp stays in its directory", async () => {
  await using dir = tempDir();
  for (const name of ["../x", "/x", "a/../../x"]) {
    await assertRejects(() => writeApp(dir.path, { files: { [name]: "" } }), RangeError, "is outside of it");
  }
  await assertRejects(() => writeApp(dir.path, { files: {} }), RangeError, "has no files");
});

Deno.test("copyTree copies what a service needs and sets the version", async () => {
  await using dir = tempDir();
  const from = `${dir.path}/from`;
  const config = JSON.stringify({ name: "@x/y", version: "1.0.0", imports: { a: "b" } });
  await writeApp(from, {
    files: {
      "deno.json": config,
      "main.ts": "m",
      "sys/fd.ts": "f",
      ".git/HEAD": "h",
      "node_modules/x/y.js": "y",
      "coverage/z": "z",
      "docs/d.md": "d",
      "tests/t.ts": "t",
    },
  });
  await Deno.symlink("main.ts", `${from}/link.ts`);
  const to = await copyTree(from, `${dir.path}/to`, { version: "1.1.0" });
  const { "deno.json": written, ...rest } = tree(to);
  assertEquals(rest, { "main.ts": "m", "sys/fd.ts": "f", "link.ts": "-> main.ts" });
  assertEquals(JSON.parse(written!), { name: "@x/y", version: "1.1.0", imports: { a: "b" } });
  assertEquals(tree(from)["deno.json"], config);
  assertEquals(tree(await copyTree(from, `${dir.path}/same`))["deno.json"], config);
});

Deno.test("copyTree copies neither into itself nor over something", async () => {
  await using dir = tempDir();
  await writeApp(`${dir.path}/a`, { files: { "main.ts": "" } });
  await assertRejects(() => copyTree(`${dir.path}/a`, `${dir.path}/a/b`), RangeError, "within the other");
  await assertRejects(() => copyTree(`${dir.path}/a`, `${dir.path}/a`), RangeError, "within the other");
  await assertRejects(() => copyTree(`${dir.path}/a`, dir.path), RangeError, "within the other");
  await writeApp(`${dir.path}/b`, { files: { "x.ts": "" } });
  await assertRejects(() => copyTree(`${dir.path}/a`, `${dir.path}/b`), RangeError, "not empty");
  assertEquals(tree(`${dir.path}/b`), { "x.ts": "" });
});
