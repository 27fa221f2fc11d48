/**
 * Which build an update goes to: entry, runtime, configuration and arguments, resolved anew from the names that were
 * asked for.
 *
 * Happy path: {@linkcode resolveBuild} gives the image to start, and {@linkcode inspectBuild} looks at its modules.
 *
 * Unhappy paths: a path that is not there, a directory without `main.ts`, a runtime that cannot be executed, modules
 * that do not parse: an `Error` that says so, and the service has not noticed anything.
 *
 * @module
 */
import type { UpgradeRequest } from "../control/types.ts";
import type { ImageRecord } from "../kho/abi/image.ts";
import { loadGraph, warmCaches } from "../kho/load.ts";
import { buildInfoOf } from "./build_info.ts";
import { bootOf, composeArguments, guardianOf, type LaunchSpec, nearestConfig, versionOf } from "./launch.ts";
import { prepareLock } from "./lock_file.ts";
import type { PendingBuild } from "./pending.ts";
import type { Self } from "./self.ts";

/** A build that an update can go to. */
export interface ResolvedBuild {
  /** How it is started. */
  image: ImageRecord;
  /** How it is shown and found again. */
  build: PendingBuild;
  /** Boot module of another Heirloom than the one that runs, or null. */
  boot: string | null;
  /** Its local modules, once they were looked at; with another Heirloom, those of that too. */
  graphs?: string[][];
}

/**
 * Resolves what was asked for.
 *
 * @param self the build that runs
 * @param request what was asked for
 * @throws {Error} with a sentence that names the path and what is wrong with it
 */
export async function resolveBuild(
  self: Self,
  request: Pick<UpgradeRequest, "build" | "deno" | "heirloom">,
): Promise<ResolvedBuild> {
  const { image, spec } = self;
  const name = absolute(request.build ?? image.names.entry ?? image.entry, image.cwd);
  const entry = await resolveEntry(name);
  const execName = request.deno === undefined ? image.names.exec : absolute(request.deno, image.cwd);
  const exec = execName === null ? image.exec : await resolveRuntime(execName);
  const config = nearestConfig(entry);
  let argv: string[];
  let boot: string | null = null;
  if (spec === null) {
    argv = [...image.argv];
    const at = argv.length - self.args.length - 1;
    if (argv[at] !== image.entry) {
      throw new Error(`Cannot use build ${name}: the entry module is not in the argument list`);
    }
    argv[at] = entry;
  } else {
    const present = spec.mode === "serve" ? spec.heirloom : spec.heirloomName;
    const heirloomName = absolute(request.heirloom ?? present, image.cwd);
    const next: LaunchSpec = {
      ...spec,
      entry,
      name,
      config,
      heirloomName,
      heirloom: await resolveHeirloom(spec, heirloomName, entry),
    };
    prepareLock(next);
    argv = composeArguments(next, self.args);
    if (next.heirloom !== spec.heirloom) boot = bootOf(next.heirloom);
  }
  const names = { entry: name, exec: execName };
  const next: ImageRecord = {
    ...image,
    argv,
    config,
    entry,
    exec,
    names,
    fingerprint: null,
    version: versionOf(nearestConfig(entry)),
  };
  const info = buildInfoOf(next, spec);
  return { image: next, build: { info, fingerprint: null, name, execName, snapshot: null }, boot };
}

/**
 * Loads the module graph of a build, which fills in its fingerprint.
 *
 * @param resolved the build; its fingerprint is set
 * @param signal ends the look
 * @throws {Error} with the first thing that keeps it from loading
 */
export async function inspectBuild(resolved: ResolvedBuild, signal?: AbortSignal): Promise<void> {
  const { image, build, boot } = resolved;
  const graph = await loadGraph(image, signal);
  // The way back begins with the boot module: what keeps that from loading, nothing could undo.
  const booting = boot === null ? null : await loadGraph({ ...image, entry: boot }, signal);
  const errors = [...graph.errors, ...booting?.errors ?? []];
  if (errors.length > 0) {
    const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : "";
    throw new Error(`Cannot load build ${build.name}: ${errors[0]}${more}`);
  }
  await warmCaches(image, boot === null ? [image.entry] : [boot, image.entry], signal);
  resolved.graphs = [graph.modules];
  if (boot !== null && booting !== null) {
    const guardian = await loadGraph(
      { ...image, entry: guardianOf(boot.slice(0, -bootOf("").length)) },
      signal,
    );
    if (guardian.errors.length === 0) resolved.graphs.push(booting.modules, guardian.modules);
  }
  image.fingerprint = graph.fingerprint;
  build.fingerprint = graph.fingerprint;
  build.info.id = graph.fingerprint.slice(0, 12);
}

/** A build is a module, or a directory with a `main.ts`. */
export async function resolveEntry(path: string): Promise<string> {
  const info = await statOrNull(path);
  if (info === null) throw new Error(`Cannot use build ${path}: it does not exist`);
  if (!info.isDirectory) return await Deno.realPath(path);
  const main = `${path.replace(/\/+$/, "")}/main.ts`;
  if (await statOrNull(main) === null) {
    throw new Error(`Cannot use build ${path}: the directory has no main.ts`);
  }
  return await Deno.realPath(main);
}

async function resolveRuntime(path: string): Promise<string> {
  const info = await statOrNull(path);
  if (info === null) throw new Error(`Cannot use runtime ${path}: it does not exist`);
  if (!info.isFile || ((info.mode ?? 0) & 0o111) === 0) {
    throw new Error(`Cannot use runtime ${path}: it is not executable`);
  }
  return await Deno.realPath(path);
}

/** Under `serve` the build is a Heirloom tree itself; one without a boot module is booted by the present one. */
async function resolveHeirloom(spec: LaunchSpec, name: string, entry: string): Promise<string> {
  if (spec.mode === "serve") {
    const tree = entry.slice(0, entry.lastIndexOf("/") + 1);
    if (await statOrNull(bootOf(tree)) !== null) return tree;
  }
  const root = await statOrNull(bootOf(`${name}/`)) === null ? null : await Deno.realPath(name);
  if (root === null) throw new Error(`Cannot use Heirloom ${name}: it has no live/boot.ts`);
  return `${root.replace(/\/+$/, "")}/`;
}

async function statOrNull(path: string): Promise<Deno.FileInfo | null> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
    throw new Error(`Cannot use ${path}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
}

function absolute(path: string, cwd: string): string {
  return path.startsWith("/") ? path : `${cwd.replace(/\/+$/, "")}/${path}`;
}
