/**
 * Valid segments and valid inner documents to damage: an empty one, one with something in every member, one as a busy
 * service writes it, one with a thousand descriptors. They are the same in every process, so that a seed and a number are
 * enough to have any damaged input again. It has no tests itself; the name keeps it out of the published package.
 *
 * @module
 */
import { encodeRecord } from "../handlers/record.ts";
import {
  encodeHistory,
  encodeNames,
  encodeStates,
  HISTORY_SUBTREE,
  LIVE_SUBTREE,
  NAMES_SUBTREE,
} from "./abi/live.ts";
import { encodeLuo, type LuoRecord } from "./abi/luo.ts";
import type { FdRecord, FdRole, SegmentRecord } from "./abi/segment.ts";
import { encodeImage } from "./abi/image.ts";
import { encodeCbor } from "./codec.ts";
import { OutgoingKho } from "./outgoing.ts";
import { MAX_U64, sampleImage, sampleSegment } from "./samples_test.ts";
import { encodeEnvelope } from "./segment_build.ts";

/** Name of the subtree of LUO; a test of this layer does not ask the layer above. */
export const LUO = "luo";

/** The inner documents of a segment, each in a few valid forms. */
export interface InnerSamples {
  readonly luo: readonly Uint8Array[];
  readonly states: readonly Uint8Array[];
  readonly history: readonly Uint8Array[];
  readonly names: readonly Uint8Array[];
  readonly image: readonly Uint8Array[];
  readonly record: readonly Uint8Array[];
}

const ROLES: readonly FdRole[] = ["preserved", "journal", "inherited", "runtime", "guardian"];

/** Some FLBs, and sessions with their files. */
export function sampleLuo(sessions: number, files: number): LuoRecord {
  return {
    flbs: sessions === 0 ? [] : [
      { compatible: "arena-v1", count: BigInt(sessions), data: 0xfeedf00dcafebee0n },
      { compatible: "f".repeat(47), count: 0n, data: MAX_U64 },
    ],
    number: BigInt(sessions) + 1n,
    sessions: Array.from({ length: sessions }, (_, session) => ({
      name: session === 0 ? "heirloom" : session === 1 ? "é".repeat(31) : `session ${session}`,
      files: Array.from({ length: session === 2 ? 0 : files }, (_, file) => ({
        compatible: ["memfd-v1", "stream-v1", "c".repeat(47)][file % 3] ?? "",
        data: file % 5 === 4 ? MAX_U64 : BigInt(file),
        token: file === 1 ? MAX_U64 : BigInt(file * 1000),
      })),
    })),
  };
}

const STATES = encodeStates([
  {
    name: "sessions",
    version: 3,
    value: encodeCbor({ alice: [1, 2.5, null], bob: { n: MAX_U64 } }, { floats: true }),
  },
  { name: "empty", version: 1, value: new Uint8Array() },
  { name: "n".repeat(63), version: Number.MAX_SAFE_INTEGER, value: new Uint8Array(700).fill(0xa0) },
]);

const UPDATE = JSON.stringify({
  id: "7f3a",
  outcome: "committed",
  reason: null,
  from: { path: "/srv/app.ts", version: "1.2.3", id: "0123456789ab" },
  phases: [{ name: "freezing", ms: 0.25 }, { name: "jumping", ms: 41 }],
  warnings: ["ein Gruß €😀"],
});

const HISTORY = encodeHistory({ pending: UPDATE, started: 123_456_789n, updates: Array(8).fill(UPDATE) });

const NAMES = encodeNames([
  { name: "http", token: 1n, kind: "listener" },
  { name: "naïve 😀", token: MAX_U64, kind: "segment" },
  { name: "n".repeat(128), token: 0n, kind: "k".repeat(32) },
]);

const RECORD = encodeRecord(1, {
  flags: 0o2,
  path: "/var/log/app.log",
  path_state: "same",
  pos: 4096n,
  seals: 0,
});

/** A valid inner document or a few, by what it is. */
export const INNER: InnerSamples = {
  luo: [sampleLuo(0, 0), sampleLuo(1, 1), sampleLuo(4, 6), sampleLuo(3, 60)].map(encodeLuo),
  states: [STATES, encodeStates([])],
  history: [
    HISTORY,
    encodeHistory({
      pending: null,
      started: 0n,
      updates: [],
      graphs: new TextEncoder().encode('{"from":null}'),
    }),
  ],
  names: [NAMES, encodeNames([])],
  image: [
    sampleImage(),
    sampleImage({ argv: [], config: null, env: [], fingerprint: null, limits: [], umask: 0 }),
  ]
    .map((image) => encodeCbor(encodeImage(image))),
  record: [RECORD, encodeRecord(2, {})],
};

/** Valid segments, smallest first. */
export const SEGMENTS: readonly Uint8Array[] = [
  sampleSegment({ blobs: [], fds: [], subtrees: [] }),
  sampleSegment(),
  busySegment(),
  broadSegment(600),
].map(encodeEnvelope);

/** What a service with sessions, saved states and a history hands over. */
function busySegment(): SegmentRecord {
  const kho = new OutgoingKho();
  for (let blob = 0; blob < 12; blob++) {
    kho.preserveBlob(blob % 4 === 3 ? new Uint8Array(300).fill(0x80) : RECORD);
  }
  kho.unpreserveBlob(kho.preserveBlob(RECORD));
  for (
    const [name, bytes] of [[LUO, encodeLuo(sampleLuo(4, 6))], [LIVE_SUBTREE, STATES], [NAMES_SUBTREE, NAMES]]
  ) {
    kho.addSubtree(name as string, bytes as Uint8Array);
  }
  kho.addSubtree(HISTORY_SUBTREE, HISTORY);
  return sampleSegment({
    blobs: kho.blobs(),
    fds: Array.from({ length: 40 }, (_, index) => sampleFd(index)),
    image: sampleImage({
      env: ["PATH=/usr/bin", "LANG=de", "EMPTY="].map((text) => new TextEncoder().encode(text)),
    }),
    subtrees: kho.subtrees(),
  });
}

/** Many descriptors, many files, and a session for every three of them. */
function broadSegment(fds: number): SegmentRecord {
  const kho = new OutgoingKho();
  kho.addSubtree(LUO, encodeLuo(sampleLuo(fds / 3, 3)));
  return sampleSegment({
    blobs: kho.blobs(),
    fds: Array.from({ length: fds }, (_, index) => sampleFd(index)),
    subtrees: kho.subtrees(),
  });
}

function sampleFd(index: number): FdRecord {
  const record: FdRecord = {
    fd: index + 3,
    dev: BigInt(index % 3),
    ino: index % 7 === 0 ? MAX_U64 : BigInt(index * 1_000_003),
    mode: index % 2 === 0 ? 0o100600 : 0o140777,
    kind: ROLES[index % ROLES.length] ?? "preserved",
  };
  if (index % 2 === 1) record.cookie = BigInt(index) << 40n;
  else if (index % 4 === 2) record.link = "anon_inode:[eventfd]";
  return record;
}
