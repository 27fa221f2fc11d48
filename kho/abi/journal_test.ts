import { assert, assertEquals } from "@std/assert";

import { encodeCbor } from "../codec.ts";
import { decodeEntry, encodeEntry, MAX_NOTE_BYTES, SLOT_BYTES } from "./journal.ts";

const ENTRY = { at: 123_456_789_012n, phase: "freezing", note: "why" };

Deno.test("decodeEntry() gives back what encodeEntry() wrote", () => {
  for (
    const entry of [
      ENTRY,
      { at: 0n, phase: "", note: null },
      { at: (1n << 64n) - 1n, phase: "p".repeat(40), note: "n".repeat(MAX_NOTE_BYTES) },
    ]
  ) {
    const slot = encodeEntry(entry);
    assertEquals(slot.byteLength, SLOT_BYTES);
    assertEquals(decodeEntry(slot), entry);
  }
});

Deno.test("encodeEntry() writes the slot byte for byte", () => {
  const slot = encodeEntry(ENTRY).toHex();
  assertEquals(slot.slice(0, 50), "1700831b0000001cbe991a1468667265657a696e6763776879");
  assertEquals(slot.slice(50, -8), "0".repeat(2 * SLOT_BYTES - 58));
  assertEquals(slot.slice(-8), "bf7e9ffd");
});

Deno.test("encodeEntry() cuts a note that is too long at a character", () => {
  for (const note of ["a".repeat(5000), "😀".repeat(2000), `a${"é".repeat(300)}`, "\ud800".repeat(300)]) {
    const found = decodeEntry(encodeEntry({ ...ENTRY, note }))?.note ?? "";
    assert(note.toWellFormed().startsWith(found));
    const bytes = new TextEncoder().encode(found).byteLength;
    assert(bytes <= MAX_NOTE_BYTES && bytes > MAX_NOTE_BYTES - 8, `${bytes} bytes`);
  }
});

Deno.test("decodeEntry() of a slot with any flipped bit is null", () => {
  const slot = encodeEntry(ENTRY);
  for (let bit = 0; bit < SLOT_BYTES * 8; bit++) {
    const damaged = slot.slice();
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assertEquals(decodeEntry(damaged), null, `bit ${bit}`);
  }
});

Deno.test("decodeEntry() of an empty slot is null", () => {
  assertEquals(decodeEntry(new Uint8Array(SLOT_BYTES)), null);
});

Deno.test("decodeEntry() of another content behind a right checksum is null", () => {
  for (
    const content of [
      encodeCbor(1),
      encodeCbor([1, "phase"]),
      encodeCbor([1, "phase", null, null]),
      encodeCbor(["1", "phase", null]),
      encodeCbor([1, 2, null]),
      encodeCbor([1, "phase", 3]),
      new Uint8Array([0xff]),
    ]
  ) {
    assertEquals(decodeEntry(slotOf(content)), null, content.toHex());
  }
  assertEquals(decodeEntry(slotOf(encodeCbor([1, "phase", null]))), { at: 1n, phase: "phase", note: null });
});

/** A slot with a checksum by the table-free definition, made independently of the module. */
function slotOf(content: Uint8Array): Uint8Array {
  const slot = new Uint8Array(SLOT_BYTES);
  const view = new DataView(slot.buffer);
  view.setUint16(0, content.byteLength, true);
  slot.set(content, 2);
  let remainder = 0xffffffffn;
  for (const byte of slot.subarray(0, -4)) {
    remainder ^= BigInt(byte);
    for (let i = 0; i < 8; i++) {
      remainder = remainder & 1n ? (remainder >> 1n) ^ 0xedb88320n : remainder >> 1n;
    }
  }
  view.setUint32(SLOT_BYTES - 4, Number(remainder ^ 0xffffffffn), true);
  return slot;
}
