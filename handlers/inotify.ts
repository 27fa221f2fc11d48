/**
 * `inotify-v1`: watches over files and directories (inotify(7)).
 *
 * Preserved:
 * - the watches with their numbers and masks; they go on watching during an update
 * - events that nobody has read: they wait in the kernel, and each is read once
 * - the paths of the watches, which the kernel does not know, if they are handed over with {@linkcode keepPaths}
 *
 * Not preserved:
 * - events that the application has read and not dealt with
 * - what happens while the queue is full (`fs.inotify.max_queued_events`): an event without a watch says so
 * - watches that a new build added before it failed: they are removed when the previous one comes back
 *
 * Taken with: `live.watch`.
 *
 * @module
 */
import { Fields } from "../kho/abi/fields.ts";
import type { FileHandler } from "../luo/handler.ts";
import { queuedBytes, removeWatch, watchesOf } from "../sys/inotify.ts";
import { getFlags } from "../sys/mod.ts";
import { anonymousKind } from "./anonymous.ts";
import { anotherOne, descriptorHandler, wrongKind } from "./descriptor.ts";
import { arrivePaths, decodePaths, encodePaths, finishPaths } from "./inotify_paths.ts";

const descriptors = descriptorHandler({
  compatible: "inotify-v1",
  version: 1,
  accepts: (fd) => anonymousKind(fd) === "inotify",
  describe(fd) {
    checkKind(fd);
    return {
      flags: getFlags(fd),
      paths: encodePaths(fd),
      queued: queuedBytes(fd),
      watches: watchesOf(fd).map((watch) => ({ ...watch })),
    };
  },
  verify(fd, record) {
    checkKind(fd);
    const paths = decodePaths(record);
    const before = new Map(record.list("watches", (value, place) => {
      const watch = new Fields(value, place);
      return [watch.int("wd"), { ino: watch.u64("ino"), sdev: watch.int("sdev") }];
    }));
    const now = watchesOf(fd);
    for (const { wd, ino, sdev } of now) {
      const known = before.get(wd);
      // A watch goes with its file, and its number is not used again.
      if (known === undefined || (known.ino === ino && known.sdev === sdev)) continue;
      throw anotherOne(fd, "inotify", `watch ${wd} is on another file`);
    }
    // Only a build that failed can have added some. It must not keep this one from coming back.
    for (const { wd } of now) if (!before.has(wd)) removeWatch(fd, wd);
    arrivePaths(fd, paths);
  },
});

/** Carries inotifies. */
export const inotifyHandler: FileHandler = {
  ...descriptors,
  finish(args) {
    if (args.fd !== null) finishPaths(args.fd, args.retrieveStatus === 1);
    descriptors.finish(args);
  },
};

function checkKind(fd: number): void {
  if (anonymousKind(fd) !== "inotify") throw wrongKind(fd, "an inotify");
}
