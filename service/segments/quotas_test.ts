import { assertEquals, assertThrows } from "@std/assert";
import { checkQuotas, DEFAULT_QUOTAS, usageOf } from "./quotas.ts";

Deno.test("DEFAULT_QUOTAS are 64 segments, 1 GiB each, 4 GiB in all, 1 GiB a body", () => {
  const expected = {
    maxSegments: 64,
    maxSegmentBytes: 2 ** 30,
    maxTotalBytes: 2 ** 32,
    maxBodyBytes: 2 ** 30,
  };
  assertEquals(DEFAULT_QUOTAS, expected);
  assertEquals(checkQuotas(DEFAULT_QUOTAS), DEFAULT_QUOTAS);
});

Deno.test("checkQuotas refuses what is no positive whole number", () => {
  for (const bad of [0, -1, 1.5, NaN, Infinity, 2 ** 53]) {
    assertThrows(() => checkQuotas({ ...DEFAULT_QUOTAS, maxTotalBytes: bad }), RangeError, "maxTotalBytes");
  }
});

Deno.test("usageOf adds segments and bytes up", () => {
  assertEquals(usageOf([]), { segments: 0, bytes: 0 });
  assertEquals(usageOf([{ name: "a", size: 1 }, { name: "b", size: 4096 }]), { segments: 2, bytes: 4097 });
});
