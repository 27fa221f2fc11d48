/**
 * The wire format of one journal entry: a slot of fixed size with a checksum of its own, so that a damaged entry costs
 * itself and nothing else.
 *
 *     u16 length, little endian | CBOR [at_ns, phase, note] | zeros | CRC-32 of all before, u32 little endian
 *
 * @module
 */
import { decodeTriple, encodeTriple } from "./entry_cbor.ts";

/** Bytes of one entry. */
export const SLOT_BYTES = 512;

/** Longest note of an entry, in bytes of UTF-8; longer ones are cut. */
export const MAX_NOTE_BYTES = 440;

/** The event that holds why a build gave up, or what became of it. */
export const FAILED_EVENT = "failed";

/** The event at which something that arrives begins to be left unread. */
export const STALLED_EVENT = "stalled";

/** The event that closes the last phase. */
export const END_EVENT = "end";

/** The event that says that the guardian could not go on; the update did. */
export const UNGUARDED_EVENT = "unguarded";

/** Events that are no phases. */
export const JOURNAL_EVENTS: readonly string[] = [STALLED_EVENT, END_EVENT, FAILED_EVENT, UNGUARDED_EVENT];

/** One stamp of an update. */
export interface JournalEntry {
  /** `CLOCK_MONOTONIC` in nanoseconds: comparable across the jump. */
  at: bigint;
  /** The phase that begins here, or another event of the update. */
  phase: string;
  /** What there is to say, mostly a reason. */
  note: string | null;
}

/** Encodes an entry; a note that is too long is cut at a character. */
export function encodeEntry(entry: JournalEntry): Uint8Array {
  const slot = new Uint8Array(SLOT_BYTES);
  const content = encodeTriple([entry.at, entry.phase, entry.note === null ? null : cut(entry.note)]);
  const view = new DataView(slot.buffer);
  view.setUint16(0, content.byteLength, true);
  slot.set(content, 2);
  view.setUint32(SLOT_BYTES - 4, crc32(slot.subarray(0, SLOT_BYTES - 4)), true);
  return slot;
}

/**
 * Decodes an entry.
 *
 * @param slot exactly {@linkcode SLOT_BYTES} bytes
 * @returns the entry, or null when the slot is empty or damaged
 */
export function decodeEntry(slot: Uint8Array): JournalEntry | null {
  const view = new DataView(slot.buffer, slot.byteOffset, slot.byteLength);
  const length = view.getUint16(0, true);
  if (length === 0 || length > SLOT_BYTES - 6) return null;
  if (view.getUint32(SLOT_BYTES - 4, true) !== crc32(slot.subarray(0, SLOT_BYTES - 4))) return null;
  const entry = decodeTriple(slot.subarray(2, 2 + length));
  if (entry === null) return null;
  // Nobody writes anything else behind the content, or a longer note.
  if (slot.subarray(2 + length, SLOT_BYTES - 4).some((byte) => byte !== 0)) return null;
  const [at, phase, note] = entry;
  if (note !== null && new TextEncoder().encode(note).byteLength > MAX_NOTE_BYTES) return null;
  return { at, phase, note };
}

function cut(note: string): string {
  let text = note.toWellFormed();
  const encoder = new TextEncoder();
  while (encoder.encode(text).byteLength > MAX_NOTE_BYTES) {
    text = [...text].slice(0, -Math.max(1, Math.ceil((encoder.encode(text).byteLength - MAX_NOTE_BYTES) / 4)))
      .join("");
  }
  return text;
}

/** CRC-32 of IEEE 802.3, bit by bit: entries are few and short. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  return (crc ^ 0xffffffff) >>> 0;
}
