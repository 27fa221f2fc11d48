import { assertEquals } from "@std/assert";

import { buildText, updateText } from "./build_text.ts";
import { BUILD, sampleRecord } from "./helpers_test.ts";

Deno.test("buildText() tells version, id and path, as far as they are known", () => {
  assertEquals(buildText(BUILD), "1.0.0 0123456789ab (/srv/app.ts)");
  assertEquals(buildText({ ...BUILD, version: null }), "0123456789ab (/srv/app.ts)");
  assertEquals(buildText({ ...BUILD, id: null }), "1.0.0 (/srv/app.ts)");
  assertEquals(buildText({ ...BUILD, id: null, version: null }), "/srv/app.ts");
});

Deno.test("updateText() tells outcome, generation, pause and reason, as far as they are known", () => {
  assertEquals(updateText(sampleRecord()), "update a1 committed: generation 3, pause 12.3 ms");
  assertEquals(
    updateText(sampleRecord({ outcome: "refused", reason: "it does not exist", blackout_ms: null })),
    "update a1 refused: generation 3: it does not exist",
  );
  assertEquals(
    updateText(sampleRecord({ guardian: "died" })),
    "update a1 committed: generation 3, pause 12.3 ms, the guardian died",
  );
  assertEquals(
    updateText(sampleRecord({ guardian: "watched" })),
    "update a1 committed: generation 3, pause 12.3 ms",
  );
  assertEquals(
    updateText(sampleRecord({ outcome: null, blackout_ms: null })),
    "update a1 under way: generation 3",
  );
});
