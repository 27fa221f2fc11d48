import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";

import { Snapshot, Snapshots } from "./snapshot.ts";
import { APP, contents, makePlace, names, ONE, TWO } from "./snapshot_kit_test.ts";

Deno.test("Snapshots.take() copies modules and configurations, and links what lies beside them", async () => {
  await using place = makePlace();
  const { path } = place;
  const snapshot = await place.take(ONE);
  assertEquals(snapshot.root, `${place.folder}/${"1".repeat(16)}`);
  const copy = snapshot.path(`${path}/app`);
  assertEquals(copy, `${snapshot.root}${path}/app`);
  assertEquals(contents(copy), {
    "dangling": `-> ${path}/app/dangling`,
    "deno.json": "{}",
    "lib": "folder",
    "main.ts": "main",
    "other.ts": `-> ${path}/app/other.ts`,
    "static": `-> ${path}/app/static`,
  });
  assertEquals(contents(`${copy}/lib`), { "deep": "folder", "notes.txt": `-> ${path}/app/lib/notes.txt` });
  assertEquals(contents(`${copy}/lib/deep`), { "one.ts": "one" });
  assertEquals(names(snapshot.path(path)), ["app"], "above the root nothing is linked");
  assertEquals(names(place.folder), ["1".repeat(16)]);
});

Deno.test("Snapshots.take() keeps the folder for this user alone", async () => {
  await using place = makePlace();
  const mode = (folder: string): number => (Deno.statSync(folder).mode ?? 0) & 0o777;
  const snapshot = await place.take(ONE);
  assertEquals([mode(`${place.path}/state`), mode(place.folder), mode(snapshot.root)], [0o700, 0o700, 0o700]);
  Deno.chmodSync(place.folder, 0o755);
  await place.take(TWO);
  assertEquals(mode(place.folder), 0o700);
});

Deno.test("Snapshot.has() tells copies from ways to the original", async () => {
  await using place = makePlace();
  const snapshot = await place.take(ONE);
  const has = (name: string): boolean => snapshot.has(`${place.path}/app/${name}`);
  assertEquals(["main.ts", "lib/deep/one.ts", "deno.json", "../app/./lib//deep/one.ts"].map(has), [
    true,
    true,
    true,
    true,
  ]);
  assertEquals(
    ["other.ts", "static/logo.svg", "lib", "lib/notes.txt", "nothing", "main.ts/x", ""].map(has),
    Array(7).fill(false),
  );
  assert(snapshot.has(snapshot.path(`${place.path}/app/main.ts`)), "a copy is its own copy");
});

Deno.test("Snapshots.take() copies modules outside of the roots, and links nothing there", async () => {
  await using place = makePlace({
    ...APP,
    "shared/util.ts": "util",
    "shared/big.bin": "",
    "application/x.ts": "x",
  });
  const snapshot = await place.take(ONE, ["app/main.ts", "shared/util.ts", "application/x.ts"], []);
  assertEquals(contents(snapshot.path(`${place.path}/shared`)), { "util.ts": "util" });
  assertEquals(contents(snapshot.path(`${place.path}/application`)), { "x.ts": "x" });
});

Deno.test("Snapshots.take() with the root of all as a root links what lies there", async () => {
  await using place = makePlace();
  const snapshot = await place.snapshots.take(ONE, {
    modules: [`${place.path}/app/main.ts`],
    configs: [],
    roots: ["/"],
  });
  assertEquals(Deno.readLinkSync(`${snapshot.root}/proc`), "/proc");
  assertEquals(Deno.readLinkSync(snapshot.path(`${place.path}/near.txt`)), `${place.path}/near.txt`);
});

Deno.test("Snapshots.take() copies what symlinked modules and folders contain, under the path of the import", async () => {
  await using place = makePlace({
    ...APP,
    "elsewhere/file.ts": "file",
    "elsewhere/folder/inner.ts": "inner",
    "elsewhere/folder/asset": "asset",
    "app/file.ts": "-> ../elsewhere/file.ts",
    "app/folder": "-> ../elsewhere/folder",
  });
  const modules = ["app/main.ts", "app/file.ts", "app/folder/inner.ts", "elsewhere/folder/inner.ts"];
  const snapshot = await place.take(ONE, modules);
  await Deno.remove(`${place.path}/elsewhere/file.ts`);
  await Deno.remove(`${place.path}/elsewhere/folder/inner.ts`);
  for (const module of modules) assert(snapshot.has(`${place.path}/${module}`), module);
  assertEquals(contents(snapshot.path(`${place.path}/app/folder`)), {
    "asset": `-> ${place.path}/app/folder/asset`,
    "inner.ts": "inner",
  });
  assertEquals(Deno.readTextFileSync(snapshot.path(`${place.path}/app/file.ts`)), "file");
  assertEquals(contents(snapshot.path(`${place.path}/elsewhere/folder`)), { "inner.ts": "inner" });
});

