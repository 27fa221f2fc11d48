/**
 * A reboot of a build from the future: as `reboot()` of the library, but the segment says another version of its format.
 *
 * Happy path: `return () => rebootForeign("luo")` as the end of a stage; the next image gets a segment that is whole, with
 * a right checksum, and whose sessions are in a version that nobody knows.
 *
 * Unhappy path: a segment without that version in it is a `TypeError`, and nothing has changed.
 *
 * @module
 */
import { LUO_VERSION } from "../../kho/abi/luo.ts";
import { KHO_VERSION } from "../../kho/abi/segment.ts";
import type { SegmentRecord } from "../../kho/abi/segment.ts";
import { Journal } from "../../kho/journal.ts";
import { encodeEnvelope, sealSegment } from "../../kho/segment_build.ts";
import { resolveBuild } from "../../live/resolve.ts";
import { takeover } from "../../live/takeover.ts";
import { LUO_SUBTREE } from "../../luo/orchestrator.ts";
import { orchestrator } from "../../luo/process.ts";
import { reboot } from "../../luo/reboot.ts";
import { isOpenFd, type OwnedFd } from "../../sys/mod.ts";

/** Reboots with an unknown version of the sessions (`luo`) or of the whole segment (`kho`). */
export async function rebootForeign(part: "luo" | "kho"): Promise<never> {
  const { image: next } = await resolveBuild(takeover.self, {});
  using journal = Journal.create();
  return reboot(orchestrator(), {
    image: takeover.self.image,
    next,
    journal,
    inherited: takeover.self.inherited.filter(isOpenFd),
    count: takeover.incoming?.record.metadata.count ?? 0n,
    subtrees: () => [],
    build: part === "luo" ? buildForeignLuo : buildForeignKho,
  });
}

function buildForeignLuo(record: SegmentRecord): { memory: OwnedFd; bytes: number } {
  const handle = record.subtrees.find(({ name }) => name === LUO_SUBTREE)?.handle ?? 0n;
  const blobs = record.blobs.map((blob, at) => BigInt(at + 1) === handle ? renamed(blob, LUO_VERSION) : blob);
  const bytes = encodeEnvelope({ ...record, blobs });
  return { memory: sealSegment(bytes), bytes: bytes.byteLength };
}

function buildForeignKho(record: SegmentRecord): { memory: OwnedFd; bytes: number } {
  const bytes = renamed(encodeEnvelope(record), KHO_VERSION);
  return { memory: sealSegment(bytes), bytes: bytes.byteLength };
}

/** The bytes with the first mention of a version turned into one of the same length that nobody knows. */
function renamed(bytes: Uint8Array, version: string): Uint8Array {
  const text = new TextDecoder("latin1").decode(bytes);
  const at = text.indexOf(version);
  if (at < 0) throw new TypeError(`Cannot rename version ${version}: it is not in the segment`);
  const copy = bytes.slice();
  copy[at + version.length - 1] = "?".charCodeAt(0);
  return copy;
}
