import { assert, assertEquals } from "@std/assert";
import { createServer, type RequestListener, type ServerResponse } from "node:http";

import { tempDir } from "../testing/wait.ts";
import { UpdateEvents } from "./update_events.ts";

/** A service that answers `/v1/events` like this. */
async function serving(answer: RequestListener): Promise<AsyncDisposable & { path: string }> {
  const directory = tempDir("heirloom-events-");
  const path = `${directory.path}/control.sock`;
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    path,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await directory[Symbol.asyncDispose]();
    },
  };
}

function begin(response: ServerResponse): ServerResponse {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(": heirloom\n\n");
  return response;
}

const record = (id: string): string => `event: update\ndata: ${JSON.stringify({ id })}\n\n`;

Deno.test("UpdateEvents gives records in order, however they are cut, and passes over what is none", async () => {
  await using service = await serving((_, response) => {
    const text = `${record("1")}: ping\n\nevent: update\ndata: {nonsense\n\n${record("2")}`;
    begin(response);
    for (let at = 0; at < text.length; at += 7) setTimeout(() => response.write(text.slice(at, at + 7)), at);
  });
  using events = await UpdateEvents.open(service.path, 20_000);
  assertEquals([(await events.next(20_000))?.id, (await events.next(20_000))?.id], ["1", "2"]);
  assertEquals([await events.next(1), events.ended], [null, false]);
});

Deno.test("UpdateEvents tells the end of the connection after the last record", async () => {
  await using service = await serving((_, response) => void begin(response).end(record("last")));
  using events = await UpdateEvents.open(service.path, 20_000);
  assertEquals((await events.next(20_000))?.id, "last");
  assertEquals(await events.next(20_000), null);
  assert(events.ended);
});

Deno.test("UpdateEvents that nobody serves, refuses or answers has ended", async () => {
  using absent = await UpdateEvents.open("/nonexistent/control.sock", 20_000);
  assert(absent.ended);
  await using refusing = await serving((_, response) => void response.writeHead(403).end());
  using refused = await UpdateEvents.open(refusing.path, 20_000);
  assert(refused.ended);
  await using silent = await serving(() => {});
  using unanswered = await UpdateEvents.open(silent.path, 50);
  assert(unanswered.ended);
});
