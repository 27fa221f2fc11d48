import { assert, assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "./args_error.ts";
import { splitWords } from "./args_words.ts";

const CASES: readonly (readonly [text: string, words: readonly string[]])[] = [
  ["", []],
  [" \t\n ", []],
  ["-A", ["-A"]],
  ["  -A \t--x=1\n-b ", ["-A", "--x=1", "-b"]],
  ["--env-file='my env'", ["--env-file=my env"]],
  ["\"a b\"c'd e'f", ["a bcd ef"]],
  ["'' \"\" x''", ["", "", "x"]],
  ["'a\\b\"c'", ['a\\b"c']],
  ["a\\ b \\' \\\" \\\\", ["a b", "'", '"', "\\"]],
  ['"\\" \\\\ \\$ \\` \\a \'"', ["\" \\ $ ` \\a '"]],
  ["a\\\nb \\\n c", ["ab", "c"]],
  ['"a\\\nb"', ["ab"]],
  ["x#y #z", ["x#y", "#z"]],
  ["é\\ü \u{1F600}", ["éü", "\u{1F600}"]],
];

Deno.test("splitWords splits like a shell", () => {
  for (const [text, words] of CASES) assertEquals(splitWords("--flag", text), words, JSON.stringify(text));
});

Deno.test("splitWords agrees with sh wherever nothing is expanded", async () => {
  for (const [text, words] of CASES) {
    // To the shell these are a comment and a second command.
    if (text.includes(" #") || text.includes("1\n")) continue;
    const script = `printf '%s\\0' x ${text.trim()}`;
    const { stdout, success } = await new Deno.Command("sh", { args: ["-c", script] }).output();
    assert(success, script);
    const [, ...found] = new TextDecoder().decode(stdout).split("\0").slice(0, -1);
    assertEquals(found, words, script);
  }
});

Deno.test("splitWords expands nothing", () => {
  assertEquals(splitWords("--flag", "$HOME *.ts `id` $(id) ~ a;b&c|d>e"), [
    "$HOME",
    "*.ts",
    "`id`",
    "$(id)",
    "~",
    "a;b&c|d>e",
  ]);
});

Deno.test("splitWords refuses an open quote and a last backslash", () => {
  for (const text of ["'", '"', "a 'b", 'a "b\\"', "'a\"", "'a\\'b'"]) {
    assertThrows(() => splitWords("--flag", text), UsageError, "is not closed", text);
  }
  for (const text of ["\\", "a\\", '"a\\']) {
    assertThrows(() => splitWords("--flag", text), UsageError, "backslash");
  }
});
