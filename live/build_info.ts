/**
 * A build as it is shown.
 *
 * @module
 */
import type { BuildInfo } from "../control/types.ts";
import type { ImageRecord } from "../kho/abi/image.ts";
import type { LaunchSpec } from "./launch.ts";

/**
 * What `status` shows of a build.
 *
 * @param image the build
 * @param spec how it is launched, or null
 */
export function buildInfoOf(image: ImageRecord, spec: LaunchSpec | null): BuildInfo {
  const path = spec?.mode === "serve" && image.entry.endsWith("/main.ts")
    ? image.entry.slice(0, -"/main.ts".length)
    : image.entry;
  return { path, version: image.version, id: image.fingerprint?.slice(0, 12) ?? null };
}
