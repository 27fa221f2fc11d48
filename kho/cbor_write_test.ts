import { assertEquals, assertThrows } from "@std/assert";
import { encode } from "npm:cborg@6.1.5";

import { equalBytes } from "./cbor_items_test.ts";
import { writeCbor } from "./cbor_write.ts";

function assertWritten(value: unknown): void {
  const bytes = writeCbor(value, false);
  assertEquals(bytes !== null && equalBytes(bytes, encode(value)), true, bytes?.toHex());
}

Deno.test("writeCbor() writes numbers at every limit of their length, as numbers and as bigints", () => {
  const edges = [0n, 23n, 24n, 0xffn, 0x100n, 0xffffn, 0x10000n, 0xffffffffn, 0x100000000n, 2n ** 53n - 1n];
  for (const edge of [...edges, 2n ** 53n, 2n ** 64n - 1n]) {
    for (const value of [edge, -1n - edge]) {
      assertWritten(value);
      if (Number.isSafeInteger(Number(value))) assertWritten(Number(value));
    }
  }
});

Deno.test("writeCbor() writes texts and keys of every length, in ASCII or not", () => {
  for (const size of [0, 1, 22, 23, 24, 255, 256, 1015, 1024, 70_000]) {
    for (const unit of ["a", "\u00e9", "\u20ac", "\u{1f600}"]) {
      const text = `x${unit.repeat(size)}`;
      assertWritten(text);
      assertWritten({ [text]: [text], z: 1, ["\u00e9"]: 2 });
    }
  }
});

Deno.test("writeCbor() sorts the keys of maps within maps, whatever was sorted before", () => {
  const inner = { bb: 1, a: 2, ccc: { b: 1, a: 2 } };
  assertWritten([inner, { a: inner, bb: inner, ccc: inner }, inner, { ccc: 1, bb: 2, a: 3 }, {}, { a: 1 }]);
});

Deno.test("writeCbor() makes room for what is long, wherever it stands", () => {
  for (const size of [1000, 1014, 1015, 1016, 1023, 1024, 5_000_000]) {
    assertWritten([new Uint8Array(size), new Uint8Array(size).fill(7), 1, "end"]);
  }
  assertWritten(Array.from({ length: 3000 }, (_, index) => [index, -1 - index, null, true, false]));
});

Deno.test("writeCbor() gives null for what has floats, after it has checked all of it", () => {
  assertEquals(writeCbor({ a: [1.5], b: -0 }, true), null);
  assertThrows(() => writeCbor({ a: 1.5, b: [new Date(0)] }, true), TypeError, "$.b[0]: a Date is");
  assertThrows(() => writeCbor({ a: 1.5 }, false), TypeError, "$.a: 1.5 is not a safe integer");
});

Deno.test("writeCbor() names the place of what is wrong in a key or a value", () => {
  assertThrows(
    () => writeCbor({ list: [1, { "\ud800": 1 }] }, false),
    TypeError,
    "$.list[1]: the text has a lone",
  );
  assertThrows(
    () => writeCbor({ list: [1, "\ufeff"] }, false),
    TypeError,
    "$.list[1]: the text begins with a byte",
  );
  assertThrows(
    () => writeCbor([[2n ** 64n]], false),
    RangeError,
    "$[0][0]: 18446744073709551616 does not fit",
  );
});
