import { assertEquals } from "@std/assert";

import { columns, duration, size } from "./text.ts";

Deno.test("columns() lines cells up and leaves no trailing blanks", () => {
  assertEquals(
    columns([["ID", "NAME", "X"], ["1", "a long name", ""], ["1000", "b", "x"]]),
    "ID    NAME         X\n1     a long name\n1000  b            x",
  );
  assertEquals(columns([]), "");
  assertEquals(columns([["a"], ["b", "c"]]), "a\nb  c");
});

for (
  const [ms, text] of [
    [null, "-"],
    [0, "0.0 ms"],
    [12.34, "12.3 ms"],
    [999, "999.0 ms"],
    [1000, "1.0 s"],
    [59_940, "59.9 s"],
    [119_400, "119.4 s"],
    [120_000, "2 min"],
    [7_199_000, "119 min"],
    [7_200_000, "2 h 0 min"],
    [90_060_000, "25 h 1 min"],
  ] as const
) {
  Deno.test(`duration() of ${ms} is ${text}`, () => assertEquals(duration(ms), text));
}

for (
  const [bytes, text] of [
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [1536, "1.5 KiB"],
    [64 * 1024 ** 2, "64.0 MiB"],
    [1024 ** 3, "1.0 GiB"],
    [5000 * 1024 ** 3, "5000.0 GiB"],
  ] as const
) {
  Deno.test(`size() of ${bytes} is ${text}`, () => assertEquals(size(bytes), text));
}

Deno.test("strong() leaves text alone where there is no terminal or no colour is wanted", async () => {
  const script = `import { strong } from "${new URL("text.ts", import.meta.url)}";
console.log(JSON.stringify([strong("x"), strong("y", "red")]));`;
  for (const env of [{}, { NO_COLOR: "1" }] as Record<string, string>[]) {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-config", "--no-lock", "--ext=ts", script],
      env,
      stdout: "piped",
    }).output();
    assertEquals(new TextDecoder().decode(stdout), '["x","y"]\n');
  }
});
