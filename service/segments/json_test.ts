import { assertEquals, assertThrows } from "@std/assert";
import { jsonResponse } from "./json.ts";

Deno.test("jsonResponse writes one line of known length, never to be stored or guessed", async () => {
  const response = jsonResponse({ name: "é" }, { status: 201, headers: { location: "/x" } });
  assertEquals(response.status, 201);
  assertEquals(Object.fromEntries(response.headers), {
    "cache-control": "no-store",
    "content-length": "14",
    "content-type": "application/json",
    "cross-origin-resource-policy": "same-origin",
    "location": "/x",
    "x-content-type-options": "nosniff",
  });
  assertEquals(await response.text(), '{"name":"é"}\n');
});

Deno.test("jsonResponse answers null for undefined and refuses what JSON cannot hold", async () => {
  assertEquals(await jsonResponse(undefined).text(), "null\n");
  assertThrows(() => jsonResponse({ size: 1n }), TypeError);
});
