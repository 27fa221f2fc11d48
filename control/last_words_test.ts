import { assert, assertEquals } from "@std/assert";

import { tempDir } from "../testing/wait.ts";
import { sampleRecord } from "./helpers_test.ts";
import { lastWordsPath, readLastWords, removeLastWords, writeLastWords } from "./last_words.ts";

const LOST = sampleRecord({ outcome: "lost", reason: "the previous build failed as well" });

const names = (folder: string): string[] => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

Deno.test("writeLastWords() writes for the user alone what readLastWords() gives back", async () => {
  await using dir = tempDir();
  const socket = `${dir.path}/s.sock`;
  assert(writeLastWords(socket, LOST));
  assertEquals(readLastWords(socket, LOST.id), LOST);
  assertEquals(names(dir.path), ["s.sock.last.json"]);
  assertEquals((Deno.statSync(lastWordsPath(socket)).mode ?? 0) & 0o777, 0o600);
});

Deno.test("writeLastWords() replaces earlier words, also those that anybody could read", async () => {
  await using dir = tempDir();
  const socket = `${dir.path}/s.sock`;
  Deno.writeTextFileSync(lastWordsPath(socket), "older and longer ".repeat(1000), { mode: 0o666 });
  assert(writeLastWords(socket, LOST));
  assert(writeLastWords(socket, { ...LOST, id: "b2" }));
  assertEquals([readLastWords(socket, LOST.id), readLastWords(socket, "b2")?.id], [null, "b2"]);
  assertEquals((Deno.statSync(lastWordsPath(socket)).mode ?? 0) & 0o777, 0o600);
});

Deno.test("writeLastWords() does not write through a link", async () => {
  await using dir = tempDir();
  const socket = `${dir.path}/s.sock`;
  Deno.writeTextFileSync(`${dir.path}/other`, "untouched");
  Deno.symlinkSync(`${dir.path}/other`, lastWordsPath(socket));
  assert(writeLastWords(socket, LOST));
  assertEquals(Deno.readTextFileSync(`${dir.path}/other`), "untouched");
  assertEquals(readLastWords(socket, LOST.id), LOST);
});

Deno.test("writeLastWords() says false where nothing can be written, and leaves nothing there", async () => {
  await using dir = tempDir();
  assertEquals(writeLastWords(`${dir.path}/missing/s.sock`, LOST), false);
  Deno.mkdirSync(`${dir.path}/s.sock.last.json/full`, { recursive: true });
  assertEquals(writeLastWords(`${dir.path}/s.sock`, LOST), false);
  assertEquals(names(dir.path), ["s.sock.last.json"]);
});

Deno.test("readLastWords() gives words about any update when none is named", async () => {
  await using dir = tempDir();
  const socket = `${dir.path}/s.sock`;
  assertEquals(readLastWords(socket), null);
  writeLastWords(socket, LOST);
  assertEquals(readLastWords(socket), LOST);
});

Deno.test("readLastWords() gives null for what is no record of an update that has ended", async () => {
  await using dir = tempDir();
  const socket = `${dir.path}/s.sock`;
  const path = lastWordsPath(socket);
  assertEquals(readLastWords(socket, LOST.id), null);
  const texts = ["", "{", "null", "[]", '"a1"', "{}", JSON.stringify({ ...LOST, outcome: null })];
  for (const text of texts) {
    Deno.writeTextFileSync(path, text);
    assertEquals(readLastWords(socket, LOST.id), null, text);
  }
  Deno.writeTextFileSync(path, JSON.stringify({ ...LOST, reason: "x".repeat(1024 * 1024) }));
  assertEquals(readLastWords(socket, LOST.id), null);
});

Deno.test("readLastWords() does not wait for a writer of a pipe", async () => {
  await using dir = tempDir();
  const socket = `${dir.path}/s.sock`;
  assert((await new Deno.Command("mkfifo", { args: [lastWordsPath(socket)] }).output()).success);
  assertEquals(readLastWords(socket, LOST.id), null);
});

Deno.test("removeLastWords() removes them, and nothing where there are none", async () => {
  await using dir = tempDir();
  const socket = `${dir.path}/s.sock`;
  removeLastWords(socket);
  writeLastWords(socket, LOST);
  removeLastWords(socket);
  assertEquals(names(dir.path), []);
  removeLastWords(`${dir.path}/missing/s.sock`);
});
