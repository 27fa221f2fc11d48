import { assertEquals } from "@std/assert";

import { sampleImage } from "../kho/samples_test.ts";
import { buildInfoOf } from "./build_info.ts";
import { sampleSpec } from "./helpers_test.ts";

Deno.test("buildInfoOf() shows the entry, the version and twelve digits of the fingerprint", () => {
  const image = sampleImage({ fingerprint: "0123456789abcdef", version: "1.2.3", entry: "/srv/main.ts" });
  const expected = { path: "/srv/main.ts", version: "1.2.3", id: "0123456789ab" };
  assertEquals(buildInfoOf(image, null), expected);
  assertEquals(buildInfoOf(image, sampleSpec({ mode: "run" })), expected);
});

Deno.test("buildInfoOf() shows the directory of a Heirloom tree", () => {
  const spec = sampleSpec({ mode: "serve" });
  assertEquals(buildInfoOf(sampleImage({ entry: "/opt/heirloom/main.ts" }), spec).path, "/opt/heirloom");
  assertEquals(
    buildInfoOf(sampleImage({ entry: "/opt/heirloom/other.ts" }), spec).path,
    "/opt/heirloom/other.ts",
  );
});

Deno.test("buildInfoOf() has null for what is not known", () => {
  const info = buildInfoOf(sampleImage({ fingerprint: null, version: null }), null);
  assertEquals([info.version, info.id], [null, null]);
});
