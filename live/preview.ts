/**
 * The segment that a service would hand over at this moment, for `heirloom inspect --live`: what is preserved, without a
 * freeze and without what the application would save.
 *
 * @module
 */
import { NONCE_BYTES } from "../kho/abi/announcement.ts";
import { encodeLuo } from "../kho/abi/luo.ts";
import { encodeEnvelope } from "../kho/segment_build.ts";
import { LUO_SUBTREE } from "../luo/orchestrator.ts";
import { orchestrator } from "../luo/process.ts";
import { describeHandover } from "../luo/reboot.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { removeOldLocks } from "./lock_file.ts";
import { takeover } from "./takeover.ts";

/**
 * Loads what an update needs while the files that this build consists of are still those that it was started from, and
 * goes through the motions once: what runs for the first time within the freeze runs slowly.
 *
 * @param life an application that is ready
 */
export async function prepareUpdates(life: Lifecycle): Promise<void> {
  await life.updater();
  previewSegment(life);
  await life.running();
  if (takeover.self.spec !== null) removeOldLocks(takeover.self.spec);
}

/** The envelope of that segment; its nonce is zero, so nobody can take it over. */
export function previewSegment(life: Lifecycle): Uint8Array {
  const luo = orchestrator();
  luo.outgoing.addSubtree(LUO_SUBTREE, encodeLuo(luo.describe()));
  try {
    const writer = { image: takeover.self.image, count: life.count };
    return encodeEnvelope(describeHandover(luo, writer, new Uint8Array(NONCE_BYTES)));
  } finally {
    luo.outgoing.removeSubtree(LUO_SUBTREE);
  }
}
