import { assertEquals } from "@std/assert";
import { encode } from "npm:cborg@6.1.5";

import { readCbor } from "./cbor_read.ts";

Deno.test("readCbor() reads numbers at every limit of their length, exactly", () => {
  const edges = [
    23n,
    24n,
    0xffn,
    0x100n,
    0xffffn,
    0x10000n,
    0xffffffffn,
    0x100000000n,
    2n ** 53n - 1n,
    2n ** 53n,
  ];
  for (const edge of [0n, ...edges, 2n ** 64n - 1n]) {
    for (const value of [edge, -1n - edge]) {
      const isSafe = value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER;
      assertEquals(readCbor(encode(value)), isSafe ? Number(value) : value, `${value}`);
    }
  }
});

Deno.test("readCbor() reads texts of every length, in ASCII or not", () => {
  for (const size of [0, 1, 23, 24, 63, 64, 65, 300]) {
    for (const unit of ["a", "é", "😀"]) {
      const text = `x${unit.repeat(size)}`;
      assertEquals(readCbor(encode(text)), text);
    }
  }
});

Deno.test("readCbor() gives copies, out of the middle of a buffer as well", () => {
  const inner = encode({ bytes: new Uint8Array([1, 2]), big: 2n ** 60n, list: [null, true, false, []] });
  const outer = new Uint8Array([0xff, ...inner, 0xff]);
  const found = readCbor(outer.subarray(1, -1)) as { bytes: Uint8Array };
  outer.fill(0);
  assertEquals(found, { bytes: new Uint8Array([1, 2]), big: 2n ** 60n, list: [null, true, false, []] });
});

Deno.test("readCbor() takes a name that every object inherits for one like others", () => {
  const found = readCbor(new Uint8Array([0xa1, 0x69, ...new TextEncoder().encode("__proto__"), 0x81, 0x01]));
  assertEquals(Object.entries(found as object), [["__proto__", [1]]]);
  assertEquals(Object.getPrototypeOf(found), Object.prototype);
});
