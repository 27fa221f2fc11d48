import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "./args_error.ts";
import { scan } from "./args_scan.ts";
import type { FlagSpec } from "./args_spec.ts";

const TABLE: readonly FlagSpec[] = [
  { name: "file", value: "FILE", help: "" },
  { name: "args", value: "ARGS", dashedValue: true, help: "" },
  { name: "fast", short: "f", help: "" },
  { name: "help", short: "h", help: "" },
];

function read(args: readonly string[], stopAtWord = false) {
  const { flags, words } = scan(args, { table: TABLE, stopAtWord });
  return [Object.fromEntries(flags), words.map(({ word, index }) => `${index}:${word}`)];
}

Deno.test("scan reads flags and words in any order, and words only behind --", () => {
  assertEquals(read(["a", "--file", "x", "b", "--args=-y", "-f"]), [
    { file: "x", args: "-y", fast: "" },
    ["0:a", "3:b"],
  ]);
  assertEquals(read(["-f", "--", "--file", "--", "-f"]), [{ fast: "" }, ["2:--file", "3:--", "4:-f"]]);
});

Deno.test("scan stops at the first word and looks at nothing behind it", () => {
  assertEquals(read(["--args", "-v", "app", "--nonsense", "-f", "-f", "--file"], true), [{ args: "-v" }, [
    "2:app",
  ]]);
  assertEquals(read(["--", "-app", "--help"], true), [{}, ["1:-app"]]);
});

Deno.test("scan takes a value that begins with a dash where the table says so, or behind =", () => {
  assertEquals(read(["--args", "--"]), [{ args: "--" }, []]);
  assertEquals(read(["--file=-x"]), [{ file: "-x" }, []]);
  assertEquals(read(["--file", "-"]), [{ file: "-" }, []]);
  assertThrows(() => read(["--file", "-x"]), UsageError, "--file=-x if that is the value");
});

Deno.test("scan gives help and nothing else when it is asked for", () => {
  assertEquals(read(["--file", "x", "--nonsense", "-h", "-f", "-f"]), [{ help: "" }, []]);
});

Deno.test("scan refuses a flag given twice by either of its names", () => {
  assertThrows(() => read(["-f", "--fast"]), UsageError, "--fast twice");
  assertThrows(() => read(["-ff"]), UsageError, "-f twice");
});