Deno.test("Snapshots.take() links packages, wherever they are", async () => {
  await using place = makePlace({
    "node_modules/far/index.js": "far",
    "app/main.ts": "main",
    "app/node_modules/one/index.js": "one",
    "app/node_modules/own/mod.ts": "own",
    "app/node_modules/own/node_modules/inner/index.js": "inner",
    "app/node_modules/@scope/name/index.js": "scoped",
    "app/node_modules/two/index.js": "two",
  });
  const own = `${place.path}/app/node_modules/own`;
  const packaged = ["node_modules/far", "app/node_modules/one", "app/node_modules/own/node_modules/inner"];
  const modules = [
    "app/main.ts",
    "app/node_modules/own/mod.ts",
    ...packaged.map((name) => `${name}/index.js`),
  ];
  const take = (roots: string[]): Promise<Snapshot> =>
    place.snapshots.take(roots.length === 1 ? ONE : TWO, {
      modules: modules.map((name) => `${place.path}/${name}`),
      configs: [],
      roots,
    });
  const plain = await take([`${place.path}/app`]);
  const link = (name: string): string => `-> ${place.path}/${name}`;
  assertEquals(contents(plain.path(place.path)), { app: "folder", node_modules: link("node_modules") });
  assertEquals(contents(plain.path(`${place.path}/app`)), {
    "main.ts": "main",
    "node_modules": link("app/node_modules"),
  });
  const installed = await take([`${place.path}/app/`, own]);
  assertEquals(contents(installed.path(`${place.path}/app/node_modules`)), {
    "@scope": link("app/node_modules/@scope"),
    "one": link("app/node_modules/one"),
    "own": "folder",
    "two": link("app/node_modules/two"),
  });
  assertEquals(contents(installed.path(own)), {
    "mod.ts": "own",
    "node_modules": link("app/node_modules/own/node_modules"),
  });
  for (const name of modules) {
    assertEquals(installed.has(`${place.path}/${name}`), name.endsWith(".ts"), name);
    assert(Deno.statSync(installed.path(`${place.path}/${name}`)).isFile, name);
    assert(Deno.statSync(plain.path(`${place.path}/${name}`)).isFile, name);
  }
});

Deno.test("Snapshots.take() keeps names that URLs and shells would not", async () => {
  const odd = ["a b.ts", "ä😀.ts", "100%.ts", "%20.ts", "#?.ts", `"'\\.ts`, "line\nbreak.ts", "-rf", "..."];
  await using place = makePlace({
    ...Object.fromEntries(odd.flatMap((name) => [[`app/${name}`, name], [`app/beside ${name}`, ""]])),
  });
  const snapshot = await place.take(ONE, odd.map((name) => `app/${name}`), []);
  for (const name of odd) {
    assertEquals(Deno.readTextFileSync(snapshot.path(`${place.path}/app/${name}`)), name);
    const beside = `${place.path}/app/beside ${name}`;
    assertEquals(Deno.readLinkSync(snapshot.path(beside)), beside);
  }
});

Deno.test("Snapshots.take() passes over neighbours whose names are not UTF-8", async () => {
  await using place = makePlace();
  const { success } = await new Deno.Command("bash", {
    args: ["-c", `touch $'bad\\xff' $'bad\\xfe' $'${"\\xff".repeat(200)}'`],
    cwd: `${place.path}/app`,
  }).output();
  assert(success);
  const snapshot = await place.take(ONE);
  assertEquals(names(snapshot.path(`${place.path}/app`)).filter((name) => name.startsWith("bad")), []);
});

Deno.test("Snapshots.take() again keeps the copies, and links what is new beside them", async () => {
  await using place = makePlace();
  const { root } = await place.take(ONE);
  const before = Deno.statSync(root).ino;
  await Deno.writeTextFile(`${place.path}/app/main.ts`, "newer");
  await Deno.mkdir(`${place.path}/app/data`);
  await Deno.remove(`${place.path}/app/lib`, { recursive: true });
  const again = await new Snapshots(place.folder).take(ONE, {
    modules: [`${place.path}/app/main.ts`, `${place.path}/app/lib/deep/one.ts`],
    configs: [],
    roots: [`${place.path}/app/`],
  });
  assertEquals([again.root, Deno.statSync(root).ino], [root, before]);
  assertEquals(Deno.readTextFileSync(again.path(`${place.path}/app/main.ts`)), "main");
  assertEquals(Deno.readLinkSync(again.path(`${place.path}/app/data`)), `${place.path}/app/data`);
  assertEquals(names(place.folder), ["1".repeat(16)]);
});

