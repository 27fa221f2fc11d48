import { assertEquals, assertMatch } from "@std/assert";
import { tempDir } from "../../testing/wait.ts";
import { checkBuild, checkFolders, type FolderFacts, gatherBuild } from "./build.ts";
import { type Folder, lookAtFolder, refused } from "./folder.ts";
import { assertLevel } from "./helpers_test.ts";
import { lookAt, type Subject } from "./subject.ts";

const FOLDER: Folder = { path: "/f", exists: true, mode: 0o700, uid: 5, refused: null, freeBytes: 2 ** 30 };
const GOOD: FolderFacts = { state: FOLDER, socket: FOLDER, uid: 5 };
const check = (changes: Partial<FolderFacts> = {}) => checkFolders({ ...GOOD, ...changes });
const self = (): Subject => lookAt("self", false)!;
const somebody = (): Subject => ({ ...self(), uid: 65_534, gids: [65_534] });

Deno.test("checkBuild() has a problem with what is no build", async () => {
  await using dir = tempDir();
  assertMatch(
    assertLevel(checkBuild(await gatherBuild("/nowhere", self())), "build", "problem"),
    /does not exist/,
  );
  assertMatch(
    assertLevel(checkBuild(await gatherBuild(dir.path, self())), "build", "problem"),
    /no main\.ts/,
  );
  await Deno.writeTextFile(`${dir.path}/main.ts`, "");
  const good = checkBuild(await gatherBuild(dir.path, self()));
  assertLevel(good, "build", "ok");
  assertLevel(good, "deploy", "ok");
  assertEquals(good.find(({ id }) => id === "build_writers"), undefined);
  assertEquals(checkBuild(await gatherBuild(null, self())), []);
});

Deno.test("checkBuild() looks at who may write beside the build", () => {
  const of = (folder: Folder) =>
    checkBuild({ path: "/f/main.ts", entry: "/f/main.ts", reason: null, folder });
  assertLevel(of({ ...FOLDER, refused: "EACCES" }), "deploy", "note");
  assertLevel(of({ ...FOLDER, mode: 0o777 }), "build_writers", "warning");
  assertEquals(of({ ...FOLDER, mode: 0o1777 }).find(({ id }) => id === "build_writers"), undefined);
});

Deno.test({
  name: "checkBuild() sees with the eyes of the service's user",
  ignore: Deno.uid() !== 0,
  async fn() {
    await using dir = tempDir();
    await Deno.chmod(dir.path, 0o755);
    const path = `${dir.path}/main.ts`;
    await Deno.writeTextFile(path, "", { mode: 0o600 });
    assertMatch(
      assertLevel(checkBuild(await gatherBuild(path, somebody())), "build", "problem"),
      /cannot read .* \(EACCES\)/,
    );
    await Deno.chmod(path, 0o644);
    assertLevel(checkBuild(await gatherBuild(path, somebody())), "build", "ok");
    await Deno.chmod(dir.path, 0o700);
    assertEquals(refused(somebody(), path, ["read"]), "EACCES");
    assertEquals([refused(self(), path, ["read"]), lookAtFolder(somebody(), `${dir.path}/x/y`).refused], [
      null,
      "EACCES",
    ]);
  },
});
if (Deno.uid() !== 0) console.log("ignored: checkBuild() with other eyes: not root");

Deno.test("checkFolders() judges the state directory", () => {
  assertLevel(check(), "state_directory", "ok");
  assertLevel(check({ state: "none" }), "state_directory", "warning");
  const of = (changes: Partial<Folder>) => check({ state: { ...FOLDER, ...changes } });
  assertLevel(of({ refused: "EROFS" }), "state_directory", "warning");
  assertLevel(of({ mode: 0o750 }), "state_directory", "warning");
  assertLevel(of({ uid: 6 }), "state_directory", "warning");
  assertLevel(of({ exists: false, mode: null, uid: null }), "state_directory", "ok");
  assertLevel(check(), "state_space", "ok");
  assertLevel(of({ freeBytes: 2 ** 20 }), "state_space", "warning");
  assertEquals(check({ state: null, socket: null }), []);
});

Deno.test("checkFolders() judges the folder of the control socket", () => {
  assertLevel(check(), "control_folder", "ok");
  const of = (changes: Partial<Folder>) => check({ socket: { ...FOLDER, ...changes } });
  assertLevel(of({ mode: 0o755 }), "control_folder", "note");
  assertLevel(of({ mode: 0o777 }), "control_folder", "warning");
  assertLevel(of({ mode: 0o1777 }), "control_folder", "note");
  assertLevel(of({ uid: 6 }), "control_folder", "warning");
  assertLevel(of({ uid: 0 }), "control_folder", "ok");
});

Deno.test("lookAtFolder() looks at the nearest folder where there is none yet", async () => {
  await using dir = tempDir();
  await Deno.chmod(dir.path, 0o700);
  const there = lookAtFolder(self(), dir.path);
  assertEquals([there.exists, there.mode, there.refused], [true, 0o700, null]);
  assertEquals((there.freeBytes ?? 0) > 0, true);
  const missing = lookAtFolder(self(), `${dir.path}/a/b`);
  assertEquals([missing.exists, missing.mode, missing.refused], [false, null, null]);
});
