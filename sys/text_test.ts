import { assert, assertEquals, assertThrows } from "@std/assert";
import { cString, decodeText, encodeText } from "./text.ts";

Deno.test("decodeText() reads UTF-8 as it is", () => {
  for (const text of ["", "a", "äöü €", "𝄞", "\ufeffmark", "a\0b"]) {
    assertEquals(decodeText(new TextEncoder().encode(text)), text);
    assertEquals(encodeText(text), new TextEncoder().encode(text));
  }
});

Deno.test("encodeText(decodeText()) keeps any bytes", () => {
  const cases = [[0xff], [0xc3], [0x80, 0x41], [0xed, 0xb2, 0x80], [0xc3, 0xa4, 0xff, 0xc3, 0xa4], [
    0xf0,
    0x9d,
    0x84,
  ]];
  for (let i = 0; i < 2000; i++) cases.push([...crypto.getRandomValues(new Uint8Array(i % 17))]);
  for (const bytes of cases) {
    assertEquals(encodeText(decodeText(new Uint8Array(bytes))), new Uint8Array(bytes));
  }
});

Deno.test("decodeText() marks bytes that are not UTF-8 as lone surrogates", () => {
  assertEquals(decodeText(new Uint8Array([0x61, 0xff])), "a\udcff");
  assert(!decodeText(new Uint8Array([0xff])).isWellFormed());
});

Deno.test("encodeText() replaces lone surrogates that stand for no byte", () => {
  assertEquals(encodeText("\ud800"), new Uint8Array([0xef, 0xbf, 0xbd]));
  assertEquals(encodeText("\udc7f𝄞"), new Uint8Array([0xef, 0xbf, 0xbd, 0xf0, 0x9d, 0x84, 0x9e]));
});

Deno.test("cString() ends with a NUL and refuses one inside", () => {
  assertEquals(cString("ä"), new Uint8Array([0xc3, 0xa4, 0]));
  assertEquals(cString(""), new Uint8Array([0]));
  assertEquals(cString("\udcff"), new Uint8Array([0xff, 0]));
  assertThrows(() => cString("a\0b"), TypeError, "NUL");
});
