/**
 * The wire format of a handover segment, version `kho-v1`: envelope and payload.
 *
 * This is a contract between builds. If anything here changes its meaning, a new version string is due; a reader
 * refuses versions that it does not know, and members that its version does not have.
 *
 *     [ "kho-v1", sha256(payload) : bytes .32, payload : bytes ]
 *     payload = { "blobs": [bytes], "fds": [FD], "image": IMAGE, "metadata": METADATA, "subtrees": [{"handle","name"}] }
 *     FD = { "fd", "dev", "ino", "mode", "kind", ?"cookie" of a socket, ?"link" of an anonymous inode }
 *
 * @module
 */
import type { CborValue } from "../codec.ts";
import { HandoverError } from "../errors.ts";
import { Fields, type Place, textOf } from "./fields.ts";
import { encodeImage, type ImageRecord, parseImage } from "./image.ts";

/** The version of the envelope. Change it with every change of the format. */
export const KHO_VERSION = "kho-v1";

/** Longest name of a subtree, in bytes. The shortest has one byte. */
export const MAX_SUBTREE_NAME_BYTES = 63;

/** Most descriptors that one segment may list. */
export const MAX_FDS = 1_000_000;

/**
 * What a descriptor is to the handover: a preserved resource, the journal, one inherited at the cold start, the runtime
 * of the build that wrote the segment, or the connection to the guardian.
 */
export type FdRole = "preserved" | "journal" | "inherited" | "runtime" | "guardian";

const FD_ROLES: readonly string[] = ["preserved", "journal", "inherited", "runtime", "guardian"];

/** Longest name of an anonymous inode. The kernel's own have some 20 characters. */
const MAX_LINK_CHARACTERS = 255;

/** One descriptor that crosses, with what identifies it. */
export interface FdRecord {
  /** Its number, which it keeps across the jump. */
  fd: number;
  /** Device of the inode. */
  dev: bigint;
  /** Number of the inode. */
  ino: bigint;
  /** Type and permission bits, as fstat(2) gives them. */
  mode: number;
  /** What it is to the handover. */
  kind: FdRole;
  /** `SO_COOKIE` of a socket: the kernel never gives one twice. */
  cookie?: bigint;
  /** What the kernel calls an anonymous inode, such as `anon_inode:[eventfd]`: many of them share one number. */
  link?: string;
}

/** Who wrote the segment, when, for whom. */
export interface MetadataRecord {
  /** `/proc/sys/kernel/random/boot_id` of the writer. */
  boot_id: string;
  /** Fingerprint of the build that wrote it, or null. */
  build: string | null;
  /** How many times this process has jumped so far, this one included. */
  count: bigint;
  /** Random, and repeated in the announcement. */
  nonce: Uint8Array;
  /** Process that wrote it. */
  pid: number;
  /** Start time of that process in clock ticks since boot (field 22 of `/proc/PID/stat`). */
  start_time: bigint;
  /** `CLOCK_MONOTONIC` of the writing, in nanoseconds. */
  written_ns: bigint;
}

/** A named blob. */
export interface SubtreeRecord {
  /** Handle of the blob: index + 1. */
  handle: bigint;
  /** Unique name. */
  name: string;
}

/** The whole payload. */
export interface SegmentRecord {
  /** Preserved memory; a handle is index + 1. */
  blobs: Uint8Array[];
  /** Every descriptor that crosses. */
  fds: FdRecord[];
  /** The build that wrote it, as it can be started again. */
  image: ImageRecord;
  /** Who wrote it. */
  metadata: MetadataRecord;
  /** The named blobs. */
  subtrees: SubtreeRecord[];
}

const METADATA_VERSION = 1;

/**
 * The payload as a document.
 *
 * @param record the payload; what it holds is written as it is, without copies
 * @throws {HandoverError} `TOO_LARGE` with more than {@linkcode MAX_FDS} descriptors
 */
export function encodeSegment(record: SegmentRecord): CborValue {
  if (record.fds.length > MAX_FDS) {
    throw new HandoverError(
      "TOO_LARGE",
      `Cannot write the handover: ${record.fds.length} descriptors, at most ${MAX_FDS}`,
    );
  }
  return {
    blobs: record.blobs,
    fds: record.fds as unknown as CborValue[],
    image: encodeImage(record.image),
    metadata: { ...record.metadata, version: METADATA_VERSION },
    subtrees: record.subtrees.map(({ handle, name }) => ({ handle, name })),
  };
}

/**
 * Reads a decoded payload.
 *
 * @throws {HandoverError} `CORRUPT` with the place, or `UNKNOWN_VERSION` for metadata of another version
 */
