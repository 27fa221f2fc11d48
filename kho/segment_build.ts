/**
 * Writes a handover segment: payload, checksum, envelope, into a memfd that is sealed before anyone else sees it.
 *
 * Loaded only by the old side of an update; the restart path does without it.
 *
 * Happy path: {@linkcode buildSegment} gives a memfd `kho:handover` that nobody can change any more.
 *
 * Unhappy paths: a document beyond the limits is a `RangeError`; no memory is a `SysError`. Nothing stays behind.
 *
 * @module
 */
import { createHash } from "node:crypto";

import { addSeals, createMemfd, type OwnedFd, SEALS, writeAll } from "../sys/mod.ts";
import { encodeSegment, KHO_VERSION, type SegmentRecord } from "./abi/segment.ts";
import { encodeCbor } from "./codec.ts";

/** The seals of a segment: nothing about it can change, not even its seals. */
export const SEGMENT_SEALS = SEALS.SEAL | SEALS.SHRINK | SEALS.GROW | SEALS.WRITE;

/**
 * Encodes a segment with its envelope.
 *
 * @returns the bytes of the segment
 * @throws {RangeError} more than 256 MiB, or nested too deeply
 */
export function encodeEnvelope(record: SegmentRecord): Uint8Array {
  const payload = encodeCbor(encodeSegment(record));
  const digest = new Uint8Array(createHash("sha256").update(payload).digest());
  return encodeCbor([KHO_VERSION, digest, payload]);
}

/**
 * Writes bytes into a sealed memfd `kho:handover`.
 *
 * @returns the descriptor: CLOEXEC, at its end, with the seals of {@linkcode SEGMENT_SEALS}
 * @throws {SysError} when there is no memory or no descriptor left
 */
export function sealSegment(bytes: Uint8Array): OwnedFd {
  using undo = new DisposableStack();
  // The size first: what the limits of the process do not allow is refused, where a write would end the process.
  const memory = undo.use(createMemfd("kho:handover", { noexec: true, size: bytes.byteLength }));
  writeAll(memory.fd, bytes);
  addSeals(memory.fd, SEGMENT_SEALS);
  undo.move();
  return memory;
}

/**
 * Builds, writes and seals a segment.
 *
 * @returns the descriptor and the size in bytes
 */
export function buildSegment(record: SegmentRecord): { memory: OwnedFd; bytes: number } {
  const bytes = encodeEnvelope(record);
  return { memory: sealSegment(bytes), bytes: bytes.byteLength };
}
