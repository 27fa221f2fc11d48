import { assert, assertEquals } from "@std/assert";

import { type TempDir, tempDir } from "../testing/wait.ts";
import { Stamps } from "./stamps.ts";

const PAST = new Date("2001-02-03T04:05:06Z");

/** Three files and a symlink to one more, and their stamps. */
async function capture(): Promise<{ directory: TempDir; paths: string[]; stamps: Stamps }> {
  const directory = tempDir("heirloom-stamps-");
  const paths = ["one.ts", "two.ts", "link.ts", "never.ts"].map((name) => `${directory.path}/${name}`);
  for (const name of ["one.ts", "two.ts", "target.ts", "other.ts"]) {
    await Deno.writeTextFile(`${directory.path}/${name}`, "text");
    await Deno.utime(`${directory.path}/${name}`, PAST, PAST);
  }
  await Deno.symlink("target.ts", `${directory.path}/link.ts`);
  return { directory, paths, stamps: await Stamps.capture(paths) };
}

/** Each way in which a file can come to be another, and the names of those that change with it. */
const CHANGES: [what: string, change: (folder: string) => Promise<void>, names: string[]][] = [
  ["nothing", async () => {}, []],
  ["reading", async (folder) => void await Deno.readFile(`${folder}/one.ts`), []],
  ["a neighbour", (folder) => Deno.writeTextFile(`${folder}/three.ts`, "text"), []],
  ["an overwrite in place", (folder) => Deno.writeTextFile(`${folder}/one.ts`, "TEXT"), ["one.ts"]],
  ["an append", (folder) => Deno.writeTextFile(`${folder}/two.ts`, "more", { append: true }), ["two.ts"]],
  ["a removal", (folder) => Deno.remove(`${folder}/two.ts`), ["two.ts"]],
  ["a replacement with the same content and times", async (folder) => {
    await Deno.writeTextFile(`${folder}/new`, "text");
    await Deno.utime(`${folder}/new`, PAST, PAST);
    await Deno.rename(`${folder}/new`, `${folder}/one.ts`);
  }, ["one.ts"]],
  ["an overwrite through a symlink", (folder) => Deno.writeTextFile(`${folder}/target.ts`, "TEXT"), [
    "link.ts",
  ]],
  ["a symlink to another file", async (folder) => {
    await Deno.remove(`${folder}/link.ts`);
    await Deno.symlink("other.ts", `${folder}/link.ts`);
  }, ["link.ts"]],
  ["a folder in its place", async (folder) => {
    await Deno.remove(`${folder}/one.ts`);
    await Deno.mkdir(`${folder}/one.ts`);
  }, ["one.ts"]],
  ["a file that was not there", (folder) => Deno.writeTextFile(`${folder}/never.ts`, ""), ["never.ts"]],
  [
    "all of it",
    (folder) => Deno.remove(folder, { recursive: true }),
    ["one.ts", "two.ts", "link.ts"],
  ],
];

for (const [what, change, names] of CHANGES) {
  Deno.test(`Stamps.changed() after ${what}`, async () => {
    const { directory, stamps } = await capture();
    await using _ = directory;
    await change(directory.path);
    assertEquals(await stamps.changed(), names.map((name) => `${directory.path}/${name}`));
    assertEquals(await stamps.changed(), names.map((name) => `${directory.path}/${name}`), "asked again");
  });
}

Deno.test("Stamps.newest() tells when files were put there, whatever times they claim", async () => {
  const before = Date.now();
  const { directory, stamps } = await capture();
  await using _ = directory;
  const newest = stamps.newest()?.getTime() ?? 0;
  assert(newest >= before - 1_000 && newest <= Date.now(), `${newest}`);
  const future = new Date(Date.now() + 86_400_000);
  await Deno.utime(`${directory.path}/one.ts`, future, future);
  const touched = (await Stamps.capture([`${directory.path}/one.ts`])).newest()?.getTime() ?? 0;
  assert(touched >= before - 1_000 && touched <= Date.now(), `${touched}`);
});

Deno.test("Stamps.newest() of a file that was just written is exact to the tick of the clock", async () => {
  await using directory = tempDir("heirloom-stamps-");
  const path = `${directory.path}/one.ts`;
  const before = Date.now();
  await Deno.writeTextFile(path, "text");
  const newest = (await Stamps.capture([path, `${directory.path}/never.ts`])).newest()?.getTime() ?? 0;
  assert(newest >= before - 50 && newest <= Date.now(), `${newest - before}`);
});

Deno.test("Stamps of no file know no time and no change", async () => {
  const stamps = await Stamps.capture(["/nonexistent/file"]);
  assertEquals([stamps.newest(), await stamps.changed()], [null, []]);
  assertEquals((await Stamps.capture([])).newest(), null);
});
