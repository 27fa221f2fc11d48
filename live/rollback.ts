/**
 * Which build a rollback goes to: the one that ran before, from where it was deployed, or from its snapshot where that
 * was overwritten.
 *
 * Happy path: {@linkcode resolveRollback} finds the files with the fingerprint that the previous build had.
 *
 * Unhappy paths: there was no previous build; its files are gone or others, and there is no snapshot: an `Error`.
 *
 * @module
 */
import { loadGraph } from "../kho/load.ts";
import type { PendingBuild } from "./pending.ts";
import { resolveBuild, type ResolvedBuild } from "./resolve.ts";
import type { Self } from "./self.ts";
import type { WayBack } from "./way_back.ts";

/**
 * Resolves the previous build.
 *
 * @param self the build that runs
 * @param previous the build that ran before, or null
 * @param way where snapshots are found
 * @throws {Error} with a sentence that says why there is nothing to go back to
 */
export async function resolveRollback(
  self: Self,
  previous: PendingBuild | null,
  way: WayBack,
): Promise<ResolvedBuild> {
  if (previous === null) throw new Error("Cannot roll back: this service has not had another build");
  const { path } = previous.info;
  const found = await unchanged(self, previous);
  if (found !== null) return asPrevious(found, previous);
  const snapshot = way.find(previous.snapshot, await entryOf(previous));
  if (snapshot === null) {
    throw new Error(`Cannot roll back: build ${path} changed on disk, and there is no snapshot of it`);
  }
  const build = snapshot.path(path);
  return asPrevious(await resolveBuild(self, { ...namesOf(previous), build }), previous);
}

/** The build where it was deployed, or null when it is not that build any more. */
async function unchanged(self: Self, previous: PendingBuild): Promise<ResolvedBuild | null> {
  try {
    const resolved = await resolveBuild(self, { ...namesOf(previous), build: previous.info.path });
    const { fingerprint, errors } = await loadGraph(resolved.image);
    const same = previous.fingerprint === null || fingerprint === previous.fingerprint;
    return same && errors.length === 0 ? resolved : null;
  } catch {
    return null;
  }
}

/** A directory stands for its `main.ts`, also when it is gone. */
async function entryOf({ info }: PendingBuild): Promise<string> {
  const isModule = /\.[cm]?[jt]sx?$/.test(info.path);
  return isModule
    ? info.path
    : await Deno.realPath(`${info.path}/main.ts`).catch(() => `${info.path}/main.ts`);
}

/** The runtime and the Heirloom are parts of a build as well. */
function namesOf({ execName, heirloom }: PendingBuild): { deno?: string; heirloom?: string } {
  return {
    ...(execName === null ? {} : { deno: execName }),
    ...(typeof heirloom === "string" ? { heirloom } : {}),
  };
}

/** It is shown, and resolved anew, under the names that it had. */
function asPrevious(resolved: ResolvedBuild, previous: PendingBuild): ResolvedBuild {
  const { image, build, boot } = resolved;
  const names = { ...image.names, entry: previous.name };
  const info = { ...build.info, path: previous.info.path };
  return { image: { ...image, names }, build: { ...build, name: previous.name, info }, boot };
}
