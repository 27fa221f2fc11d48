import { assertEquals, assertRejects, assertThrows } from "@std/assert";

import { LuoError } from "../../luo/errors.ts";
import { isOpenFd, SysError } from "../../sys/mod.ts";
import { tempDir } from "../../testing/wait.ts";
import { coldSide, commit, nextSide } from "../helpers_test.ts";
import { openDirectory } from "./directory.ts";

Deno.test("LiveDirectory lists what is in it, again and again, and leads to it", async () => {
  await using dir = tempDir();
  for (const name of ["a", "b"]) Deno.writeTextFileSync(`${dir.path}/${name}`, name);
  const side = coldSide();
  const directory = await openDirectory(side, "d", dir.path);
  assertEquals(side.resources.names().map(({ name, kind }) => [name, kind]), [["d", "directory"]]);
  assertEquals(directory.list().sort(), ["a", "b"]);
  Deno.removeSync(`${dir.path}/a`);
  assertEquals(directory.list(), ["b"]);
  assertEquals([Deno.readTextFileSync(directory.at("b")), directory.path], ["b", "same"]);
  const { fd } = directory;
  directory.close();
  directory.close();
  assertEquals([isOpenFd(fd), side.resources.names(), side.outgoing.files()], [false, [], []]);
  assertThrows(() => directory.list(), TypeError);
});

Deno.test("LiveDirectory crosses as the directory that it is, whatever its path leads to", async () => {
  await using dir = tempDir();
  const link = `${dir.path}/current`;
  for (const name of ["one", "two"]) {
    Deno.mkdirSync(`${dir.path}/${name}`);
    Deno.writeTextFileSync(`${dir.path}/${name}/name`, name);
  }
  Deno.symlinkSync("one", link);
  const cold = coldSide();
  const old = await openDirectory(cold, "d", link);
  Deno.removeSync(link);
  Deno.symlinkSync("two", link);
  const next = nextSide(cold);
  const directory = await openDirectory(next, "d", link);
  commit(next);
  assertEquals([Deno.readTextFileSync(directory.at("name")), directory.path], ["one", "replaced"]);
  Deno.renameSync(`${dir.path}/one`, `${dir.path}/three`);
  Deno.writeTextFileSync(directory.at("new"), "made");
  assertEquals(Deno.readTextFileSync(`${dir.path}/three/new`), "made");
  Deno.removeSync(`${dir.path}/three`, { recursive: true });
  assertEquals(directory.list(), []);
  assertThrows(() => Deno.writeTextFileSync(directory.at("more"), ""), Deno.errors.NotFound);
  cold.resources.drop = () => {};
  old.close();
  directory.close();
});

Deno.test("openDirectory() refuses what is no directory, and takes the same name afterwards", async () => {
  await using dir = tempDir();
  const side = coldSide();
  Deno.writeTextFileSync(`${dir.path}/file`, "");
  const codes = [];
  for (const path of [`${dir.path}/none`, `${dir.path}/file`]) {
    codes.push((await assertRejects(() => openDirectory(side, "d", path), SysError)).code);
  }
  codes.push((await assertRejects(() => openDirectory(side, "d", "/proc/self"), LuoError)).code);
  assertEquals([codes, side.resources.names()], [["ENOENT", "ENOTDIR", "ENOENT"], []]);
  const directory = await openDirectory(side, "d", dir.path);
  await assertRejects(() => openDirectory(side, "d", dir.path), LuoError, "in use");
  directory.close();
});
