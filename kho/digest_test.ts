import { assertEquals } from "@std/assert";
import { sha256 } from "./digest.ts";

Deno.test("sha256() gives lower-case hexadecimal digits", async () => {
  // FIPS 180-4, the example of one block.
  const expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  assertEquals(await sha256(new TextEncoder().encode("abc")), expected);
});