export function parseSegment(value: CborValue): SegmentRecord {
  const top = new Fields(value, "$");
  const blobs = top.list("blobs", (member, place) => {
    if (member instanceof Uint8Array) return member;
    throw new HandoverError("CORRUPT", `Cannot read ${textOf(place)} of the handover: it is no byte string`);
  });
  const fds = top.list("fds", parseFd);
  if (fds.length > MAX_FDS) {
    throw new HandoverError(
      "TOO_LARGE",
      `Cannot read the handover: ${fds.length} descriptors, at most ${MAX_FDS}`,
    );
  }
  const record: SegmentRecord = {
    blobs,
    fds,
    image: parseImage(top.map("image")),
    metadata: parseMetadata(top.map("metadata")),
    subtrees: top.list("subtrees", parseSubtree),
  };
  top.end();
  const names = new Set(record.subtrees.map(({ name }) => name));
  if (names.size !== record.subtrees.length) {
    throw new HandoverError("CORRUPT", "Cannot read $.subtrees of the handover: a name is there twice");
  }
  const numbers = new Set(record.fds.map(({ fd }) => fd));
  if (numbers.size !== record.fds.length) {
    throw new HandoverError("CORRUPT", "Cannot read $.fds of the handover: a number is there twice");
  }
  return record;
}

/**
 * The bytes behind a handle.
 *
 * @param record the payload
 * @param handle index + 1
 * @throws {HandoverError} `ENOENT` for a handle that the segment does not have
 */
export function blobOf(record: SegmentRecord, handle: bigint): Uint8Array {
  const bytes = handle > 0n ? record.blobs[Number(handle) - 1] : undefined;
  if (bytes !== undefined) return bytes;
  throw new HandoverError("ENOENT", `Cannot read blob ${handle}: the handover does not hold it`);
}

/**
 * The bytes of a subtree.
 *
 * @param record the payload
 * @param name its name
 * @returns the bytes, or null where there is none of that name
 * @throws {HandoverError} `ENOENT` when it has no bytes
 */
export function subtreeOf(record: SegmentRecord, name: string): Uint8Array | null {
  const found = record.subtrees.find((subtree) => subtree.name === name);
  return found === undefined ? null : blobOf(record, found.handle);
}

function parseFd(value: CborValue, place: Place): FdRecord {
  return readFd(value) ?? explainFd(value, place);
}

/**
 * Reads a record that is right, as nearly all are; null for any other. A service has thousands of descriptors, and member by
 * member, with a reader for each, they would be a tenth of its restart.
 */
function readFd(value: CborValue): FdRecord | null {
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Uint8Array) {
    return null;
  }
  const { fd, dev, ino, mode, kind, cookie, link } = value;
  const members = 5 + (cookie === undefined ? 0 : 1) + (link === undefined ? 0 : 1);
  if (Object.keys(value).length !== members || typeof kind !== "string" || !FD_ROLES.includes(kind)) {
    return null;
  }
  if (!isUnsigned(fd, 0x7fffffff) || !isUnsigned(mode, 0xffffffff) || !isU64(dev) || !isU64(ino)) return null;
  const record: FdRecord = { fd, dev: BigInt(dev), ino: BigInt(ino), mode, kind: kind as FdRole };
  if (cookie !== undefined) {
    if (!isU64(cookie)) return null;
    record.cookie = BigInt(cookie);
  }
  if (link !== undefined) {
    if (typeof link !== "string" || link.length < 1 || link.length > MAX_LINK_CHARACTERS) return null;
    record.link = link;
  }
  return record;
}

function isUnsigned(value: CborValue | undefined, max: number): value is number {
  return typeof value === "number" && value >= 0 && value <= max;
}

function isU64(value: CborValue | undefined): value is number | bigint {
  return (typeof value === "number" || typeof value === "bigint") && value >= 0;
}

/** Says what is wrong with a record. */
function explainFd(value: CborValue, place: Place): FdRecord {
  const fields = new Fields(value, place);
  const kind = fields.text("kind");
  if (!FD_ROLES.includes(kind)) {
    throw new HandoverError(
      "CORRUPT",
      `Cannot read ${textOf(place)}.kind of the handover: "${kind}" is unknown`,
    );
  }
  const record: FdRecord = {
    fd: fields.int("fd", 0x7fffffff),
    dev: fields.u64("dev"),
    ino: fields.u64("ino"),
    mode: fields.int("mode", 0xffffffff),
    kind: kind as FdRole,
  };
  if (fields.maybe("cookie") !== undefined) record.cookie = fields.u64("cookie");
  if (fields.maybe("link") !== undefined) record.link = fields.text("link", 1, MAX_LINK_CHARACTERS);
  fields.end();
  return record;
}

function parseMetadata(fields: Fields): MetadataRecord {
  const version = fields.int("version");
  if (version !== METADATA_VERSION) {
    throw new HandoverError(
      "UNKNOWN_VERSION",
      `Cannot read the handover: its metadata has version ${version}, this build reads ${METADATA_VERSION}`,
    );
  }
  const record: MetadataRecord = {
    boot_id: fields.text("boot_id", 1, 64),
    build: fields.textOrNull("build"),
    count: fields.u64("count"),
    nonce: fields.bytes("nonce"),
    pid: fields.int("pid"),
    start_time: fields.u64("start_time"),
    written_ns: fields.u64("written_ns"),
  };
  fields.end();
  return record;
}

function parseSubtree(value: CborValue, place: Place): SubtreeRecord {
  const fields = new Fields(value, place);
  const record = { handle: fields.u64("handle"), name: fields.text("name", 1, MAX_SUBTREE_NAME_BYTES) };
  fields.end();
  return record;
}
