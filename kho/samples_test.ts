/**
 * One fixed segment with something in every member, and handovers made of it. Nothing here needs an import map, so that
 * scripts in child processes can use it too. It has no tests itself; the name keeps it out of the published package.
 *
 * @module
 */
import { bootId, getPid, type OwnedFd, startTime } from "../sys/mod.ts";
import { NONCE_BYTES, type Role } from "./abi/announcement.ts";
import type { ImageRecord } from "./abi/image.ts";
import type { FdRole, SegmentRecord } from "./abi/segment.ts";
import { identify } from "./identity.ts";
import { IncomingKho } from "./incoming.ts";
import { buildSegment } from "./segment_build.ts";

/** The largest number of the format. */
export const MAX_U64 = (1n << 64n) - 1n;

/** An image with something in every member. */
export function sampleImage(changes: Partial<ImageRecord> = {}): ImageRecord {
  return {
    argv: ["deno", "run", "/srv/app.ts"],
    config: "/srv/deno.json",
    cwd: "/srv",
    deno_dir: null,
    entry: "/srv/app.ts",
    env: [new Uint8Array([0x41, 0x3d, 0xff])],
    exec: "/usr/bin/deno",
    fingerprint: "00ff",
    limits: [{ name: "nofile", soft: 1024n, hard: MAX_U64 }],
    names: { entry: "app.ts", exec: null },
    sigmask: "0001",
    umask: 0o22,
    version: "1.2.3",
    ...changes,
  };
}

/** A segment with something in every member, the same in every process. */
export function sampleSegment(changes: Partial<SegmentRecord> = {}): SegmentRecord {
  return {
    blobs: [new Uint8Array([1, 2, 3]), new Uint8Array()],
    fds: [
      { fd: 7, dev: 1n, ino: 2n, mode: 0o100600, kind: "preserved" },
      { fd: 8, dev: 1n, ino: MAX_U64, mode: 0o140777, kind: "inherited", cookie: 77n },
    ],
    image: sampleImage(),
    metadata: {
      boot_id: "b-1",
      build: null,
      count: 3n,
      nonce: new Uint8Array(NONCE_BYTES).fill(9),
      pid: 42,
      start_time: 1000n,
      written_ns: 123_456_789_012n,
    },
    subtrees: [{ handle: 1n, name: "luo" }],
    ...changes,
  };
}

/** Metadata of this process, which passes the check of the origin. */
export function ownMetadata(nonce: Uint8Array = new Uint8Array(NONCE_BYTES)): SegmentRecord["metadata"] {
  return { ...sampleSegment().metadata, boot_id: bootId(), nonce, pid: getPid(), start_time: startTime() };
}

/** What to put into a handover that arrives in this very process. */
export interface Arrival {
  fds?: readonly [OwnedFd, FdRole][];
  blobs?: Uint8Array[];
  subtrees?: Record<string, Uint8Array>;
  role?: Role;
}

/** A handover as the next image would have it. It takes the descriptors over. */
export function makeIncoming({ fds = [], blobs = [], subtrees = {}, role = "update" }: Arrival): IncomingKho {
  const named = Object.entries(subtrees);
  const record = sampleSegment({
    blobs: [...blobs, ...named.map(([, bytes]) => bytes)],
    fds: fds.map(([owned, kind]) => identify(owned.fd, kind)),
    metadata: ownMetadata(),
    subtrees: named.map(([name], index) => ({ handle: BigInt(blobs.length + index + 1), name })),
  });
  const { memory, bytes } = buildSegment(record);
  for (const [owned] of fds) owned.release();
  return new IncomingKho({ record, bytes }, { fd: memory.release(), nonce: record.metadata.nonce, role });
}
