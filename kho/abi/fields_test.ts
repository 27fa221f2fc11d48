import { assertEquals } from "@std/assert";

import { assertHandoverError, MAX_U64 } from "../helpers_test.ts";
import { Fields } from "./fields.ts";

Deno.test("Fields takes each member by its type", () => {
  const bytes = new Uint8Array([1]);
  const fields = new Fields({ t: "é", n: null, u: MAX_U64, i: 7, b: bytes, l: ["a", "b"], m: { x: 1 } }, "$");
  assertEquals(fields.text("t", 2, 2), "é");
  assertEquals(fields.textOrNull("n"), null);
  assertEquals(fields.textOrNull("t"), "é");
  assertEquals(fields.u64("u"), MAX_U64);
  assertEquals(fields.u64("i"), 7n);
  assertEquals(fields.int("i", 7), 7);
  assertEquals(fields.bytes("b"), bytes);
  assertEquals(fields.texts("l"), ["a", "b"]);
  const map = fields.map("m");
  assertEquals(map.int("x"), 1);
  map.end();
  fields.end();
});

Deno.test("Fields names the place of what is wrong", () => {
  const fields = new Fields({ t: "é", u: -1, i: 8, l: [1], f: 2n ** 60n }, "$.x");
  const at = (place: string, state: string): string => `Cannot read ${place} of the handover: ${state}`;
  assertHandoverError(() => fields.value("none"), "CORRUPT", at("$.x.none", "it is missing"));
  assertHandoverError(() => fields.text("u"), "CORRUPT", at("$.x.u", "it is no text"));
  assertHandoverError(() => fields.text("t", 3), "CORRUPT", at("$.x.t", "it has 2 bytes, allowed are 3 to"));
  assertHandoverError(
    () => fields.text("t", 0, 1),
    "CORRUPT",
    at("$.x.t", "it has 2 bytes, allowed are 0 to 1"),
  );
  assertHandoverError(() => fields.textOrNull("i"), "CORRUPT", at("$.x.i", "it is no text"));
  assertHandoverError(() => fields.u64("u"), "CORRUPT", at("$.x.u", "it is no unsigned integer"));
  assertHandoverError(() => fields.u64("t"), "CORRUPT", at("$.x.t", "it is no unsigned integer"));
  assertHandoverError(() => fields.int("i", 7), "CORRUPT", at("$.x.i", "8 is more than 7"));
  assertHandoverError(() => fields.int("f"), "CORRUPT", at("$.x.f", "1152921504606846976 is more than"));
  assertHandoverError(() => fields.bytes("t"), "CORRUPT", at("$.x.t", "it is no byte string"));
  assertHandoverError(() => fields.list("t", (value) => value), "CORRUPT", at("$.x.t", "it is no array"));
  assertHandoverError(() => fields.texts("l"), "CORRUPT", at("$.x.l[0]", "it is no text"));
  assertHandoverError(() => fields.map("l"), "CORRUPT", at("$.x.l", "it is no map"));
});

Deno.test("Fields.end() refuses what nobody took, and only that", () => {
  const fields = new Fields({ a: 1, b: 2 }, "$");
  fields.maybe("a");
  assertHandoverError(() => fields.end(), "CORRUPT", "Cannot read $.b of the handover");
  fields.maybe("b");
  fields.maybe("c");
  fields.end();
});

Deno.test("Fields finds no member in the prototype of its map", () => {
  const fields = new Fields({}, "$");
  for (const key of ["constructor", "toString", "__proto__"]) {
    assertEquals(fields.maybe(key), undefined);
    assertHandoverError(() => fields.value(key), "CORRUPT", `$.${key} of the handover: it is missing`);
  }
});
