import { assertEquals } from "@std/assert";
import { shortDigest } from "./digest.ts";

Deno.test("shortDigest() is FNV-1a of the UTF-8 text", () => {
  // From the list of test vectors of draft-eastlake-fnv.
  assertEquals(["", "a", "foobar"].map(shortDigest), ["811c9dc5", "e40c292c", "bf9cf968"]);
  assertEquals(shortDigest("ä").length, 8);
});
