/**
 * The segment that a service would hand over at this moment: what is preserved, without a freeze. For
 * `heirloom inspect --live`, and complete, with names and saved states, for the check of a build.
 *
 * @module
 */
import { NONCE_BYTES } from "../kho/abi/announcement.ts";
import { type ConnectionRecord, CONNECTIONS_SUBTREE, encodeConnections } from "../kho/abi/connections.ts";
import { encodeNames, LIVE_SUBTREE, NAMES_SUBTREE } from "../kho/abi/live.ts";
import { encodeLuo } from "../kho/abi/luo.ts";
import { encodeEnvelope } from "../kho/segment_build.ts";
import { LUO_SUBTREE } from "../luo/orchestrator.ts";
import { orchestrator } from "../luo/process.ts";
import { describeHandover } from "../luo/reboot.ts";
import { connectionRecord } from "./http/connections.ts";
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
  const way = await life.build.wayBack();
  await way.prepare();
  // The build before this one stays: a rollback may need it.
  await way.prune(life.build.previous?.snapshot ?? null);
  if (takeover.self.spec !== null) removeOldLocks(takeover.self.spec);
}

/**
 * The envelope of that segment; its nonce is zero, so nobody can take it over.
 *
 * @param life the application
 * @param options `complete` adds what the application saves, and its names
 * @throws with `complete`, whatever a `save` of the application throws
 */
export function previewSegment(life: Lifecycle, options: { complete?: boolean } = {}): Uint8Array {
  const luo = orchestrator();
  using undo = new DisposableStack();
  const add = (name: string, bytes: Uint8Array): void => {
    luo.outgoing.addSubtree(name, bytes);
    undo.defer(() => luo.outgoing.removeSubtree(name));
  };
  // What could not be preserved anew after the last update is tried again, and whatever is wrong with it comes out.
  if (options.complete) life.resources.start();
  add(LUO_SUBTREE, encodeLuo(luo.describe()));
  if (options.complete) {
    add(LIVE_SUBTREE, life.states.save());
    add(NAMES_SUBTREE, encodeNames(life.resources.names()));
    const connections = previewConnections(life);
    if (connections.length > 0) add(CONNECTIONS_SUBTREE, encodeConnections(connections));
  }
  const writer = { image: takeover.self.image, count: life.count };
  return encodeEnvelope(describeHandover(luo, writer, new Uint8Array(NONCE_BYTES)));
}

/** The states that connections have now: a build that does not read them must not get them. */
function previewConnections(life: Lifecycle): ConnectionRecord[] {
  return life.ports().flatMap(({ name, connections }) =>
    (connections.preview?.() ?? []).map((about, index) => connectionRecord(`${name}#${index + 1}`, about))
  );
}
