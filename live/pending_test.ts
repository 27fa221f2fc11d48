import { assertEquals } from "@std/assert";

import { parsePending, type PendingUpdate } from "./pending.ts";

const BUILD = {
  info: { path: "/srv/app.ts", version: null, id: "0123456789ab" },
  fingerprint: null,
  name: "/srv/app.ts",
  execName: null,
  snapshot: null,
};

/** What any build says, an older one that knows of nothing else included. */
const LEAST = { id: "a1", from: BUILD, to: BUILD, deadline: "123456789012345678901" };

const PENDING: PendingUpdate = {
  ...LEAST,
  commitAfterMs: 250,
  previous: BUILD,
  guardian: 7,
  lastWords: "/run/app.sock.last.json",
  warnings: ["w"],
  closed: 2,
};

Deno.test("parsePending() gives back what was written", () => {
  assertEquals(parsePending(JSON.stringify(PENDING)), PENDING);
});

Deno.test("parsePending() fills in what an older build did not say", () => {
  const unsaid = {
    commitAfterMs: 0,
    previous: null,
    guardian: null,
    lastWords: null,
    warnings: [],
    closed: 0,
  };
  assertEquals(parsePending(JSON.stringify(LEAST)), { ...LEAST, ...unsaid });
});

Deno.test("parsePending() gives null where nothing was written", () =>
  assertEquals(parsePending(null), null));

for (
  const [name, text] of [
    ["no text", ""],
    ["no JSON", "{"],
    ["null", "null"],
    ["a number", "7"],
    ["an empty document", "{}"],
    ["no id", JSON.stringify({ ...PENDING, id: undefined })],
    ["a deadline that is no number", JSON.stringify({ ...PENDING, deadline: "soon" })],
    ["a negative deadline", JSON.stringify({ ...PENDING, deadline: "-1" })],
    ["no build", JSON.stringify({ ...PENDING, from: undefined })],
    ["a build without its path", JSON.stringify({ ...PENDING, to: { ...BUILD, info: {} } })],
  ] as const
) {
  Deno.test(`parsePending() makes nothing of ${name}`, () => assertEquals(parsePending(text), null));
}
