import { assertEquals, assertThrows } from "@std/assert";

import { type CborValue, decodeCbor, encodeCbor } from "../codec.ts";
import { decodeTriple, encodeTriple, type Triple } from "./entry_cbor.ts";

const SAMPLES: Triple[] = [
  [0n, "", null],
  [23n, "booting", ""],
  [24n, "x".repeat(23), "y".repeat(24)],
  [255n, "x".repeat(255), "y".repeat(256)],
  [256n, "ä€😀", "\0\n"],
  [65_535n, "p", "n".repeat(70_000)],
  [65_536n, "p", null],
  [(1n << 32n) - 1n, "p", null],
  [1n << 32n, "p", null],
  [(1n << 64n) - 1n, "p", "n"],
];

Deno.test("encodeTriple() writes the very bytes of the codec, and decodeTriple() reads them", () => {
  for (const sample of SAMPLES) {
    const bytes = encodeTriple(sample);
    assertEquals(bytes, new Uint8Array(encodeCbor([...sample])));
    const [at, phase, note] = decodeCbor(bytes) as [number | bigint, string, string | null];
    assertEquals([BigInt(at), phase, note], [...sample]);
    assertEquals(decodeTriple(bytes), sample);
  }
});

Deno.test("decodeTriple() keeps a mark of byte order at the start of a text", () => {
  assertEquals(decodeTriple(encodeTriple([1n, "\ufeffp", "\ufeff"])), [1n, "\ufeffp", "\ufeff"]);
});

Deno.test("encodeTriple() refuses a time that does not fit", () => {
  assertThrows(() => encodeTriple([-1n, "p", null]), RangeError);
  assertThrows(() => encodeTriple([1n << 64n, "p", null]), RangeError);
});

Deno.test("decodeTriple() of an entry that is cut or followed by anything is null", () => {
  for (const sample of SAMPLES.slice(0, 5)) {
    const bytes = encodeTriple(sample);
    for (let length = 0; length < bytes.length; length++) {
      assertEquals(decodeTriple(bytes.subarray(0, length)), null, `${length} bytes`);
    }
    assertEquals(decodeTriple(new Uint8Array([...bytes, 0])), null);
  }
});

Deno.test("decodeTriple() of other documents is null", () => {
  const others: CborValue[] = [1, "p", null, [], [1], [1, "p"], [1, "p", null, null], ["1", "p", null], [
    1,
    2,
    null,
  ]];
  others.push([1, "p", 3], [-1, "p", null], [1, "p", [null]], [1, new Uint8Array(1), null], { a: 1 });
  for (const other of others) assertEquals(decodeTriple(encodeCbor(other)), null, JSON.stringify(other));
  // Not the shortest form, an indefinite length, a reserved length, bytes that are not UTF-8.
  for (
    const hex of ["8318006170f6", "8301780170f6", "83017f6170fff6", "831c6170f6", "830161fff6", "831f6170f6"]
  ) {
    assertEquals(decodeTriple(Uint8Array.fromHex(hex)), null, hex);
  }
});

Deno.test("decodeTriple() and the codec agree about random bytes", () => {
  const base = encodeTriple([300n, "phase", "note"]);
  let state = 12345;
  const random = (below: number): number => (state = (state * 1103515245 + 12345) & 0x7fffffff) % below;
  for (let i = 0; i < 20_000; i++) {
    const bytes = base.slice();
    for (let n = random(3); n >= 0; n--) bytes[random(bytes.length)] = random(256);
    assertEquals(decodeTriple(bytes), byTheCodec(bytes), bytes.toHex());
  }
});

function byTheCodec(bytes: Uint8Array): Triple | null {
  try {
    const value = decodeCbor(bytes);
    if (!Array.isArray(value) || value.length !== 3) return null;
    const [at, phase, note] = value;
    if ((typeof at !== "number" && typeof at !== "bigint") || at < 0 || typeof phase !== "string") {
      return null;
    }
    return note === null || typeof note === "string" ? [BigInt(at), phase, note] : null;
  } catch {
    return null;
  }
}
