import { assertEquals } from "@std/assert";

const rules: { id: string }[] = JSON.parse(
  Deno.readTextFileSync(new URL("deviations.json", import.meta.url)),
);

Deno.test("docs/semantics.md lists every rule of deviation, and no other", () => {
  const text = Deno.readTextFileSync(new URL("../../docs/semantics.md", import.meta.url));
  const listed = [...text.matchAll(/^\| `([a-z-]+)` +\|/gm)].map(([, id]) => id);
  assertEquals(listed, rules.map(({ id }) => id));
});
