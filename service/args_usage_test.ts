import { assert, assertEquals } from "@std/assert";
import { COMMAND_NAMES, COMMANDS, COMMON_FLAGS, EXIT, EXIT_MEANINGS } from "./args_table.ts";
import { usage } from "./args_usage.ts";

const PAGES = [undefined, ...COMMAND_NAMES];

Deno.test("usage fits 80 columns, without blanks at the ends of lines", () => {
  for (const name of PAGES) {
    const text = usage(name);
    assert(text.endsWith("\n") && !text.endsWith("\n\n"));
    for (const line of text.split("\n")) {
      assert(line.length <= 80, line);
      assertEquals(line, line.trimEnd());
    }
  }
});

Deno.test("usage lists every command with its summary", () => {
  for (const name of COMMAND_NAMES) {
    assert(new RegExp(`^  ${name} +${COMMANDS[name].summary}$`, "m").test(usage()), name);
  }
});

Deno.test("usage of a command has every flag, default, form, example and exit code", () => {
  for (const name of COMMAND_NAMES) {
    const text = usage(name);
    const words = text.replace(/\s+/g, " ");
    for (const { name: flag, value, preset } of [...COMMANDS[name].flags, ...COMMON_FLAGS]) {
      assert(words.includes(value === undefined ? `--${flag}` : `--${flag} ${value}`), `${name} --${flag}`);
      if (preset !== undefined) assert(words.includes(`Default: ${preset}.`), `${name} --${flag}`);
    }
    for (const form of COMMANDS[name].synopsis) assert(words.includes(`heirloom ${form}`), form);
    for (const [line] of COMMANDS[name].examples) assert(text.includes(`\n  ${line}\n`), line);
    for (const [code, meaning] of EXIT_MEANINGS) assert(words.includes(`${code} ${meaning}`), meaning);
  }
});

Deno.test("usage explains every exit code once", () => {
  assertEquals(EXIT_MEANINGS.map(([code]) => code), Object.values(EXIT));
});

Deno.test("usage has its sections in the order of a manual page", () => {
  const titles = (text: string) => text.match(/^[A-Z].*$/gm);
  const ends = ["COMMON FLAGS", "EXIT CODES", "EXAMPLES"];
  assertEquals(titles(usage("upgrade")), ["NAME", "SYNOPSIS", "DESCRIPTION", "FLAGS", ...ends]);
  assertEquals(titles(usage("demo")), ["NAME", "SYNOPSIS", "DESCRIPTION", ...ends]);
  assertEquals(titles(usage())?.slice(3), [
    "COMMANDS",
    "COMMON FLAGS",
    "ENVIRONMENT",
    "EXIT CODES",
    "EXAMPLES",
  ]);
});