Deno.test("Snapshots.take() of a build that runs from its snapshot changes nothing", async () => {
  await using place = makePlace();
  const snapshot = await place.take(ONE);
  const all = async (): Promise<string[]> => {
    const { stdout } = await new Deno.Command("find", { args: [place.folder, "-printf", "%p %l %i\\n"] })
      .output();
    return new TextDecoder().decode(stdout).split("\n").sort();
  };
  const before = await all();
  const app = snapshot.path(`${place.path}/app`);
  const again = await place.snapshots.take(ONE, { modules: [`${app}/main.ts`], configs: [], roots: [app] });
  assertEquals([again.root, await all()], [snapshot.root, before]);
});

Deno.test("Snapshots.take() gives builds of the same fingerprint in different places snapshots of their own", async () => {
  await using place = makePlace({ ...APP, "next/main.ts": "main", "third/main.ts": "main" });
  const first = await place.take(ONE, ["app/main.ts"], []);
  const second = await place.take(ONE, ["next/main.ts"], []);
  const third = await place.take(ONE, ["third/main.ts"], []);
  assertEquals(new Set([first.root, second.root, third.root]).size, 3);
  assertEquals((await place.take(ONE, ["next/main.ts"], [])).root, second.root);
  for (const [name, snapshot] of [["app", first], ["next", second], ["third", third]] as const) {
    assertEquals(place.snapshots.find(ONE, `${place.path}/${name}/main.ts`)?.root, snapshot.root);
  }
  assertEquals(place.snapshots.find(ONE, `${place.path}/fourth/main.ts`), null);
});

Deno.test("Snapshots.take() at the same time makes one snapshot", async () => {
  await using place = makePlace();
  const taken = await Promise.all([
    place.take(ONE),
    place.take(ONE),
    new Snapshots(place.folder).take(ONE, { modules: [`${place.path}/app/main.ts`], configs: [], roots: [] }),
    place.take(TWO),
  ]);
  for (const snapshot of taken) assert(snapshot.has(`${place.path}/app/main.ts`));
  const left = names(place.folder);
  assertEquals(left.filter((name) => name.endsWith(".tmp")), []);
  assert(left.includes("1".repeat(16)) && left.includes("2".repeat(16)), left.join());
});

Deno.test("Snapshots.find() finds what was taken, by any process", async () => {
  await using place = makePlace();
  assertEquals(place.snapshots.find(ONE), null, "no folder");
  const { root } = await place.take(ONE);
  assertEquals(place.snapshots.find(ONE)?.root, root);
  assertEquals(new Snapshots(place.folder).find(ONE)?.root, root);
  assertEquals(place.snapshots.find(TWO), null);
  assertEquals(new Snapshots(`${place.path}/near.txt`).find(ONE), null, "no folder at all");
  const link = `${place.path}/link`;
  await Deno.symlink("state/builds", link);
  assertEquals(new Snapshots(link).find(ONE)?.root, root, "the root has no symlinks in it");
});

Deno.test("Snapshots and Snapshot refuse what is no fingerprint or no absolute path", async () => {
  await using place = makePlace();
  for (
    const bad of ["", "abc", "../../../../etc/passwd", `${ONE}/..`, ONE.replace("1", "X"), "1".repeat(15)]
  ) {
    assertThrows(() => place.snapshots.find(bad), TypeError, "is no fingerprint");
    await assertRejects(() => place.take(bad), TypeError, "is no fingerprint");
  }
  assertThrows(() => new Snapshot("/root").path("main.ts"), TypeError, "no absolute path");
  assertEquals(new Snapshot("/root").path("/../../etc"), "/root/etc", "nothing leads out of a snapshot");
});

Deno.test("Snapshots.prune() keeps what it is told to, and touches no original", async () => {
  await using place = makePlace({ ...APP, "next/main.ts": "main" });
  await place.snapshots.prune([ONE]);
  const one = await place.take(ONE);
  const two = await place.take(TWO);
  const again = await place.take(TWO, ["next/main.ts"], []);
  await Deno.mkdir(`${place.folder}/notes`);
  await Deno.writeTextFile(`${place.folder}/${"3".repeat(16)}`, "");
  const foreign = ["3".repeat(16), "notes"];
  await place.snapshots.prune([ONE, TWO, "f".repeat(64)]);
  assertEquals(names(place.folder).length, 5);
  await place.snapshots.prune([ONE, again.root]);
  assertEquals(
    [one, two, again].map(({ root }) => names(place.folder).includes(root.split("/").at(-1) ?? "")),
    [
      true,
      false,
      true,
    ],
  );
  await place.snapshots.prune([]);
  assertEquals(names(place.folder), foreign);
  for (const [name, text] of Object.entries(APP)) {
    if (!text.startsWith("->")) assertEquals(Deno.readTextFileSync(`${place.path}/${name}`), text);
  }
  await assertRejects(() => place.snapshots.prune(["x"]), TypeError, "is no fingerprint");
});
