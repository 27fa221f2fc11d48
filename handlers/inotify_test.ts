import { assertEquals, assertThrows } from "@std/assert";

import { assertHandoverError } from "../kho/helpers_test.ts";
import { addWatch, createInotify, INOTIFY, readEvents, removeWatch, watchesOf } from "../sys/inotify.ts";
import { createEpoll } from "../sys/epoll.ts";
import { dupOnto, type OwnedFd } from "../sys/mod.ts";
import { tempDir } from "../testing/wait.ts";
import { decodeCbor } from "../kho/codec.ts";
import { assertCarried, carry, outgoingArgs, recordOf, takerOf } from "./helpers_test.ts";
import { inotifyHandler } from "./inotify.ts";
import { keepPaths, takePaths } from "./inotify_paths.ts";
import { encodeRecord } from "./record.ts";

Deno.test("inotifyHandler takes inotifies, with watches or without", async () => {
  await using directory = tempDir("heirloom-inotify-");
  using bare = createInotify();
  using watching = createInotify();
  addWatch(watching.fd, directory.path, INOTIFY.CREATE);
  using epoll = createEpoll();
  assertEquals([takerOf(bare), takerOf(watching)], ["inotify-v1", "inotify-v1"]);
  assertEquals(inotifyHandler.canPreserve({ fd: epoll.fd }), false);
});

Deno.test("inotifyHandler carries watches, and events that nobody has read, once", async () => {
  await using directory = tempDir("heirloom-inotify-");
  const path = `${directory.path}/file`;
  Deno.writeTextFileSync(path, "");
  using inotify = createInotify();
  const wd = addWatch(inotify.fd, path, INOTIFY.MODIFY);
  Deno.writeTextFileSync(path, "x");
  const watches = watchesOf(inotify.fd);
  const record = assertCarried(inotifyHandler, inotify);
  assertEquals(record["queued"], 16);
  assertEquals(record["paths"], []);
  const [{ ino, ...rest }] = record["watches"] as [{ [key: string]: number }];
  assertEquals([BigInt(ino ?? 0), rest], [watches[0]?.ino, {
    wd,
    mask: INOTIFY.MODIFY,
    sdev: watches[0]?.sdev,
  }]);
  assertEquals(watchesOf(inotify.fd), watches);
  assertEquals(readEvents(inotify.fd), [{ wd, mask: INOTIFY.MODIFY, cookie: 0, name: null }]);
  assertEquals(readEvents(inotify.fd), null);
});

Deno.test("inotifyHandler carries on when a watched file is gone meanwhile", async () => {
  await using directory = tempDir("heirloom-inotify-");
  const path = `${directory.path}/file`;
  Deno.writeTextFileSync(path, "");
  using inotify = createInotify();
  const wd = addWatch(inotify.fd, path, INOTIFY.DELETE_SELF);
  const stays = addWatch(inotify.fd, directory.path, INOTIFY.CREATE);
  using arrived = carry(inotifyHandler, inotify, () => Deno.removeSync(path));
  const fd = inotifyHandler.retrieve(arrived.args) as number;
  assertEquals(watchesOf(fd).map((watch) => watch.wd), [stays]);
  assertEquals(readEvents(fd)?.map(({ wd, mask }) => [wd, mask]), [
    [wd, INOTIFY.DELETE_SELF],
    [wd, INOTIFY.IGNORED],
  ]);
  inotifyHandler.finish({ ...arrived.args, fd, retrieveStatus: 1 });
});

Deno.test("inotifyHandler removes what a build that failed has added", async () => {
  await using directory = tempDir("heirloom-inotify-");
  Deno.writeTextFileSync(`${directory.path}/file`, "");
  using inotify = createInotify();
  const wd = addWatch(inotify.fd, directory.path, INOTIFY.CREATE);
  const add = (): void => void addWatch(inotify.fd, `${directory.path}/file`, INOTIFY.MODIFY);
  using arrived = carry(inotifyHandler, inotify, add);
  assertEquals(watchesOf(inotify.fd).length, 2);
  const fd = inotifyHandler.retrieve(arrived.args) as number;
  assertEquals(watchesOf(fd).map((watch) => watch.wd), [wd]);
  inotifyHandler.finish({ ...arrived.args, fd, retrieveStatus: 1 });
});

