import { assertEquals, assertThrows } from "@std/assert";
import * as handlers from "../handlers/mod.ts";
import { HandlerRegistry } from "../luo/handler.ts";
import { allLists, main, place, readLists, table } from "./survives.ts";

const COMMENT = `/**
 * \`sample-v1\`: a sample, of
 * two lines. And more of it.
 *
 * Preserved:
 * - one thing, {@linkcode keep}
 * - another
 *   thing
 *
 * Not preserved:
 * - a | b
 *
 * Taken with: \`live.sample\`.
 *
 * @module
 */
`;

Deno.test("the table of the README is the one that the handlers' comments give", async () => {
  assertEquals(await main(["--check"]), 0);
});

Deno.test("every handler that can be registered is in the table", async () => {
  const registry = new HandlerRegistry();
  handlers.registerBuiltins(registry);
  const listed = (await allLists()).map(({ compatible }) => compatible);
  assertEquals(listed.toSorted(), [...registry.names(), "arena-slice-v1", "arena-v1"].toSorted());
});

Deno.test("readLists() joins lines, and table() escapes what would end a cell", () => {
  const lists = readLists(COMMENT)!;
  assertEquals(lists, {
    compatible: "sample-v1",
    title: "a sample, of two lines",
    methods: "`live.sample`",
    preserved: ["one thing, `keep`", "another thing"],
    lost: ["a | b"],
  });
  assertEquals(
    table([lists]).split("\n")[2],
    "| `sample-v1`: a sample, of two lines | `live.sample` | - one thing, `keep`<br>- another thing | - a \\| b |",
  );
});

Deno.test("readLists() knows what is no handler's module, and says what a handler's lacks", () => {
  assertEquals(readLists("/**\n * Helpers.\n *\n * @module\n */\n"), null);
  assertThrows(() => readLists(COMMENT.replace("Not preserved", "Lost")), SyntaxError, 'it lacks "lost"');
  assertThrows(() => readLists(COMMENT.replace("Taken with", "With")), SyntaxError, 'it lacks "methods"');
});

Deno.test("place() needs the markers", () => {
  assertThrows(() => place("# Readme\n", "| |"), SyntaxError, "has no place for it");
});
