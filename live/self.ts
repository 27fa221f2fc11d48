/**
 * The build that runs in this process: its image, its launch, and what it inherited.
 *
 * Captured when this module is first evaluated, before the application can change its directory or its environment.
 *
 * @module
 */
import type { ImageRecord } from "../kho/abi/image.ts";
import { captureImage } from "../kho/image.ts";
import type { IncomingKho } from "../kho/incoming.ts";
import { commandLine, currentDirectory, getCloexec, isOpenFd, listFds } from "../sys/mod.ts";
import { CACHED_ONLY, entryIndex, type LaunchSpec, nearestConfig, versionOf } from "./launch.ts";
import type { PendingUpdate } from "./pending.ts";

/** What this process is. */
export interface Self {
  /** How it can be started again. */
  image: ImageRecord;
  /** How it was launched, or null for a program that was started by hand. */
  spec: LaunchSpec | null;
  /** Where it was deployed, if it is known; it may run from a snapshot. */
  shown: string | null;
  /** The application's own arguments. */
  args: readonly string[];
  /** Descriptors above 2 that came without CLOEXEC at the cold start: they are the surroundings', and cross as they are. */
  inherited: readonly number[];
}

/**
 * Captures this process.
 *
 * @param incoming what was handed over, or null at a cold start
 * @param pending what the previous image said about this update
 * @param spec how the boot module was launched, or null
 */
export function captureSelf(
  incoming: IncomingKho | null,
  pending: PendingUpdate | null,
  spec: LaunchSpec | null,
): Self {
  const previous = incoming?.record.image ?? null;
  const build = incoming === null || pending === null
    ? null
    : incoming.role === "update"
    ? pending.to
    : pending.from;
  const argv = withoutCachedOnly(commandLine(), previous);
  const main = pathOf(Deno.mainModule);
  const at = spec === null ? entryIndex(argv, main, currentDirectory()) : argv.indexOf(JSON.stringify(spec));
  const entry = spec?.entry ?? realPath(main);
  // What can come back must not depend on where a symlink leads by then.
  if (spec === null && at >= 0) argv[at] = entry;
  const image = captureImage({
    argv,
    entry,
    config: spec === null ? nearestConfig(main) : spec.config,
    version: build === null ? versionOf(nearestConfig(entry)) : build.info.version,
    names: {
      entry: build?.name ?? spec?.name ?? main,
      exec: build === null ? spec?.execName ?? null : build.execName,
    },
    previous,
  });
  image.fingerprint = build?.fingerprint ?? null;
  // What came back may have been started by a descriptor, whose name leads nowhere later on.
  if (previous !== null && incoming?.role !== "update") image.exec = previous.exec;
  if (previous === null && spec !== null) image.sigmask = spec.sigmask;
  const inherited = incoming === null
    ? listFds().filter((fd) => fd > 2 && isOpenFd(fd) && !getCloexec(fd))
    : incoming.inherited().map(({ fd }) => fd);
  return { image, spec, shown: build?.info.path ?? null, args: at < 0 ? [] : argv.slice(at + 1), inherited };
}

/** The flag is the jump's own, unless the build before already had it. */
function withoutCachedOnly(argv: string[], previous: ImageRecord | null): string[] {
  if (previous === null || previous.argv.includes(CACHED_ONLY)) return argv;
  return argv.filter((argument, at) => at !== 2 || argument !== CACHED_ONLY);
}

function pathOf(specifier: string): string {
  return specifier.startsWith("file://") ? decodeURIComponent(new URL(specifier).pathname) : specifier;
}

/** A main module that is no file, or is gone, is what it says. */
function realPath(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    return path;
  }
}
