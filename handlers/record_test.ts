import { assertEquals } from "@std/assert";

import { type CborValue, encodeCbor } from "../kho/codec.ts";
import { assertHandoverError } from "../kho/helpers_test.ts";
import { decodeRecord, encodeRecord } from "./record.ts";

Deno.test("decodeRecord() reads what encodeRecord() wrote, and minds no key that it does not know", () => {
  const fields = decodeRecord(encodeRecord(1, { fd: 7, later: [true] }), "x-v1", 1);
  assertEquals(fields.int("fd"), 7);
});

Deno.test("encodeRecord() writes version and members byte for byte", () => {
  assertEquals(encodeRecord(1, { fd: 7, pos: 300 }).toHex(), "8201a262666407" + "63706f7319012c");
});

Deno.test("decodeRecord() reads all versions up to its newest, and no other", () => {
  for (const version of [1, 2, 3]) decodeRecord(encodeRecord(version, {}), "x-v1", 3);
  for (const version of [0, -1, 4]) {
    const text = `Cannot read a record of x-v1: it has version ${version}, this build reads 1 to 3`;
    assertHandoverError(() => decodeRecord(encodeRecord(version, {}), "x-v1", 3), "UNKNOWN_VERSION", text);
  }
});

Deno.test("decodeRecord() answers what is no record with CORRUPT", () => {
  const cases: CborValue[] = [{}, 1, [], ["1", {}], [null, {}], [1], [1, []], [1, "text"]];
  for (const value of cases) {
    assertHandoverError(() => decodeRecord(encodeCbor(value), "x-v1", 1), "CORRUPT", "x-v1");
  }
  const bytes = encodeRecord(1, { fd: 7 });
  for (const damaged of [new Uint8Array(), bytes.subarray(0, -1), new Uint8Array([...bytes, 0])]) {
    assertHandoverError(() => decodeRecord(damaged, "x-v1", 1), "CORRUPT", "x-v1");
  }
});
