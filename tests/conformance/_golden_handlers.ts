/**
 * The handlers of a kernel that has one for memfds only.
 *
 * Happy path: {@linkcode onlyMemfds} before the device is opened. The kernel's handler takes every file of shared memory
 * without a link, so besides memfds those are accepted that were unlinked in a tmpfs; here two handlers do that.
 *
 * @module
 */
import { type FileHandler, LuoError, registerHandler, unregisterHandler } from "../../mod.ts";
import { descriptorHandler } from "../../handlers/descriptor.ts";
import * as builtins from "../../handlers/mod.ts";
import { fdLink, filesystemType, fstat, TMPFS_MAGIC } from "../../sys/mod.ts";
import { inodeOf } from "./_memory.ts";

/** Carries files that were unlinked in a tmpfs, and those that never had a name there. */
const unlinkedHandler: FileHandler = descriptorHandler({
  compatible: "golden-unlinked-v1",
  version: 1,
  accepts(fd) {
    const { kind, nlink } = fstat(fd);
    return kind === "file" && nlink === 0n && filesystemType(fd) === TMPFS_MAGIC &&
      !fdLink(fd).startsWith("/memfd:");
  },
  describe: () => ({}),
  verify() {},
  getId: inodeOf,
});

/** Removes the built-in handlers but that of memfds, and adds the one for unlinked files of a tmpfs. */
export function onlyMemfds(): void {
  for (const builtin of Object.values(builtins)) {
    if (!isHandler(builtin) || builtin === builtins.memfdHandler) continue;
    try {
      unregisterHandler(builtin);
    } catch (error) {
      // One that is not registered by itself.
      if (!(error instanceof LuoError) || error.code !== "ENOENT") throw error;
    }
  }
  registerHandler(unlinkedHandler);
}

function isHandler(value: unknown): value is FileHandler {
  return typeof value === "object" && value !== null && "compatible" in value && "canPreserve" in value;
}
