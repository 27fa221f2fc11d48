/**
 * A build as it is started from its snapshot instead of from where it was deployed.
 *
 * @module
 */
import type { ImageRecord } from "../kho/abi/image.ts";
import { bootOf, composeArguments, type LaunchSpec } from "./launch.ts";
import type { Self } from "./self.ts";

/** Where the copy of a file is, and whether there is one: a snapshot. */
export interface Copies {
  /** The path of the copy. */
  path(original: string): string;
  /** Is there a copy? */
  has(original: string): boolean;
}

/**
 * Makes the image start from copies. Names stay: the next update resolves what was deployed.
 *
 * @param self the build, as it was started
 * @param copies its snapshot
 * @returns the image to start instead
 * @throws {Error} when the arguments do not say where the entry module is
 */
export function relocate(self: Self, copies: Copies): ImageRecord {
  const { image, spec } = self;
  const moved = (path: string): string => located(copies, path);
  const next: ImageRecord = {
    ...image,
    entry: moved(image.entry),
    config: image.config === null ? null : moved(image.config),
  };
  if (spec === null) {
    next.argv = image.argv.map((argument) => argument === image.entry ? next.entry : argument);
    if (!next.argv.includes(next.entry)) {
      throw new Error("Cannot go back to a snapshot: the entry module is not in the argument list");
    }
    return next;
  }
  next.argv = composeArguments(relocateSpec(spec, moved), self.args);
  return next;
}

/** Where a file is found: its copy, or itself where there is none. */
export function located(copies: Copies, original: string): string {
  return copies.has(original) ? copies.path(original) : original;
}

function relocateSpec(spec: LaunchSpec, moved: (path: string) => string): LaunchSpec {
  const boot = moved(bootOf(spec.heirloom));
  return {
    ...spec,
    entry: moved(spec.entry),
    config: spec.config === null ? null : moved(spec.config),
    heirloom: boot.slice(0, -bootOf("").length),
  };
}
