import { assertEquals, assertStrictEquals, assertStringIncludes, assertThrows } from "@std/assert";

import { copyTree, heirloomRoot, tempDir } from "../testing/mod.ts";
import { moduleUrl, runProgram } from "./helpers_test.ts";
import { isMet, meet } from "./meeting.ts";

const KEY = Symbol.for("heirloom.v1");
const scope = globalThis as { [KEY]?: unknown };

/** Runs `body` in a process in which no copy was loaded yet, as far as the meeting can see. */
function alone(body: () => void): void {
  const before = scope[KEY];
  delete scope[KEY];
  try {
    body();
  } finally {
    if (before === undefined) delete scope[KEY];
    else scope[KEY] = before;
  }
}

Deno.test("meet() gives the first copy its own exports, and every later one those of the first", () => {
  alone(() => {
    assertEquals(isMet(), false);
    const first = { open: () => 1 };
    assertStrictEquals(meet("1.2.0", "/a/", first), first);
    assertEquals(isMet(), true);
    for (const version of ["1.2.0", "1.0.0", "1.99.3"]) {
      assertStrictEquals(meet(version, "/b/", { open: () => 2 }), first);
    }
  });
});

for (
  const [first, later] of [["1.2.0", "2.0.0"], ["2.0.0", "1.9.9"], ["0.1.0", "0.2.0"], ["0.1.0", "1.1.0"], [
    "10.0.0",
    "1.0.0",
  ]] as const
) {
  Deno.test(`meet() refuses ${later} after ${first} and names both`, () => {
    alone(() => {
      meet(first, "/first/", {});
      assertThrows(
        () => meet(later, "/later/", {}),
        TypeError,
        `Cannot load Heirloom ${later} (/later/): Heirloom ${first} (/first/) runs in this process`,
      );
    });
  });
}

Deno.test("meet() lets patches of a version below 1.0 meet", () => {
  alone(() => {
    const first = {};
    meet("0.1.0", "/a/", first);
    assertStrictEquals(meet("0.1.9", "/b/", {}), first);
  });
});

Deno.test("a second copy of the library in a process hands out the first one's, or is refused", async () => {
  await using dir = tempDir("heirloom-copy-");
  const copy = await copyTree(heirloomRoot(), `${dir.path}/copy`);
  const script = `import { api as first } from "${moduleUrl("api.ts")}";
const { api: second } = await import("file://${copy}/live/api.ts");
console.log(first === second, first.open === second.open);`;
  const args = ["eval", "--no-config", "--no-lock", "--ext=ts", script];
  const same = await runProgram(Deno.execPath(), args);
  assertEquals([same.code, same.stdout], [0, "true true\n"], same.stderr);

  const version = `${copy}/live/version.ts`;
  const text = await Deno.readTextFile(version);
  await Deno.writeTextFile(version, text.replace(/VERSION = "[^"]+"/, 'VERSION = "7.0.0"'));
  const other = await runProgram(Deno.execPath(), args);
  assertEquals(other.code, 1);
  assertStringIncludes(other.stderr, `Cannot load Heirloom 7.0.0 (${copy}/): Heirloom `);
});
