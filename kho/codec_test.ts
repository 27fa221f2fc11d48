import { assert, assertEquals, assertThrows } from "@std/assert";

import { type CborValue, decodeCbor, encodeCbor, sameBytes } from "./codec.ts";

Deno.test("encodeCbor writes the deterministic form whatever the order of the keys", () => {
  const one = encodeCbor({ b: 1, a: 2, aa: 3 });
  const two = encodeCbor({ aa: 3, a: 2, b: 1 });
  assert(sameBytes(one, two));
  assertEquals([...one], [0xa3, 0x61, 0x61, 0x02, 0x61, 0x62, 0x01, 0x62, 0x61, 0x61, 0x03]);
});

Deno.test("decodeCbor gives back what encodeCbor wrote", () => {
  const value: CborValue = {
    text: "é€😀",
    u64: (1n << 64n) - 1n,
    negative: -1,
    bytes: new Uint8Array([0, 255]),
    list: [true, false, null, []],
    __proto__x: { constructor: "c" },
  };
  assertEquals(decodeCbor(encodeCbor(value)), value);
});

Deno.test("encodeCbor names the place of what it cannot write", () => {
  assertThrows(() => encodeCbor({ a: [1.5] }), TypeError, "$.a[0]");
  assertThrows(
    () => encodeCbor({ a: new Map() } as unknown as CborValue),
    TypeError,
    "a Map is not a plain value",
  );
  assertThrows(() => encodeCbor({ a: undefined } as unknown as CborValue), TypeError, "undefined");
  assertThrows(() => encodeCbor(1n << 64n), RangeError, "64 bits");
  assertThrows(() => encodeCbor(2 ** 53), TypeError, "safe integer");
  assertThrows(() => encodeCbor("\ud800"), TypeError, "surrogate");
  assertThrows(() => encodeCbor("\ufeffx"), TypeError, "byte order mark");
  assertThrows(() => encodeCbor(NaN, { floats: true }), TypeError, "finite");
});

Deno.test("encodeCbor allows floats only where asked for", () => {
  assertEquals(decodeCbor(encodeCbor([1.5, 2 ** 60], { floats: true }), { floats: true }), [1.5, 2 ** 60]);
  assertThrows(() => decodeCbor(encodeCbor([1.5], { floats: true })), SyntaxError, "floats");
});

Deno.test("decodeCbor refuses what is not deterministic", () => {
  const cases = [
    [0x18, 0x01], // 1 in two bytes
    [0xa2, 0x61, 0x62, 0x01, 0x61, 0x61, 0x02], // unsorted keys
    [0xa2, 0x61, 0x61, 0x01, 0x61, 0x61, 0x02], // a key twice
    [0x61, 0xff], // not UTF-8
    [0xa1, 0x01, 0x02], // a key that is not text
  ];
  for (const bytes of cases) assertThrows(() => decodeCbor(new Uint8Array(bytes)), SyntaxError);
});

Deno.test("decodeCbor of any single changed byte is a typed error or another document", () => {
  const bytes = encodeCbor({ files: [{ token: 1n << 60n, name: "web" }], sum: new Uint8Array(8) });
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ (1 << bit);
      try {
        assert(!sameBytes(encodeCbor(decodeCbor(changed)), bytes));
      } catch (error) {
        assert(error instanceof SyntaxError || error instanceof RangeError, String(error));
      }
    }
  }
});
