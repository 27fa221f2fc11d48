import { assertEquals, assertThrows } from "@std/assert";

import { HUGE_PAGE_BYTES, noHugePages, reserveHugePages } from "../../sys/helpers_test.ts";
import { fstat } from "../../sys/mod.ts";
import { hugePageFacts } from "../../sys/shm.ts";
import { assertLuoError } from "../helpers_test.ts";
import { SharedSegment } from "../segment.ts";
import { hugeMemory } from "./huge_pages.ts";

const NONE = noHugePages() !== null;

Deno.test({
  name: "hugeMemory() makes memory on huge pages, which a segment grows page by page",
  ignore: NONE,
  async fn() {
    await using pages = await reserveHugePages(3);
    if (pages === null) return;
    const { available } = hugePageFacts(HUGE_PAGE_BYTES)!;
    const huge = hugeMemory("cache", HUGE_PAGE_BYTES, true);
    assertEquals(huge.pageBytes, HUGE_PAGE_BYTES);
    const segment = new SharedSegment("cache", huge.create(), 3 * HUGE_PAGE_BYTES, () => {});
    segment.bytes[HUGE_PAGE_BYTES - 1] = 1;
    segment.settle();
    assertEquals([segment.bytes.length, segment.bytes[HUGE_PAGE_BYTES - 1]], [3 * HUGE_PAGE_BYTES, 1]);
    assertEquals(hugePageFacts(HUGE_PAGE_BYTES)!.available, available - 3);
    segment.drop();
    assertEquals(hugePageFacts(HUGE_PAGE_BYTES)!.available, available);
  },
});

Deno.test({
  name: "hugeMemory() says how many pages are needed and how many there are, before anything is made",
  ignore: NONE,
  async fn() {
    await using pages = await reserveHugePages(1);
    if (pages === null) return;
    const { total, available } = hugePageFacts(HUGE_PAGE_BYTES)!;
    const needed = available + 1;
    const huge = hugeMemory("cache", needed * HUGE_PAGE_BYTES, "2MB");
    const text = `Cannot take segment "cache": ${needed} more huge pages of 2048 kB are needed, ` +
      `${total} are reserved and ${available} of them are free (vm.nr_hugepages)`;
    assertLuoError(() => huge.create(), "ENOMEM", text);
    huge.check(available * HUGE_PAGE_BYTES);
    huge.check(-HUGE_PAGE_BYTES);
    assertEquals(fstat(hugeMemory("cache", available * HUGE_PAGE_BYTES, "2MB").create().fd).nlink, 0n);
  },
});

Deno.test({
  name: "hugeMemory() refuses sizes and pages that are none",
  ignore: NONE,
  fn() {
    const message = `Cannot take segment "cache": size 4096 is no multiple of its pages of 2097152 bytes`;
    assertThrows(() => hugeMemory("cache", 4096, true), RangeError, message);
    assertThrows(() => hugeMemory("cache", 4096, "2mb" as "2MB"), TypeError, '"2MB" and "1GB" are known');
  },
});
