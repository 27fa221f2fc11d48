import { assertEquals } from "@std/assert";
import { sampleImage } from "../kho/samples_test.ts";
import { decodeGraphs, encodeGraphs } from "./graphs.ts";
import type { ResolvedBuild } from "./resolve.ts";

const PRESENT = [["/old/a.ts"], ["/lib/boot.ts"], ["/lib/guardian.ts"]];
const STAYS = { image: sampleImage(), moved: false, locate: (path: string) => path };

function resolved(changes: Partial<ResolvedBuild>): ResolvedBuild {
  const info = { path: "/new/a.ts", version: null, id: null };
  const build = { info, fingerprint: null, name: "/new/a.ts", execName: null, snapshot: null };
  return { image: sampleImage(), build, boot: null, graphs: [["/new/a.ts"]], ...changes };
}

Deno.test("both builds learn their modules, and share those of the Heirloom under them", () => {
  const bytes = encodeGraphs(PRESENT, STAYS, resolved({}));
  assertEquals(decodeGraphs(bytes, true), [["/new/a.ts"], ["/lib/boot.ts"], ["/lib/guardian.ts"]]);
  assertEquals(decodeGraphs(bytes, false), PRESENT);
});

Deno.test("another Heirloom brings its own modules, and those of the old one are not known then", () => {
  const theirs = [["/new/a.ts"], ["/new/boot.ts"], ["/new/guardian.ts"]];
  const bytes = encodeGraphs(PRESENT, STAYS, resolved({ boot: "/new/boot.ts", graphs: theirs }));
  assertEquals(decodeGraphs(bytes, true), theirs);
  assertEquals(decodeGraphs(bytes, false), null);
});

Deno.test("nothing is known of what moved to a snapshot, or of an older Heirloom", () => {
  assertEquals(encodeGraphs(PRESENT, { ...STAYS, moved: true }, resolved({})), null);
  assertEquals(encodeGraphs(PRESENT, STAYS, resolved({ boot: "/new/boot.ts" })), null);
});

Deno.test("what cannot be read is not known", () => {
  assertEquals(decodeGraphs(null, true), null);
  for (const text of ["", "null", "{}", "[]", '{"to":["/a.ts"]}', '{"to":7,"others":[]}']) {
    assertEquals(decodeGraphs(new TextEncoder().encode(text), true), null, text);
  }
});
