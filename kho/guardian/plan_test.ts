import { assertEquals, assertThrows } from "@std/assert";

import { MAX_U64, sampleImage } from "../samples_test.ts";
import { decodePlan, encodePlan, type RecoveryPlan } from "./plan.ts";

const PLAN: RecoveryPlan = {
  image: sampleImage({ argv: ["deno", "run", "/srv/\udcff.ts", "ä\n"] }),
  segment: 7,
  nonce: new Uint8Array(16).fill(9),
  crossing: [7, 8, 1000],
  runtime: 8,
  journal: 1000,
  deadlineNs: 123_456_789_012_345_678n,
  lastWords: { path: "/run/a.last.json", text: '{"outcome":null}' },
};

Deno.test("decodePlan() gives back what encodePlan() wrote", () => {
  assertEquals(decodePlan(encodePlan(PLAN)), PLAN);
  const bare: RecoveryPlan = {
    ...PLAN,
    image: sampleImage({ env: [], limits: [{ name: "core", soft: 0n, hard: MAX_U64 }], config: null }),
    crossing: [],
    runtime: null,
    journal: null,
    deadlineNs: 0n,
    lastWords: null,
  };
  assertEquals(decodePlan(encodePlan(bare)), bare);
});

Deno.test("decodePlan() refuses what is no plan", () => {
  assertThrows(() => decodePlan(new Uint8Array()), SyntaxError);
  assertThrows(() => decodePlan(encodePlan(PLAN).subarray(0, 100)), SyntaxError);
  for (const other of ["null", "{}", '{"image":{}}', '{"image":{"env":[],"limits":[]}}']) {
    assertThrows(() => decodePlan(new TextEncoder().encode(other)), Error);
  }
});
