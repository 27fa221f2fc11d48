import { assertEquals } from "@std/assert";
import { nearest, suggestion } from "./args_error.ts";

const WORDS = ["status", "sessions", "history", "upgrade", "run"];

Deno.test("nearest finds slips: a letter more, less, other, or two swapped", () => {
  const slips = [["stattus", "status"], ["satus", "status"], ["ststus", "status"], ["upgarde", "upgrade"]];
  for (const [word = "", found] of [...slips, ["rnu", "run"], ["upgrade", "upgrade"]]) {
    assertEquals(nearest(word, WORDS), found, word);
  }
});

Deno.test("nearest finds a word that was begun", () => {
  assertEquals(nearest("sess", WORDS), "sessions");
  assertEquals(nearest("hi", WORDS), "history");
});

Deno.test("nearest makes no wild guesses", () => {
  for (const word of ["", "x", "s", "check", "rollback", "x".repeat(100)]) {
    assertEquals(nearest(word, WORDS), undefined, word);
  }
  assertEquals(nearest("a", []), undefined);
});

Deno.test("suggestion names what exists, and a guess when there is one", () => {
  assertEquals(suggestion("rum", ["run", "demo"]), "did you mean run? (allowed: run, demo)");
  assertEquals(suggestion("xyzzy", ["run", "demo"]), "allowed: run, demo");
});
