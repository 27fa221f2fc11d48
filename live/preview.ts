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
import { takeover } from "./takeover.ts";

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
