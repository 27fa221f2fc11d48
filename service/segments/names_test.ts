import { assertEquals, assertThrows } from "@std/assert";
import { HttpError } from "./errors.ts";
import { isSegmentName, MAX_SEGMENT_NAME, parseSegmentName } from "./names.ts";

Deno.test("parseSegmentName takes every name that keeps the rule", () => {
  for (const name of ["a", "A.b_c-9", "_", "0", "a..b", "a-", "x".repeat(MAX_SEGMENT_NAME)]) {
    assertEquals(parseSegmentName(name), name);
  }
});

Deno.test("parseSegmentName refuses every name that breaks the rule, and names the rule", () => {
  const long = "x".repeat(MAX_SEGMENT_NAME + 1);
  for (
    const name of ["", ".", "..", ".a", "-a", "a b", "a%41", "%2e", "a/b", "é", "a\n", "a\0", "a+b", long]
  ) {
    assertEquals(isSegmentName(name), false, JSON.stringify(name));
    const error = assertThrows(() => parseSegmentName(name), HttpError, "breaks the rule for names");
    assertEquals([error.status, error.code], [400, "EINVAL"]);
    assertEquals(error.allowed.includes("1 to 63 characters"), true);
  }
});
