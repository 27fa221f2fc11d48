import { assertEquals } from "@std/assert";
import { median } from "./summary.ts";

Deno.test("median takes the middle, or the mean of the two in the middle", () => {
  assertEquals(median([3]), 3);
  assertEquals(median([9, 1, 5]), 5);
  assertEquals(median([10, 1, 2, 3]), 2.5);
  assertEquals(median([1, 2]), 1.5);
  assertEquals(median([]), Number.NaN);
});
