import { assertEquals, assertRejects } from "@std/assert";
import { ConnectionFault } from "./connection.ts";
import { callControl, ControlCallError } from "./control.ts";
import { tempDir } from "./wait.ts";

/** Serves a control socket as the handler says, and gives its path. */
async function withSocket(
  handler: (request: Request) => Response | Promise<Response>,
  test: (socket: string) => Promise<void>,
): Promise<void> {
  await using dir = tempDir();
  const socket = `${dir.path}/control.sock`;
  const server = Deno.serve({
    path: socket,
    onListen: () => {},
    onError: () => new Response(null, { status: 500 }),
  }, handler);
  try {
    await test(socket);
  } finally {
    await server.shutdown();
  }
}

Deno.test("callControl gets and posts JSON", async () => {
  const seen: unknown[] = [];
  await withSocket(async (request) => {
    const { pathname } = new URL(request.url);
    seen.push([request.method, pathname, request.method === "POST" ? await request.json() : null]);
    return Response.json({ id: "ü" }, { status: request.method === "POST" ? 202 : 200 });
  }, async (socket) => {
    assertEquals(await callControl({ socket, path: "/v1/status" }), { id: "ü" });
    assertEquals(await callControl({ socket, path: "/v1/upgrade", body: { build: "/ä" } }), { id: "ü" });
  });
  assertEquals(seen, [["GET", "/v1/status", null], ["POST", "/v1/upgrade", { build: "/ä" }]]);
});

Deno.test("callControl tells the service's error with its code", async () => {
  await withSocket(
    () => Response.json({ error: { code: "EBUSY", message: "An update runs" } }, { status: 409 }),
    async (socket) => {
      const error = await assertRejects(
        () => callControl({ socket, path: "/v1/upgrade", body: {} }),
        ControlCallError,
      );
      assertEquals([error.status, error.code], [409, "EBUSY"]);
      assertEquals(error.message, "Cannot call /v1/upgrade: 409 EBUSY: An update runs");
    },
  );
});

Deno.test("callControl takes an error of another form as it is, and no answer but JSON", async () => {
  await withSocket(
    (request) => new Response(request.url.endsWith("/list") ? "[1]" : "gone fishing", { status: 500 }),
    async (socket) => {
      const list = await assertRejects(() => callControl({ socket, path: "/list" }), ControlCallError);
      assertEquals([list.status, list.code, list.message], [500, "", "Cannot call /list: 500 : [1]"]);
      await assertRejects(
        () => callControl({ socket, path: "/x" }),
        ControlCallError,
        "not JSON: gone fishing",
      );
    },
  );
});

Deno.test("callControl says why there is no answer", async () => {
  await using dir = tempDir();
  const socket = `${dir.path}/control.sock`;
  const none = await assertRejects(() => callControl({ socket, path: "/" }), ConnectionFault);
  assertEquals(none.reason, "refused");
  Deno.listen({ transport: "unix", path: socket }).close();
  await Deno.stat(socket).then(() => {}, () => {});
  using listener = Deno.listen({ transport: "unix", path: `${socket}2` });
  const silent = await assertRejects(
    () => callControl({ socket: `${socket}2`, path: "/", timeoutMs: 50 }),
    ConnectionFault,
  );
  assertEquals(silent.reason, "timeout");
  const calling = callControl({ socket: `${socket}2`, path: "/" });
  (await listener.accept()).close();
  (await listener.accept()).close();
  assertEquals((await assertRejects(() => calling, ConnectionFault)).reason, "closed");
});
