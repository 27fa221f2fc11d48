import { assertEquals } from "@std/assert";

import { lastWordsPath, writeLastWords } from "../control/last_words.ts";
import type { CommonOptions, UpdateOptions } from "./args.ts";
import { cli, type FakeService, json, printed, sampleRecord, startFake } from "./helpers_test.ts";
import { update } from "./verdict.ts";

const LOST = sampleRecord({ outcome: "lost", reason: "the previous build failed as well" });
const LOST_TEXT = "heirloom: update a1 lost: generation 3, pause 12.3 ms: the previous build failed as well";

function commandFor(socket: string): CommonOptions & UpdateOptions {
  return { socket, json: false, timeoutMs: 20_000, commitAfterMs: undefined, guardian: true };
}

/** A service that takes the request and then ends, and what it does just before and some time after that. */
async function leaving(before: (socket: string) => void, after: (socket: string) => void = () => {}) {
  const fake: FakeService = await startFake((_request, response) => {
    json(response, 202, { id: "a1" });
    response.on("finish", async () => {
      before(fake.socket);
      await fake.leave();
      setTimeout(after, 300, fake.socket);
    });
  });
  return fake;
}

Deno.test("update() takes the last words of a service that has ended for the verdict", async () => {
  await using fake = await leaving((socket) => void writeLastWords(socket, LOST));
  let status: number | undefined;
  const printout = await printed(async () => status = await update(commandFor(fake.socket), {}));
  assertEquals([status, printout], [1, { out: [], err: [LOST_TEXT] }]);
});

Deno.test("update() waits for last words that are written after the service has ended", async () => {
  await using fake = await leaving(() => {}, (socket) => void writeLastWords(socket, LOST));
  const { err } = await printed(async () => assertEquals(await update(commandFor(fake.socket), {}), 1));
  assertEquals(err, [LOST_TEXT]);
});

Deno.test("update() believes a service that answers, and no words about another update", async () => {
  let asked = 0;
  await using fake = await startFake((request, response) => {
    if (request.method === "POST") return json(response, 202, { id: "a1" });
    if (++asked < 3) return void request.socket.destroy();
    if (asked === 3) writeLastWords(fake.socket, LOST);
    json(response, 200, sampleRecord({ outcome: asked < 6 ? null : "committed" }));
  });
  writeLastWords(fake.socket, { ...LOST, id: "b2" });
  const { out } = await printed(async () => assertEquals(await update(commandFor(fake.socket), {}), 0));
  assertEquals([out.length, asked], [1, 6]);
});

Deno.test("update() hears the verdict on the connection that lives through the update, and asks nobody", async () => {
  const begun = Promise.withResolvers<void>();
  await using fake = await startFake((_, response) => {
    json(response, 202, { id: "a1" });
    begun.resolve();
  }, async (response) => {
    const say = (record: unknown): unknown =>
      response.write(`event: update\ndata: ${JSON.stringify(record)}\n\n`);
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.flushHeaders();
    await begun.promise;
    say({ ...LOST, id: "another" });
    say(sampleRecord({ outcome: null }));
    say(sampleRecord());
  });
  const { out } = await printed(async () => assertEquals(await update(commandFor(fake.socket), {}), 0));
  assertEquals([out.length, fake.requests.length], [1, 1]);
});

Deno.test("update() asks for what it is told", async () => {
  await using fake = await startFake((request, response) => {
    if (request.method === "POST") json(response, 202, { id: "a1" });
    else json(response, 200, sampleRecord());
  });
  await printed(() => update({ ...commandFor(fake.socket), commitAfterMs: 250 }, { rollback: true }));
  assertEquals(JSON.parse(fake.requests[0]?.replace("POST /v1/upgrade ", "") ?? ""), {
    rollback: true,
    timeout_ms: 20_000,
    guardian: true,
    commit_after_ms: 250,
  });
});

Deno.test("upgrade --json prints last words as the one document, and exits 1", async () => {
  await using fake = await leaving((socket) => {
    Deno.writeTextFileSync(lastWordsPath(socket), JSON.stringify(LOST));
  });
  const { code, stdout, stderr } = await cli(["upgrade", "--json", "--socket", fake.socket]);
  assertEquals([code, stdout, stderr], [1, `${JSON.stringify(LOST)}\n`, `${LOST_TEXT}\n`]);
});
