import { assertEquals, assertThrows } from "@std/assert";
import { sampleImage } from "../kho/samples_test.ts";
import { sampleSpec } from "./helpers_test.ts";
import { composeArguments } from "./launch.ts";
import { relocate } from "./relocate.ts";
import type { Self } from "./self.ts";

function self(changes: Partial<Self>): Self {
  return { image: sampleImage(), spec: null, shown: null, args: [], inherited: [], ...changes };
}

const copies = (...there: string[]) => ({
  path: (original: string) => `/copy${original}`,
  has: (original: string) => there.includes(original),
});

Deno.test("relocate() of a program that was started by hand changes its entry and nothing else of its arguments", () => {
  const image = sampleImage({
    entry: "/srv/app.ts",
    config: "/srv/deno.json",
    argv: ["deno", "run", "-A", "/srv/app.ts", "--port", "1"],
  });
  const next = relocate(self({ image }), copies("/srv/app.ts", "/srv/deno.json"));
  assertEquals(next.argv, ["deno", "run", "-A", "/copy/srv/app.ts", "--port", "1"]);
  assertEquals([next.entry, next.config], ["/copy/srv/app.ts", "/copy/srv/deno.json"]);
  assertEquals([next.names, next.fingerprint, next.env], [image.names, image.fingerprint, image.env]);
});

Deno.test("relocate() under run moves entry, configuration and Heirloom, and keeps the names", () => {
  const spec = sampleSpec({
    entry: "/srv/app.ts",
    name: "/srv/current",
    config: "/srv/deno.json",
    heirloom: "/lib/h/",
  });
  const image = sampleImage({ entry: "/srv/app.ts", config: "/srv/deno.json" });
  const there = copies("/srv/app.ts", "/srv/deno.json", "/lib/h/live/boot.ts");
  const next = relocate(self({ image, spec, args: ["x"] }), there);
  const moved = {
    ...spec,
    entry: "/copy/srv/app.ts",
    config: "/copy/srv/deno.json",
    heirloom: "/copy/lib/h/",
  };
  assertEquals(next.argv, composeArguments(moved, ["x"]));
});

Deno.test("relocate() leaves what was not copied where it is", () => {
  const image = sampleImage({
    entry: "/srv/app.ts",
    config: "/etc/deno.json",
    argv: ["deno", "run", "/srv/app.ts"],
  });
  const next = relocate(self({ image }), copies("/srv/app.ts"));
  assertEquals(next.config, "/etc/deno.json");
});

Deno.test("relocate() refuses arguments in which the entry is not found", () => {
  const image = sampleImage({ entry: "/srv/app.ts", argv: ["deno", "run", "other.ts"] });
  assertThrows(() => relocate(self({ image }), copies("/srv/app.ts")), Error, "not in the argument list");
});
