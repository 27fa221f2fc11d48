/**
 * The image of the build that runs: everything needed to start it again, resolved, never a guess.
 *
 * Arguments and environment are those that the kernel gave this process (`/proc/self/cmdline` and `environ`), not what
 * the application made of them since. Names that may come to mean something else (a symlink, a relative path) are
 * replaced by what they mean now; what was asked for is kept beside them for the next update to resolve anew.
 *
 * @module
 */
import {
  currentDirectory,
  getLimit,
  getMask,
  getUmask,
  initialEnvironmentBytes,
  maskToHex,
} from "../sys/mod.ts";
import { HANDOVER_VARIABLE } from "./abi/announcement.ts";
import type { ImageRecord, LimitRecord, NamesRecord } from "./abi/image.ts";

/** What the surroundings of the image know about it. */
export interface ImageFacts {
  /** The whole argument list, resolved. */
  argv: string[];
  /** Real path of the entry module. */
  entry: string;
  /** Configuration file in use, or null. */
  config: string | null;
  /** Version of the nearest `deno.json`, or null. */
  version: string | null;
  /** The names that the next update resolves anew. */
  names: NamesRecord;
  /** The image that handed over to this one, whose limits and mask are those of the cold start; null at a cold start. */
  previous: ImageRecord | null;
}

/**
 * Captures the image of this process. Call it before the application can change the directory or the umask.
 *
 * @param facts what cannot be read from the process itself
 * @returns the image; its fingerprint is filled in later, once the module graph is known
 */
export function captureImage(facts: ImageFacts): ImageRecord {
  const { previous } = facts;
  return {
    argv: facts.argv,
    config: facts.config,
    cwd: previous?.cwd ?? currentDirectory(),
    deno_dir: Deno.env.get("DENO_DIR") ?? null,
    entry: facts.entry,
    env: initialEnvironmentBytes().filter((entry) => !isAnnouncement(entry)),
    exec: Deno.execPath(),
    fingerprint: null,
    limits: previous?.limits ?? captureLimits(),
    names: facts.names,
    sigmask: previous?.sigmask ?? maskToHex(getMask()),
    umask: previous?.umask ?? getUmask(),
    version: facts.version,
  };
}

/** Deno raises the soft limit of descriptors before any JavaScript runs, so this is what a cold start has. */
function captureLimits(): LimitRecord[] {
  const { soft, hard } = getLimit("nofile");
  return [{ name: "nofile", soft, hard }];
}

function isAnnouncement(entry: Uint8Array): boolean {
  const prefix = new TextEncoder().encode(`${HANDOVER_VARIABLE}=`);
  return prefix.every((byte, index) => entry[index] === byte);
}
