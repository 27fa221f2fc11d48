import { assertEquals } from "@std/assert";

import { decodeCbor, encodeCbor } from "../codec.ts";
import { assertHandoverError, assertStrict, sampleImage, withMember } from "../helpers_test.ts";
import { Fields } from "./fields.ts";
import { encodeImage, type ImageRecord, parseImage } from "./image.ts";

const read = (value: Parameters<typeof encodeCbor>[0]): ImageRecord =>
  parseImage(new Fields(decodeCbor(encodeCbor(value)), "$"));

Deno.test("parseImage() gives back what encodeImage() wrote", () => {
  const full = sampleImage();
  const bare = sampleImage({
    argv: [],
    config: null,
    deno_dir: "/cache",
    env: [],
    fingerprint: null,
    limits: [],
    names: { entry: null, exec: "deno" },
    sigmask: "",
    umask: 0,
    version: null,
  });
  assertEquals(read(encodeImage(full)), full);
  assertEquals(read(encodeImage(bare)), bare);
});

Deno.test("parseImage() refuses each missing, mistyped and unknown member by its place", () => {
  assertStrict(encodeImage(sampleImage()), "$", read);
});

Deno.test("parseImage() refuses what is out of range", () => {
  const document = encodeImage(sampleImage());
  const cases = [
    [["umask"], 0o1000, "$.umask of the handover: 512 is more than 511"],
    [["cwd"], "", "$.cwd of the handover: it has 0 bytes"],
    [["entry"], "", "$.entry"],
    [["exec"], "", "$.exec"],
    [["sigmask"], "0".repeat(257), "$.sigmask of the handover: it has 257 bytes"],
    [["limits", 0, "name"], "", "$.limits[0].name"],
    [["limits", 0, "name"], "n".repeat(33), "$.limits[0].name"],
    [["limits", 0, "hard"], -1, "$.limits[0].hard"],
  ] as const;
  for (const [path, value, text] of cases) {
    assertHandoverError(() => read(withMember(document, [...path], value)), "CORRUPT", text);
  }
});

Deno.test("encodeImage() shares nothing with the record", () => {
  const image = sampleImage();
  const document = encodeImage(image) as { limits: { name: string }[]; names: { entry: string | null } };
  (document.limits[0] as { name: string }).name = "other";
  document.names.entry = "other";
  assertEquals(image, sampleImage());
});
