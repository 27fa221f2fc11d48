/**
 * Live update without `live`: for an application that uses the {@linkcode Device} and sessions of its own.
 *
 * Happy path: preserve, `reboot()`; the next image retrieves, finishes, and calls `ready()`.
 *
 * Unhappy paths: a reboot that fails is undone and thrown; until `ready()`, a failure of the new image brings the previous
 * one back.
 *
 * @module
 */
import type { UpgradeRequest } from "../control/types.ts";
import { Journal } from "../kho/journal.ts";
import { LuoError } from "../luo/errors.ts";
import { orchestrator } from "../luo/process.ts";
import { isOpenFd } from "../sys/mod.ts";
import { commitHandover, takeover } from "./takeover.ts";

/**
 * Freezes all outgoing sessions and replaces the running image.
 *
 * @param request which build; the present one, resolved anew, if absent
 * @throws {LuoError} what a handler answered to the freeze; `EBUSY` in the check of a build
 * @throws {SysError} what `execve` answered; in every case nothing has changed
 * @throws {Error} a build that cannot be used
 */
export async function reboot(request: Pick<UpgradeRequest, "build" | "deno"> = {}): Promise<never> {
  if (takeover.check !== null) throw new LuoError("EBUSY", "Cannot reboot: this is the check of a build");
  const [{ buildSegment }, { resolveBuild }, luo] = await Promise.all([
    import("../kho/segment_build.ts"),
    import("./resolve.ts"),
    import("../luo/reboot.ts"),
  ]);
  const { image: next } = await resolveBuild(takeover.self, request);
  using journal = Journal.create();
  return luo.reboot(orchestrator(), {
    image: takeover.self.image,
    next,
    journal,
    inherited: takeover.self.inherited.filter(isOpenFd),
    count: takeover.incoming?.record.metadata.count ?? 0n,
    subtrees: () => [],
    build: buildSegment,
  });
}

/**
 * Commits the update that brought this image up: the previous build cannot come back any more. Does nothing on a cold
 * start. An application that uses `open()` calls its `ready()` instead.
 */
export async function ready(): Promise<void> {
  if (takeover.check !== null) return await takeover.check.report(null, null);
  commitHandover();
}
