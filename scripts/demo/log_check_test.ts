import { assertEquals } from "@std/assert";
import { factsOf } from "./log_check.ts";

const line = (generation: number, path = "/a"): string =>
  `${JSON.stringify({ generation, method: "GET", path })}\n`;

Deno.test("factsOf counts lines, wanted requests and generations", () => {
  const facts = factsOf(line(0) + line(0, "/b") + line(1) + line(3), "GET /a");
  assertEquals(facts, { lines: 4, broken: 0, matching: 3, byGeneration: [2, 1, 0, 1], outOfOrder: false });
});

Deno.test("factsOf finds half a line, and lines that are no record", () => {
  const broken = [
    '{"generation":0,"method":"GE',
    "null",
    "[]",
    '{"generation":-1,"method":"GET","path":"/a"}',
    "",
  ];
  for (const last of broken.slice(0, 1)) assertEquals(factsOf(line(0) + last, "GET /a").broken, 1);
  assertEquals(factsOf(`${broken.join("\n")}\n`, "GET /a").broken, broken.length);
});

Deno.test("factsOf finds a generation that wrote after a later one", () => {
  assertEquals(factsOf(line(0) + line(1) + line(0), "GET /a").outOfOrder, true);
});

Deno.test("factsOf finds nothing in an empty log", () => {
  assertEquals(factsOf("", "GET /a"), {
    lines: 0,
    broken: 0,
    matching: 0,
    byGeneration: [],
    outOfOrder: false,
  });
});