Deno.test("inotifyHandler refuses another inotify, another kind, and records that are none", async () => {
  await using directory = tempDir("heirloom-inotify-");
  using inotify = createInotify();
  addWatch(inotify.fd, directory.path, INOTIFY.CREATE);
  const replaced = (record: { [key: string]: unknown }) => (blob: Uint8Array): Uint8Array => {
    const [version, members] = decodeCbor(blob) as [number, { [key: string]: never }];
    return encodeRecord(version, { ...members, ...record as { [key: string]: never } });
  };
  const [watch] = watchesOf(inotify.fd);
  const other = { watches: [{ ...watch, ino: (watch?.ino ?? 0n) + 1n }] };
  using another = carry(inotifyHandler, inotify, replaced(other));
  assertHandoverError(
    () => inotifyHandler.retrieve(another.args),
    "WRONG_DESCRIPTOR",
    "it is not the inotify it was (watch 1 is on another file)",
  );
  inotifyHandler.finish(another.args);
  for (const record of [{ watches: 1 }, { watches: [{ wd: 1 }] }, { paths: [{ wd: 1, mask: 1, path: 7 }] }]) {
    using corrupt = carry(inotifyHandler, inotify, replaced(record));
    assertHandoverError(() => inotifyHandler.retrieve(corrupt.args), "CORRUPT");
    inotifyHandler.finish(corrupt.args);
  }
  assertEquals(watchesOf(inotify.fd).length, 1, "nothing was removed");

  using swapped = createInotify();
  const args = outgoingArgs(inotifyHandler, swapped.fd);
  inotifyHandler.preserve(args);
  using epoll = createEpoll();
  dupOnto(epoll.fd, swapped.fd);
  assertHandoverError(
    () => inotifyHandler.freeze?.(args),
    "WRONG_DESCRIPTOR",
    "as an inotify: it is anon_inode",
  );
});

/** A directory that is watched, with a path to be carried. */
function watched(
  inotify: OwnedFd,
  path: string,
): { wd: number; paths: Map<number, { path: string; mask: number }> } {
  const mask = INOTIFY.CREATE | INOTIFY.ONLYDIR;
  const wd = addWatch(inotify.fd, path, mask);
  return { wd, paths: new Map([[wd, { path, mask }]]) };
}

Deno.test("keepPaths() and takePaths() carry paths, of odd bytes as well, once", async () => {
  await using directory = tempDir("heirloom-inotify-");
  using inotify = createInotify();
  using other = createInotify();
  const { wd, paths } = watched(inotify, directory.path);
  paths.set(wd + 1, { path: "odd \udc80", mask: 2 });
  keepPaths(inotify, paths);
  keepPaths(other, new Map());
  using arrived = carry(inotifyHandler, inotify);
  const fd = inotifyHandler.retrieve(arrived.args) as number;
  assertEquals(takePaths(other), new Map());
  assertEquals(takePaths(inotify), paths);
  assertEquals(takePaths(inotify), new Map());
  inotifyHandler.finish({ ...arrived.args, fd, retrieveStatus: 1 });
  keepPaths(inotify, null);
  keepPaths(other, null);
  const args = outgoingArgs(inotifyHandler, inotify.fd);
  inotifyHandler.preserve(args);
  assertEquals(recordOf(args)[1]["paths"], [], "they are not handed over any more");
});

Deno.test("paths that nobody takes are carried on with their inotify", async () => {
  await using directory = tempDir("heirloom-inotify-");
  using inotify = createInotify();
  const { paths } = watched(inotify, directory.path);
  keepPaths(inotify, paths);
  {
    using arrived = carry(inotifyHandler, inotify);
    keepPaths(inotify, null);
    const fd = inotifyHandler.retrieve(arrived.args) as number;
    inotifyHandler.finish({ ...arrived.args, fd, retrieveStatus: 1 });
  }
  using arrived = carry(inotifyHandler, inotify);
  const fd = inotifyHandler.retrieve(arrived.args) as number;
  assertEquals(takePaths(fd), paths);
  inotifyHandler.finish({ ...arrived.args, fd, retrieveStatus: 1 });
});

Deno.test("inotifyHandler.check() reads the version of any record", async () => {
  await using directory = tempDir("heirloom-inotify-");
  using inotify = createInotify();
  const { wd } = watched(inotify, directory.path);
  using arrived = carry(inotifyHandler, inotify, () => encodeRecord(2, {}));
  assertEquals(inotifyHandler.check?.(arrived.args), 2);
  assertThrows(() => inotifyHandler.retrieve(arrived.args), Error, "version 2");
  inotifyHandler.finish(arrived.args);
  removeWatch(inotify.fd, wd);
});
