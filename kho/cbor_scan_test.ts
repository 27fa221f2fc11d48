import { assertThrows } from "@std/assert";

import { MAX_DEPTH, scanCbor } from "./cbor_scan.ts";

Deno.test("scanCbor accepts one item and nothing after it", () => {
  scanCbor(new Uint8Array([0x82, 0x01, 0x61, 0x61]));
  assertThrows(() => scanCbor(new Uint8Array([0x01, 0x02])), SyntaxError, "1 bytes follow");
});

Deno.test("scanCbor refuses truncated items at every length", () => {
  const whole = new Uint8Array([0xa1, 0x61, 0x61, 0x83, 0x01, 0x19, 0x01, 0x00, 0x42, 0x01, 0x02]);
  scanCbor(whole);
  for (let length = 0; length < whole.length; length++) {
    assertThrows(() => scanCbor(whole.subarray(0, length)), SyntaxError);
  }
});

Deno.test("scanCbor refuses lengths and counts beyond the input", () => {
  for (
    const bomb of [[0x9a, 1, 0xc9, 0xc3, 0x80], [0x5b, 255, 255, 255, 255, 255, 255, 255, 255], [
      0xbb,
      0,
      0,
      1,
      0,
      0,
      0,
      0,
      0,
    ]]
  ) {
    assertThrows(() => scanCbor(new Uint8Array(bomb)), SyntaxError, "past the end");
  }
});

Deno.test("scanCbor refuses tags, indefinite lengths, floats and undefined", () => {
  for (const bytes of [[0xc0, 0x01], [0x9f, 0xff], [0xff], [0xf7], [0xf9, 0x3c, 0x00]]) {
    assertThrows(() => scanCbor(new Uint8Array(bytes)), SyntaxError);
  }
  scanCbor(new Uint8Array([0xf9, 0x3c, 0x00]), true);
});

Deno.test("scanCbor limits the nesting", () => {
  const nested = (depth: number) => new Uint8Array([...new Array(depth).fill(0x81), 0x01]);
  scanCbor(nested(MAX_DEPTH));
  assertThrows(() => scanCbor(nested(MAX_DEPTH + 1)), RangeError, "nested deeper");
  assertThrows(() => scanCbor(nested(1_000_000)), RangeError, "nested deeper");
});
