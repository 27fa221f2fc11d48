/**
 * `signalfd-v1`: a descriptor from which signals are read (signalfd(2)).
 *
 * Preserved:
 * - its mask: the signals that are read from it
 * - the signals that wait, sent before or during the update: they wait with the process, which stays the same
 * - that the signals of its mask are blocked: every image begins with the mask of the one before, and when it is committed
 *   it goes back to the mask of the cold start, except for the signals of the signalfds that it has taken back
 * - the status flags (`O_NONBLOCK`)
 *
 * Not preserved:
 * - the mask of the process otherwise: what an application has blocked since the cold start and reads from no signalfd is
 *   let in at the commit
 * - the mask of other threads: each thread of the new image begins with what was blocked at the jump, which the signals of
 *   this descriptor were; at the cold start it is only safe to rely on what was blocked before the runtime began
 *   (`env --block-signal=USR1 heirloom run app.ts`)
 * - the signals that wait, where the guardian brings the old build back: it is another process
 * - signals that the application has read and not dealt with
 *
 * Taken with: `live.inherit`.
 *
 * @module
 */
import { getFlags, keepBlocked, maskFromHex } from "../sys/mod.ts";
import type { FileHandler } from "../luo/handler.ts";
import { anonymousKind, infoOf } from "./anonymous.ts";
import { anotherOne, descriptorHandler } from "./descriptor.ts";

function maskOf(fd: number): string {
  return infoOf(fd, "sigmask", "a signalfd").get("sigmask") ?? "";
}

/** Carries signalfds. */
export const signalfdHandler: FileHandler = descriptorHandler({
  compatible: "signalfd-v1",
  version: 1,
  accepts: (fd) => anonymousKind(fd) === "signalfd",
  describe: (fd) => ({ flags: getFlags(fd), mask: maskOf(fd) }),
  verify(fd, record) {
    const [before, mask] = [record.text("mask", 16, 16), maskOf(fd)];
    if (before !== mask) {
      throw anotherOne(fd, "signalfd", `its mask is ${mask} instead of ${before}`);
    }
    keepBlocked(maskFromHex(mask));
  },
});
