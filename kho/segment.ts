/**
 * Reads a handover segment and believes nothing of it before it is verified.
 *
 * Happy path: {@linkcode readSegment} checks that the descriptor is a fully sealed memfd, reads it, checks version and
 * checksum, and parses the payload. {@linkcode verifyOrigin} then checks that it was written for this process.
 *
 * Unhappy paths: each check that fails is a `HandoverError` that names what is wrong. Nothing is guessed, nothing
 * hangs, and the memory needed is bounded by the size of the segment.
 *
 * @module
 */
import { bootId, fstat, getPid, getSeals, readWhole, startTime, SysError } from "../sys/mod.ts";
import type { Announcement } from "./abi/announcement.ts";
import { KHO_VERSION, parseSegment, type SegmentRecord } from "./abi/segment.ts";
import { type CborValue, decodeCbor, MAX_CBOR_BYTES, sameBytes } from "./codec.ts";
import { HandoverError } from "./errors.ts";

/** SEAL, SHRINK, GROW, WRITE: what a segment must have at least. Others may be there (MFD_NOEXEC_SEAL adds its own). */
const NEEDED_SEALS = 0xf;

/** A segment that was read and verified. */
export interface Segment {
  /** The payload. */
  record: SegmentRecord;
  /** Size of the whole segment in bytes. */
  bytes: number;
}

/**
 * Reads and verifies the segment behind a descriptor.
 *
 * @param fd a sealed memfd, borrowed; its position is not used
 * @returns the verified segment
 * @throws {HandoverError} `NOT_A_SEGMENT`, `UNSEALED`, `TOO_LARGE`, `CORRUPT` or `UNKNOWN_VERSION`
 */
export async function readSegment(fd: number): Promise<Segment> {
  return await decodeEnvelope(readSealed(fd));
}

/**
 * Verifies and parses the bytes of a segment, wherever they come from.
 *
 * @throws {HandoverError} `CORRUPT`, `TOO_LARGE` or `UNKNOWN_VERSION`
 */
export async function decodeEnvelope(bytes: Uint8Array): Promise<Segment> {
  const envelope = decode(bytes, "envelope");
  if (!Array.isArray(envelope) || typeof envelope[0] !== "string") throw corrupt("it has no envelope");
  const [version, digest, payload] = envelope;
  if (version !== KHO_VERSION) {
    throw new HandoverError(
      "UNKNOWN_VERSION",
      `Cannot read the handover: it is in "${version}", this build reads "${KHO_VERSION}"`,
    );
  }
  if (envelope.length !== 3 || !(digest instanceof Uint8Array) || !(payload instanceof Uint8Array)) {
    throw corrupt("its envelope is malformed");
  }
  const found = new Uint8Array(await crypto.subtle.digest("SHA-256", payload as Uint8Array<ArrayBuffer>));
  if (!sameBytes(found, digest)) throw corrupt("its checksum is wrong");
  return { record: parseSegment(decode(payload, "payload")), bytes: bytes.byteLength };
}

/**
 * Checks that a segment was written for this process, this boot and this announcement.
 *
 * @param record the payload
 * @param announcement what the environment said; null for a segment that is only looked at
 * @throws {HandoverError} `FOREIGN` with what differs
 */
export function verifyOrigin(record: SegmentRecord, announcement: Announcement): void {
  const { metadata } = record;
  if (!sameBytes(metadata.nonce, announcement.nonce)) throw foreign("its nonce is another one");
  if (metadata.boot_id !== bootId()) throw foreign("it was written before the machine was booted");
  if (announcement.role !== "update" && announcement.role !== "fallback") return;
  // A pid may be used again; together with the start time, which execve does not change, it is unique.
  if (metadata.pid !== getPid()) throw foreign(`process ${metadata.pid} wrote it`);
  if (metadata.start_time !== startTime()) throw foreign("another process with the same pid wrote it");
}

function readSealed(fd: number): Uint8Array {
  let seals: number;
  try {
    seals = getSeals(fd);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const state = error.code === "EBADF" ? "it is closed" : "it is no memfd";
    throw new HandoverError("NOT_A_SEGMENT", `Cannot read the handover in fd ${fd}: ${state}`, {
      cause: error,
    });
  }
  if ((seals & NEEDED_SEALS) !== NEEDED_SEALS) {
    throw new HandoverError(
      "UNSEALED",
      `Cannot read the handover in fd ${fd}: it has seals 0x${seals.toString(16)}, needed are 0xf`,
    );
  }
  const { size } = fstat(fd);
  if (size > MAX_CBOR_BYTES) {
    throw new HandoverError("TOO_LARGE", `Cannot read the handover in fd ${fd}: ${size} bytes are too many`);
  }
  const bytes = readWhole(fd, size);
  if (bytes.byteLength < size) throw corrupt("it is shorter than its size");
  return bytes;
}

function decode(bytes: Uint8Array, part: string): CborValue {
  try {
    return decodeCbor(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new HandoverError("CORRUPT", `Cannot read the handover: its ${part} is damaged: ${reason}`, {
      cause: error,
    });
  }
}

function corrupt(state: string): HandoverError {
  return new HandoverError("CORRUPT", `Cannot read the handover: ${state}`);
}

function foreign(state: string): HandoverError {
  return new HandoverError("FOREIGN", `Cannot take over: the handover is not for this process: ${state}`);
}
