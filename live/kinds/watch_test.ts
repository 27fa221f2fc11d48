import { assertEquals, assertThrows } from "@std/assert";

import { SysError } from "../../sys/mod.ts";
import { addWatch, INOTIFY, queuedBytes, watchesOf } from "../../sys/inotify.ts";
import { type TempDir, tempDir, waitFor } from "../../testing/wait.ts";
import { assertLuoError, coldSide, commit, nextSide } from "../helpers_test.ts";
import { FakeLife } from "./helpers_test.ts";
import { type LiveWatch, openWatch, type WatchEvent, type WatchPort } from "./watch.ts";

/** A directory with a file in it, and what was told of it. */
async function scene(): Promise<{ dir: TempDir; file: string; told: WatchEvent[] } & AsyncDisposable> {
  const dir = tempDir("heirloom-watch-");
  const file = `${dir.path}/app.json`;
  await Deno.writeTextFile(file, "0");
  return { dir, file, told: [], [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() };
}

async function until(what: string, is: () => boolean): Promise<void> {
  await waitFor(is, { what, timeoutMs: 30_000 });
}

const settle = (watch: LiveWatch): void => (watch as WatchPort).open();

Deno.test("live.watch tells nothing before it is ready, then each event once, with its path", async () => {
  await using here = await scene();
  const life = new FakeLife();
  const watch = await openWatch(life, "config", { event: (event) => void here.told.push(event) });
  const wd = watch.add(here.file, ["modify", "delete_self"]);
  const directory = watch.add(here.dir.path, ["moved_from", "moved_to", "onlydir"]);
  assertEquals(watch.paths(), new Map([[wd, here.file], [directory, here.dir.path]]));
  await Deno.writeTextFile(here.file, "1");
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(here.told, []);
  life.open();
  await until("the event of before", () => here.told.length > 0);
  // Truncated and written: the kernel makes one of two equal events that wait.
  assertEquals(here.told.splice(0), [{ wd, path: here.file, events: ["modify"], name: null, cookie: 0 }]);
  await Deno.rename(here.file, `${here.dir.path}/old.json`);
  await until("the rename", () => here.told.length === 2);
  const [from, to] = here.told.splice(0);
  assertEquals([from?.events, from?.name, from?.path], [["moved_from"], "app.json", here.dir.path]);
  assertEquals([to?.events, to?.name, to?.cookie], [["moved_to"], "old.json", from?.cookie]);
  await Deno.remove(`${here.dir.path}/old.json`);
  await until("the end of the file", () => here.told.some(({ events }) => events.includes("ignored")));
  assertEquals(here.told.map(({ path, events }) => [path, ...events]), [
    [here.file, "delete_self"],
    [here.file, "ignored"],
  ]);
  assertEquals(watch.paths(), new Map([[directory, here.dir.path]]));
  await watch.close();
  assertEquals([watch.fd, life.ports.length, life.resources.names().length], [-1, 0, 0]);
});

Deno.test("live.watch is taken back with its watches, its paths and what waits, in three images", async () => {
  await using here = await scene();
  let side = coldSide();
  const first = await openWatch(new FakeLife(side), "config", {});
  const wd = first.add(here.file, ["close_write"]);
  await Deno.writeTextFile(here.file, "1");
  for (const image of [2, 3]) {
    side = nextSide(side);
    const life = new FakeLife(side);
    const told: WatchEvent[] = [];
    const watch = await openWatch(life, "config", { event: (event) => void told.push(event) });
    assertEquals(watch.paths(), new Map([[wd, here.file]]));
    assertEquals(watch.add(here.file, ["close_write"]), wd, "adding it again changes nothing");
    commit(side);
    life.open();
    await until(`image ${image} to be told`, () => told.length > 0);
    assertEquals(told, [{ wd, path: here.file, events: ["close_write"], name: null, cookie: 0 }]);
    for (const carrier of life.ports) carrier.connections.pause();
    await Deno.writeTextFile(here.file, `${image}`);
  }
  side = nextSide(side);
  const last = await openWatch(new FakeLife(side), "config", {});
  assertEquals(queuedBytes(last.fd), 16, "the last edit waits");
  commit(side);
  await last.close();
});

Deno.test("a build takes nothing away before its tap is open, and then watches what it wants", async () => {
  await using here = await scene();
  const old = coldSide();
  const before = await openWatch(new FakeLife(old), "config", {});
  const wd = before.add(here.file, ["modify"]);
  const gone = before.add(here.dir.path, ["create"]);
  const side = nextSide(old);
  const life = new FakeLife(side);
  const watch = await openWatch(life, "config", { event: (event) => void here.told.push(event) });
  const masks = (): number[] => watchesOf(watch.fd).map(({ mask }) => mask);
  assertEquals(watch.add(here.file, ["attrib"]), wd);
  assertEquals([watch.remove(gone), watch.remove(gone), watch.remove(99)], [true, false, false]);
  assertEquals(masks(), [INOTIFY.MODIFY | INOTIFY.ATTRIB, INOTIFY.CREATE]);
  assertEquals(watch.paths(), new Map([[wd, here.file]]));
  await Deno.writeTextFile(here.file, "1");
  await Deno.chmod(here.file, 0o600);
  await Deno.writeTextFile(`${here.dir.path}/new`, "");
  commit(side);
  settle(watch);
  assertEquals(masks(), [INOTIFY.ATTRIB]);
  await until("what is wanted", () => here.told.length > 0);
  assertEquals(here.told.map(({ events }) => events), [["attrib"]], "what nobody wants is passed over");
  assertEquals([watch.remove(wd), watchesOf(watch.fd)], [true, []]);
  await watch.close();
});

Deno.test("what a failed build added is not told, and what it widened is narrowed again", async () => {
  await using here = await scene();
  const old = coldSide();
  const before = await openWatch(new FakeLife(old), "config", {});
  const wd = before.add(here.file, ["modify"]);
  const side = nextSide(old);
  const life = new FakeLife(side);
  // As a build that has failed leaves it: another mask, another watch, and events of both.
  addWatch(before.fd, here.file, INOTIFY.ATTRIB | INOTIFY.MASK_ADD);
  const other = addWatch(before.fd, here.dir.path, INOTIFY.CREATE);
  await Deno.writeTextFile(`${here.dir.path}/other`, "");
  const watch = await openWatch(life, "config", { event: (event) => void here.told.push(event) });
  assertEquals(watchesOf(watch.fd).map(({ wd }) => wd), [wd]);
  await Deno.chmod(here.file, 0o600);
  await Deno.writeTextFile(here.file, "1");
  commit(side);
  settle(watch);
  await until("the edit", () => here.told.length > 0);
  assertEquals(here.told.map(({ wd, events }) => [wd, ...events]), [[wd, "modify"]]);
  assertEquals(watchesOf(watch.fd).find((found) => found.wd === wd)?.mask, INOTIFY.MODIFY);
  assertEquals(watch.paths().has(other), false);
  await watch.close();
});

Deno.test("live.watch tells that events are missing, goes on behind a handler that throws, and awaits promises", async () => {
  await using here = await scene();
  const life = new FakeLife();
  const errors: unknown[] = [];
  const heard = (event: ErrorEvent): void => {
    event.preventDefault();
    errors.push(event.error);
  };
  globalThis.addEventListener("error", heard);
  const gate = Promise.withResolvers<void>();
  const watch = await openWatch(life, "config", {
    event(event) {
      here.told.push(event);
      if (here.told.length === 1) throw new Error("the first");
      return here.told.length === 2 ? gate.promise : undefined;
    },
  });
  watch.add(here.dir.path, ["attrib"]);
  const limit = Number(await Deno.readTextFile("/proc/sys/fs/inotify/max_queued_events"));
  await Deno.writeTextFile(`${here.dir.path}/b`, "");
  for (let count = 0; count <= limit; count++) {
    // Of two files in turn: equal events would become one.
    Deno.chmodSync(count % 2 === 0 ? here.file : `${here.dir.path}/b`, 0o600);
  }
  life.open();
  await until("the overflow", () => here.told.length === limit + 1);
  assertEquals(here.told.at(-1), { wd: -1, path: null, events: ["q_overflow"], name: null, cookie: 0 });
  assertEquals(errors.map(String), ["Error: the first"]);
  const [port] = life.ports as unknown as [WatchPort];
  assertEquals(port.owing, 1);
  gate.resolve();
  await port.settled();
  globalThis.removeEventListener("error", heard);
  await watch.close();
});

Deno.test("live.watch stops telling when a handler closes it, and refuses to add", async () => {
  await using here = await scene();
  const life = new FakeLife();
  let closed: Promise<void> | undefined;
  const watch = await openWatch(life, "config", {
    event(event, watch) {
      here.told.push(event);
      closed = watch.close();
    },
  });
  watch.add(here.dir.path, ["create"]);
  for (const name of ["a", "b"]) await Deno.writeTextFile(`${here.dir.path}/${name}`, "");
  life.open();
  await until("the first event", () => closed !== undefined);
  await closed;
  assertEquals(here.told.map(({ name }) => name), ["a"]);
  assertThrows(() => watch.add(here.file, ["modify"]), TypeError, "it is closed");
  assertEquals(watch.paths(), new Map());
});

Deno.test("live.watch refuses bad input and goes on", async () => {
  await using here = await scene();
  const life = new FakeLife();
  const watch = await openWatch(life, "config", {});
  assertThrows(() => watch.add(here.file, []), RangeError, "no event is asked for");
  assertThrows(() => watch.add(here.file, ["onlydir"]), RangeError, "no event is asked for");
  assertThrows(() => watch.add(here.file, ["modified" as "modify"]), RangeError, 'there is no "modified"');
  for (const [path, code] of [[`${here.dir.path}/none`, "ENOENT"], [here.file, "ENOTDIR"]] as const) {
    const error = assertThrows(() => watch.add(path, ["modify", "onlydir"]), SysError);
    assertEquals(error.code, code);
  }
  assertThrows(() => watch.add("a\0b", ["modify"]), TypeError, "NUL");
  assertEquals(watch.paths(), new Map());
  await openWatch(life, "config", {}).then(
    () => assertEquals("taken twice", ""),
    (error) =>
      assertLuoError(() => {
        throw error;
      }, "EEXIST"),
  );
  assertEquals(watch.add(here.file, ["modify"]) > 0, true);
  await watch.close();
});
