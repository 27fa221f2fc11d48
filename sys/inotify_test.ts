import { assertEquals, assertThrows } from "@std/assert";

import { tempDir } from "../testing/wait.ts";
import { SysError } from "./errno.ts";
import { getCloexec, getFlags } from "./fd.ts";
import {
  addWatch,
  createInotify,
  decodeEvents,
  INOTIFY,
  parseWatches,
  queuedBytes,
  readEvents,
  removeWatch,
  watchesOf,
} from "./inotify.ts";
import { fstat } from "./stat.ts";
import { openFile } from "./file.ts";
import { kernelDevice } from "./epoll.ts";

Deno.test("decodeEvents() reads struct inotify_event byte for byte", () => {
  // deno-fmt-ignore
  const bytes = new Uint8Array([
    1, 0, 0, 0,  0, 1, 0, 0x40,  7, 0, 0, 0,  16, 0, 0, 0,
    0x61, 0xc3, 0xa9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0xff, 0xff, 0xff, 0xff,  0, 0x40, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,
  ]);
  assertEquals(decodeEvents(bytes), [
    { wd: 1, mask: INOTIFY.CREATE | INOTIFY.ISDIR, cookie: 7, name: "aé" },
    { wd: -1, mask: INOTIFY.Q_OVERFLOW, cookie: 0, name: null },
  ]);
  assertEquals(decodeEvents(new Uint8Array()), []);
});

Deno.test("parseWatches() reads the lines of fdinfo, whose numbers are hexadecimal", () => {
  const lines = "inotify wd:a ino:20c040 sdev:fe00000 mask:100 ignored_mask:0 fhandle-bytes:8\n" +
    "inotify wd:2 ino:ffffffffffffffff sdev:1a mask:84000002 ignored_mask:0 ";
  assertEquals(parseWatches(lines), [
    { wd: 2, ino: 0xffff_ffff_ffff_ffffn, sdev: 26, mask: 0x84000002 },
    { wd: 10, ino: 0x20c040n, sdev: 0xfe00000, mask: 0x100 },
  ]);
  assertEquals(parseWatches(""), []);
});

Deno.test("an inotify tells of a directory what happens, in order, and shows its watches", async () => {
  await using directory = tempDir("heirloom-inotify-");
  using inotify = createInotify();
  assertEquals([getCloexec(inotify.fd), getFlags(inotify.fd) & 0o4000], [true, 0o4000]);
  assertEquals([readEvents(inotify.fd), queuedBytes(inotify.fd), watchesOf(inotify.fd)], [null, 0, []]);
  const mask = INOTIFY.CREATE | INOTIFY.MOVED_FROM | INOTIFY.MOVED_TO | INOTIFY.ONLYDIR;
  const wd = addWatch(inotify.fd, directory.path, mask);
  using open = openFile(directory.path, { directory: true });
  const { ino, dev } = fstat(open.fd);
  assertEquals(watchesOf(inotify.fd), [
    { wd, ino, sdev: kernelDevice(dev), mask: mask & ~INOTIFY.ONLYDIR },
  ]);
  Deno.mkdirSync(`${directory.path}/one`);
  Deno.renameSync(`${directory.path}/one`, `${directory.path}/two`);
  assertEquals(queuedBytes(inotify.fd), 3 * (16 + 16));
  const events = readEvents(inotify.fd) ?? [];
  const cookie = events[1]?.cookie ?? 0;
  assertEquals(cookie > 0, true);
  assertEquals(events, [
    { wd, mask: INOTIFY.CREATE | INOTIFY.ISDIR, cookie: 0, name: "one" },
    { wd, mask: INOTIFY.MOVED_FROM | INOTIFY.ISDIR, cookie, name: "one" },
    { wd, mask: INOTIFY.MOVED_TO | INOTIFY.ISDIR, cookie, name: "two" },
  ]);
  removeWatch(inotify.fd, wd);
  assertEquals(readEvents(inotify.fd), [{ wd, mask: INOTIFY.IGNORED, cookie: 0, name: null }]);
  const error = assertThrows(() => removeWatch(inotify.fd, wd), SysError);
  assertEquals(error.code, "EINVAL");
  const missing = assertThrows(() => addWatch(inotify.fd, `${directory.path}/none`, 2), SysError);
  assertEquals(
    missing.message,
    `Cannot inotify_add_watch "${directory.path}/none": ENOENT (no such file or directory)`,
  );
});
