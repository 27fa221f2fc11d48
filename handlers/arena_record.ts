/**
 * What crosses of an arena: one record for the whole, and one number for each slice.
 *
 * The record of the FLB `arena-v1` is a blob `[1, {"fd", "held", "size"}]`: the descriptor, the size in bytes, and which
 * units slices lie in that cross, as pairs of little-endian u32 (first unit, number of units), ascending. A slice of
 * `arena-slice-v1` is its `serializedData`: the first unit in the upper 32 bits, its size in bytes in the lower 32. So ten
 * thousand slices cost one descriptor and one blob.
 *
 * Unhappy paths: what no writer could have written is a `HandoverError` with code `CORRUPT`.
 *
 * @module
 */
import { HandoverError } from "../kho/errors.ts";
import { LuoError } from "../luo/errors.ts";
import type { Run } from "./arena_runs.ts";
import { decodeRecord, encodeRecord } from "./record.ts";

/** Bytes of a unit: every slice begins at a multiple of it, on a cache line of its own. */
export const ARENA_UNIT = 64;

/** Largest arena: 2^32 - 1 units, just under 256 GiB. */
export const MAX_ARENA_BYTES: number = (2 ** 32 - 1) * ARENA_UNIT;

/** Largest slice: 4 GiB - 1. */
export const MAX_SLICE_BYTES: number = 2 ** 32 - 1;

const VERSION = 1;

/** Bytes of one run in the record. */
const RUN_BYTES = 8;

/** Where a slice lies. */
export interface SliceRange {
  /** Its first byte, a multiple of {@linkcode ARENA_UNIT}. */
  offset: number;
  /** Its size in bytes, 1 or more. */
  size: number;
}

/** What crosses of an arena. */
export interface ArenaRecord {
  /** Its descriptor. */
  fd: number;
  /** Its size in bytes. */
  size: number;
  /** The units in which slices lie that cross. */
  held: Run[];
}

/** How many units that many bytes take. */
export function unitsOf(bytes: number): number {
  return Math.ceil(bytes / ARENA_UNIT);
}

/**
 * Refuses a size that is none.
 *
 * @throws {LuoError} `EINVAL`
 */
export function checkSize(size: number, most: number, action: string): void {
  if (Number.isSafeInteger(size) && size >= 1 && size <= most) return;
  throw new LuoError("EINVAL", `${action}: allowed are 1 to ${most}`);
}

/** Packs the place of a slice into a number. */
export function packRange({ offset, size }: SliceRange): bigint {
  return BigInt(offset / ARENA_UNIT) << 32n | BigInt(size);
}

/**
 * The inverse of {@linkcode packRange}.
 *
 * @throws {HandoverError} `CORRUPT` for a slice without bytes, or one that ends beyond the largest arena
 */
export function unpackRange(data: bigint): SliceRange {
  const offset = Number(data >> 32n) * ARENA_UNIT;
  const size = Number(data & 0xffffffffn);
  if (size === 0) throw corrupt(`the slice at ${offset}`, "it has no bytes");
  if (offset + size > MAX_ARENA_BYTES) {
    throw corrupt(`the slice at ${offset}`, `it ends beyond ${MAX_ARENA_BYTES} bytes`);
  }
  return { offset, size };
}

/** Encodes the record of an arena. */
export function encodeArena({ fd, size, held }: ArenaRecord): Uint8Array {
  const bytes = new Uint8Array(held.length * RUN_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [index, { start, end }] of held.entries()) {
    view.setUint32(index * RUN_BYTES, start, true);
    view.setUint32(index * RUN_BYTES + 4, end - start, true);
  }
  return encodeRecord(VERSION, { fd, held: bytes, size });
}

/**
 * Decodes the record of an arena.
 *
 * @param bytes the blob
 * @param name of the FLB, for messages
 * @throws {HandoverError} `UNKNOWN_VERSION`, or `CORRUPT` with the place
 */
export function decodeArena(bytes: Uint8Array, name: string): ArenaRecord {
  const fields = decodeRecord(bytes, name, VERSION);
  const size = fields.int("size", MAX_ARENA_BYTES);
  if (size === 0 || size % ARENA_UNIT !== 0) throw corrupt(name, `an arena has no ${size} bytes`);
  return { fd: fields.int("fd"), size, held: decodeRuns(fields.bytes("held"), size / ARENA_UNIT, name) };
}

function decodeRuns(bytes: Uint8Array, units: number, name: string): Run[] {
  if (bytes.byteLength % RUN_BYTES !== 0) throw corrupt(name, "the list of what is held is cut");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const runs: Run[] = [];
  let last = -1;
  for (let at = 0; at < bytes.byteLength; at += RUN_BYTES) {
    const start = view.getUint32(at, true);
    const end = start + view.getUint32(at + 4, true);
    // Runs that touch are one run to a writer.
    if (start <= last || end <= start || end > units) {
      throw corrupt(name, `units ${start} to ${end} cannot be held`);
    }
    runs.push({ start, end });
    last = end;
  }
  return runs;
}

function corrupt(place: string, state: string): HandoverError {
  return new HandoverError("CORRUPT", `Cannot read ${place} of the handover: ${state}`);
}
