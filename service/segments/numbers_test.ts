import { assertEquals, assertThrows } from "@std/assert";
import { HttpError } from "./errors.ts";
import { lengthOf, offsetOf, parseDecimal, parseQuery, sizeOf } from "./numbers.ts";

function refusal(action: () => unknown): [number, string] {
  const error = assertThrows(action, HttpError);
  return [error.status, error.code];
}

Deno.test("parseDecimal takes canonical decimals only", () => {
  for (
    const [text, value] of [["0", 0], ["7", 7], ["4096", 4096], ["9007199254740991", 2 ** 53 - 1]] as const
  ) {
    assertEquals(parseDecimal(text), value);
  }
  for (
    const text of ["", " 1", "1 ", "+1", "-1", "01", "00", "1.0", "1e3", "0x10", "1_000", "١", "1\n", "NaN"]
  ) {
    assertEquals(parseDecimal(text), undefined, JSON.stringify(text));
  }
});

Deno.test("parseQuery gives each parameter once", () => {
  assertEquals([...parseQuery("offset=1&length=2", ["offset", "length"])], [["offset", "1"], [
    "length",
    "2",
  ]]);
  assertEquals(parseQuery("", []).size, 0);
});

Deno.test("parseQuery refuses unknown and repeated parameters and names those allowed", () => {
  const unknown = assertThrows(() => parseQuery("ofset=1", ["offset", "length"]), HttpError);
  assertEquals([unknown.status, unknown.allowed], [400, "Each at most once: offset, length"]);
  assertEquals(assertThrows(() => parseQuery("x=1", []), HttpError).allowed, "No query parameter");
  assertEquals(refusal(() => parseQuery("offset=1&offset=1", ["offset"])), [400, "EINVAL"]);
});

Deno.test("sizeOf takes 1 to the quota", () => {
  const size = (text: string) => sizeOf(new Map([["size", text]]), 100);
  assertEquals(size("1"), 1);
  assertEquals(size("100"), 100);
  assertEquals(refusal(() => size("0")), [400, "EINVAL"]);
  assertEquals(refusal(() => size("-1")), [400, "EINVAL"]);
  assertEquals(refusal(() => size("101")), [413, "EFBIG"]);
  assertEquals(refusal(() => size("9".repeat(400))), [413, "EFBIG"]);
  assertEquals(refusal(() => sizeOf(new Map(), 100)), [400, "EINVAL"]);
});

Deno.test("sizeOf refuses what is above a quota of 2^53-1", () => {
  const query = new Map([["size", "9007199254740993"]]);
  assertEquals(refusal(() => sizeOf(query, Number.MAX_SAFE_INTEGER)), [413, "EFBIG"]);
});

Deno.test("offsetOf takes 0 to the size", () => {
  const offset = (text: string) => offsetOf(new Map([["offset", text]]), 100);
  assertEquals(offsetOf(new Map(), 100), 0);
  assertEquals(offset("0"), 0);
  assertEquals(offset("100"), 100);
  assertEquals(refusal(() => offset("101")), [416, "ERANGE"]);
  assertEquals(refusal(() => offset("1.5")), [400, "EINVAL"]);
});

Deno.test("lengthOf takes what is left behind the offset", () => {
  const length = (text: string) => lengthOf(new Map([["length", text]]), 40, 100);
  assertEquals(lengthOf(new Map(), 40, 100), undefined);
  assertEquals(length("0"), 0);
  assertEquals(length("60"), 60);
  assertEquals(refusal(() => length("61")), [416, "ERANGE"]);
  assertEquals(refusal(() => length("")), [400, "EINVAL"]);
});
