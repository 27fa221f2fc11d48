import { assertEquals, assertThrows } from "@std/assert";
import { HandoverError, type HandoverErrorCode } from "../kho/errors.ts";
import { assertLuoError } from "../luo/helpers_test.ts";
import {
  ARENA_UNIT,
  checkSize,
  decodeArena,
  encodeArena,
  MAX_ARENA_BYTES,
  MAX_SLICE_BYTES,
  packRange,
  unitsOf,
  unpackRange,
} from "./arena_record.ts";
import { encodeRecord } from "./record.ts";

function assertRefused(body: () => unknown, code: HandoverErrorCode, text: string): void {
  assertEquals(assertThrows(body, HandoverError, text).code, code);
}

/** A list of runs as it is written. */
function heldBytes(...numbers: number[]): Uint8Array {
  return new Uint8Array(new Uint32Array(numbers).buffer);
}

Deno.test("packRange packs every place that a slice can have into 64 bits", () => {
  const ranges = [
    { offset: 0, size: 1 },
    { offset: 64, size: 63 },
    { offset: 4096, size: MAX_SLICE_BYTES },
    { offset: MAX_ARENA_BYTES - ARENA_UNIT, size: ARENA_UNIT },
  ];
  for (const range of ranges) {
    const data = packRange(range);
    assertEquals(BigInt.asUintN(64, data), data);
    assertEquals(unpackRange(data), range);
  }
  assertEquals(packRange({ offset: 128, size: 100 }), 0x2_0000_0064n);
});

Deno.test("unpackRange refuses what no slice can be", () => {
  for (const data of [0n, 5n << 32n]) assertRefused(() => unpackRange(data), "CORRUPT", "it has no bytes");
  assertRefused(() => unpackRange(2n ** 64n - 1n), "CORRUPT", "it ends beyond");
  const last = packRange({ offset: MAX_ARENA_BYTES - ARENA_UNIT, size: ARENA_UNIT });
  assertRefused(() => unpackRange(last + 1n), "CORRUPT", "it ends beyond");
});

Deno.test("unitsOf rounds up, and checkSize knows the limits", () => {
  assertEquals([1, 64, 65, 128].map(unitsOf), [1, 1, 2, 2]);
  checkSize(1, 10, "Cannot test");
  checkSize(10, 10, "Cannot test");
  for (const size of [0, -1, 11, 1.5, NaN, Infinity, 2 ** 53]) {
    assertLuoError(() => checkSize(size, 10, "Cannot test"), "EINVAL", "Cannot test: allowed are 1 to 10");
  }
});

Deno.test("decodeArena reads what encodeArena wrote", () => {
  const record = { fd: 12, size: 6400, held: [{ start: 0, end: 3 }, { start: 50, end: 100 }] };
  assertEquals(decodeArena(encodeArena(record), "test-v1"), record);
  const full = { fd: 0, size: MAX_ARENA_BYTES, held: [{ start: 0, end: MAX_ARENA_BYTES / ARENA_UNIT }] };
  assertEquals(decodeArena(encodeArena(full), "test-v1"), full);
});

Deno.test("decodeArena ignores a key that it does not know, and refuses a version that it does not know", () => {
  const members = { fd: 3, held: heldBytes(), size: 64, colour: "red" };
  assertEquals(decodeArena(encodeRecord(1, members), "test-v1"), { fd: 3, held: [], size: 64 });
  assertRefused(() => decodeArena(encodeRecord(2, members), "test-v1"), "UNKNOWN_VERSION", "test-v1");
});

Deno.test("decodeArena refuses what cannot be", () => {
  const decode = (size: number, held: Uint8Array): unknown =>
    decodeArena(encodeRecord(1, { fd: 3, held, size }), "test-v1");
  for (const size of [0, 63, 65]) {
    assertRefused(() => decode(size, heldBytes()), "CORRUPT", `an arena has no ${size} bytes`);
  }
  assertRefused(() => decode(MAX_ARENA_BYTES + 64, heldBytes()), "CORRUPT", "is more than");
  assertRefused(() => decode(640, new Uint8Array(7)), "CORRUPT", "is cut");
  const wrong = [[0, 0], [0, 11], [10, 1], [5, 2, 4, 1], [5, 2, 7, 1], [5, 2, 6, 2], [
    0xffffffff,
    0xffffffff,
  ]];
  for (const numbers of wrong) {
    assertRefused(() => decode(640, heldBytes(...numbers)), "CORRUPT", "cannot be held");
  }
  assertRefused(() => decodeArena(encodeRecord(1, {}), "test-v1"), "CORRUPT", "it is missing");
  assertRefused(() => decodeArena(new Uint8Array([0xff]), "test-v1"), "CORRUPT", "test-v1");
});
