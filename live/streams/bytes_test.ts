import { assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";

import { joinBytes } from "./bytes.ts";

Deno.test("joinBytes() gives one plain Uint8Array, whatever the pieces are", () => {
  const pieces = [Buffer.from("ab"), new Uint8Array(), new Uint8Array([99, 100]).subarray(1)];
  assertEquals(joinBytes(pieces), new Uint8Array([97, 98, 100]));
  assertEquals(joinBytes([]), new Uint8Array());
  const only = joinBytes([Buffer.from("xabx").subarray(1, 3)]);
  assertEquals([only, only.constructor], [new Uint8Array([97, 98]), Uint8Array]);
});
