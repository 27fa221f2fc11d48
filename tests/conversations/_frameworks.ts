/**
 * The same small application in three frameworks: as people write it, but for `live.server`.
 *
 * @module
 */
import { LIBRARY } from "../update/_fixtures.ts";

const ROUTES = new URL("_http_routes.ts", import.meta.url).href;

const OPEN = `import { open } from "${LIBRARY}";
import { gate } from "${ROUTES}";
const live = await open({ quiesceTimeoutMs: 20_000 });
live.on("quiesce", () => console.log("quiescing"));
const address = { hostname: "127.0.0.1", port: Number(Deno.args[0]) };`;

const EXPRESS = `import { createServer } from "node:http";
import express from "npm:express@5.1.0";
${OPEN}
const app = express();
app.use((_req, res, next) => { res.set("x-build", "BUILD"); next(); });
app.use(express.json());
app.get("/users/:id", (req, res) => { res.json({ id: req.params.id, q: req.query.q ?? null }); });
app.post("/sum", (req, res) => { res.json({ sum: req.body.reduce((sum, each) => sum + each, 0) }); });
app.get("/stream", async (req, res) => {
  res.type("text").write("the beginning, ");
  await gate(req.query.file);
  res.end("and the end");
});
app.get("/bad", async () => { await null; throw Object.assign(new Error("no tea"), { status: 418 }); });
app.use((error, _req, res, _next) => { res.status(error.status ?? 500).json({ error: error.message }); });
await live.server("web", createServer(app), address);
await live.ready();
`;

const FASTIFY = `import { createServer } from "node:http";
import { Readable } from "node:stream";
import Fastify from "npm:fastify@5.6.1";
${OPEN}
const app = Fastify({ serverFactory: (handler) => createServer(handler) });
app.addHook("onRequest", async (_request, reply) => { reply.header("x-build", "BUILD"); });
app.get("/users/:id", async (request) => ({ id: request.params.id, q: request.query.q ?? null }));
app.post("/sum", {
  schema: { body: { type: "array", items: { type: "number" } } },
}, async (request) => ({ sum: request.body.reduce((sum, each) => sum + each, 0) }));
app.get("/stream", (request, reply) => {
  const text = async function* () {
    yield "the beginning, ";
    await gate(request.query.file);
    yield "and the end";
  };
  reply.type("text/plain").send(Readable.from(text()));
});
app.get("/bad", async () => { throw Object.assign(new Error("no tea"), { statusCode: 418 }); });
await app.ready();
await live.server("web", app.server, address);
await live.ready();
`;

const HONO = `import { createAdaptorServer } from "npm:@hono/node-server@1.19.6";
import { Hono } from "npm:hono@4.10.4";
import { HTTPException } from "npm:hono@4.10.4/http-exception";
import { streamText } from "npm:hono@4.10.4/streaming";
${OPEN}
const app = new Hono();
app.use(async (c, next) => { await next(); c.res.headers.set("x-build", "BUILD"); });
app.get("/users/:id", (c) => c.json({ id: c.req.param("id"), q: c.req.query("q") ?? null }));
app.post("/sum", async (c) => c.json({ sum: (await c.req.json()).reduce((sum, each) => sum + each, 0) }));
app.get("/stream", (c) => streamText(c, async (stream) => {
  await stream.write("the beginning, ");
  await gate(c.req.query("file"));
  await stream.write("and the end");
}));
app.get("/bad", () => { throw new HTTPException(418, { message: "no tea" }); });
await live.server("web", createAdaptorServer({ fetch: app.fetch }), address);
await live.ready();
`;

/** The text of a build in each framework. */
export const FRAMEWORKS: Readonly<Record<string, (build: string) => string>> = {
  express: (build) => untyped(EXPRESS, build),
  fastify: (build) => untyped(FASTIFY, build),
  hono: (build) => untyped(HONO, build),
};

function untyped(text: string, build: string): string {
  return `// deno-lint-ignore-file\n// @ts-nocheck: as in JavaScript.\n${text.replace("BUILD", build)}`;
}
