import { assert, assertEquals } from "@std/assert";
import { runMatrix, selectRows } from "./_matrix.ts";
import { ROWS } from "./_rows.ts";

Deno.test("fault matrix: a selection holds, and a good update commits after each row", async (t) => {
  const rows = ROWS.filter(({ selected }) => selected);
  assert(rows.length > 0);
  for await (const result of runMatrix(rows)) {
    await t.step({
      name: `${result.group}: ${result.name} (${result.phase})`,
      ignore: result.ok === null,
      fn: () => assert(result.ok, result.problem ?? ""),
    });
  }
});

Deno.test("fault matrix: every row has a name of its own", () => {
  const names = ROWS.map(({ group, name, phase }) => `${group}: ${name}, ${phase}`);
  assertEquals(names.filter((name, at) => names.indexOf(name) !== at), []);
  for (const name of names) assert(selectRows(ROWS, name).length >= 1, name);
});
