import { assertEquals } from "@std/assert";
import { median, percentile } from "./summary.ts";

Deno.test("median takes the middle, or the mean of the two in the middle", () => {
  assertEquals(median([3]), 3);
  assertEquals(median([9, 1, 5]), 5);
  assertEquals(median([10, 1, 2, 3]), 2.5);
  assertEquals(median([1, 2]), 1.5);
  assertEquals(median([]), Number.NaN);
});

Deno.test("percentile gives the value that a part of all does not exceed", () => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index);
  assertEquals([0, 0.5, 0.99, 1].map((part) => percentile(values, part)), [1, 50, 99, 100]);
  assertEquals(percentile([7], 0.99), 7);
  assertEquals(percentile([10, 9], 0.5), 9);
  assertEquals(percentile([], 0.99), Number.NaN);
});
