import { assertEquals, assertThrows } from "@std/assert";

import { maskOf, namesOf } from "./bits.ts";

const TABLE = { one: 1, two: 2, top: 0x8000_0000 } as const;

Deno.test("maskOf() and namesOf() are inverse, the highest bit included", () => {
  assertEquals(maskOf(TABLE, ["top", "one"], "do it"), 0x8000_0001);
  assertEquals(namesOf(TABLE, 0x8000_0001), ["one", "top"]);
  assertEquals([maskOf(TABLE, [], "do it"), namesOf(TABLE, 4)], [0, []]);
});

Deno.test("maskOf() refuses names that are not in the table, inherited ones as well", () => {
  for (const name of ["three", "toString"]) {
    assertThrows(
      () => maskOf(TABLE, ["one", name], "do it"),
      RangeError,
      `Cannot do it: there is no "${name}", known are one, two, top`,
    );
  }
});
