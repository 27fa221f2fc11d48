import { assertEquals, assertMatch } from "@std/assert";
import { freePort, startApp, waitFor } from "../../testing/mod.ts";
import { EventReader, RawClient } from "./_event_streams_app.ts";
import { builds, Client, LIBRARY } from "../update/_fixtures.ts";

/** What each application has in common: its streams know their next number, and `/send` sends the next event. */
function appOf(imports: string, routes: string): string {
  return `import { createServer } from "node:http";
${imports}
import { open } from "${LIBRARY}";
const live = await open();
const feed = await live.eventStreams("feed");
const send = () => {
  for (const stream of feed) {
    const id = stream.state.next++;
    stream.send({ id: String(id), data: \`\${id}:\` });
  }
  return String(feed.size);
};
const address = { hostname: "127.0.0.1", port: Number(Deno.args[0]) };
${routes}
await live.ready();
`;
}

const APPS: Record<string, string> = {
  "express, with compression": appOf(
    'import express from "npm:express@5.1.0";\nimport compression from "npm:compression@1.8.1";',
    `const app = express();
app.use(compression());
app.get("/events", (req, res) => {
  res.set("x-own", "yes");
  feed.attach(res, { next: 1 });
});
app.get("/send", (req, res) => res.send(send()));
await live.server("web", createServer(app), address);`,
  ),
  "fastify": appOf(
    'import fastify from "npm:fastify@5.6.1";',
    `const app = fastify();
app.get("/events", (request, reply) => {
  reply.hijack();
  feed.attach(reply.raw, { next: 1 }, { headers: { "x-own": "yes" } });
});
app.get("/send", () => send());
await app.ready();
await live.server("web", app.server, address);`,
  ),
  "hono on node:http": appOf(
    `import { Hono } from "npm:hono@4.10.4";
import { getRequestListener } from "npm:@hono/node-server@1.19.6";
import { RESPONSE_ALREADY_SENT } from "npm:@hono/node-server@1.19.6/utils/response";`,
    `const app = new Hono();
app.get("/events", (c) => {
  feed.attach(c.env.outgoing, { next: 1 }, { headers: { "x-own": "yes" } });
  return RESPONSE_ALREADY_SENT;
});
app.get("/send", (c) => c.text(send()));
await live.server("web", createServer(getRequestListener(app.fetch)), address);`,
  ),
  "hono on live.serve, with middleware": appOf(
    'import { Hono } from "npm:hono@4.10.4";\nimport { cors } from "npm:hono@4.10.4/cors";',
    `const app = new Hono();
app.use(cors());
app.use(async (c, next) => {
  await next();
  c.header("x-own", "yes");
});
app.get("/events", (c) => feed.respond(c.req.raw, { next: 1 }));
app.get("/send", (c) => c.text(send()));
await live.serve("web", address, (request) => app.fetch(request));`,
  ),
};

for (const [name, text] of Object.entries(APPS)) {
  Deno.test(`an event stream of ${name} goes on through updates`, async () => {
    await using all = builds();
    const entry = await all.write("app", text);
    const port = freePort();
    await using app = await startApp({ entry, args: [String(port)] });
    using client = await Client.open(port);
    const request =
      "GET /events HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip, br\r\norigin: http://x\r\n\r\n";
    using stream = await RawClient.open(port, request);
    await waitFor(async () => await client.text("/send") === "1", { what: "the stream" });
    const reader = new EventReader(true);
    await stream.readTo(reader, 1);
    assertMatch(reader.head, /^HTTP\/1\.1 200 OK\r\n/);
    assertMatch(reader.head, /\r\ncontent-type: text\/event-stream\r\n/i);
    assertMatch(reader.head, /\r\nx-own: yes\r\n/i);
    assertEquals(/content-encoding|transfer-encoding|content-length/i.test(reader.head), false);
    for (let round = 0; round < 2; round++) {
      const record = await app.upgrade({ build: entry });
      assertEquals([record.outcome, record.reason], ["committed", null], app.output().stderr);
      assertEquals(await client.text("/send"), "1");
      await stream.readTo(reader, reader.count + 1);
    }
    stream[Symbol.dispose]();
    await waitFor(async () => await client.text("/send") === "0", { what: "the stream to be forgotten" });
  });
}
