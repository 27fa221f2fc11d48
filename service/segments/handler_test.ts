import { assert, assertEquals, assertThrows } from "@std/assert";
import { createSegmentHandler } from "./handler.ts";
import { assertRefused, errnoError, FakeStore, HOST, options, request } from "./fake_store_test.ts";
import { DEFAULT_QUOTAS } from "./quotas.ts";

function setUp(change: Parameters<typeof options>[0] = {}) {
  const store = new FakeStore();
  const handler = createSegmentHandler(store, options(change));
  const send = (method: string, path: string, init?: RequestInit) => handler(request(method, path, init));
  return { store, handler, send };
}

Deno.test("createSegmentHandler GET /v1/status answers with the status", async () => {
  const { send } = setUp();
  const response = await send("GET", "/v1/status");
  assertEquals(response.status, 200);
  assertEquals(response.headers.get("content-type"), "application/json");
  assertEquals(response.headers.get("x-content-type-options"), "nosniff");
  assertEquals(await response.text(), '{"state":"serving"}\n');
});

Deno.test("createSegmentHandler GET /v1/segments lists segments by name with quotas and usage", async () => {
  const { store, send } = setUp();
  store.add("b", 5);
  store.add("a", 7);
  assertEquals(await (await send("GET", "/v1/segments")).json(), {
    segments: [{ name: "a", size: 7 }, { name: "b", size: 5 }],
    quotas: DEFAULT_QUOTAS,
    used: { segments: 2, bytes: 12 },
  });
});

Deno.test("createSegmentHandler creates, finds, writes, reads and deletes a segment", async () => {
  const { send } = setUp();
  const created = await send("PUT", "/v1/segments/a?size=10");
  assertEquals([created.status, created.headers.get("location")], [201, "/v1/segments/a"]);
  assertEquals(await created.json(), { name: "a", size: 10 });
  const again = await send("PUT", "/v1/segments/a?size=10");
  assertEquals([again.status, await again.json()], [200, { name: "a", size: 10 }]);
  await assertRefused(await send("PUT", "/v1/segments/a?size=11"), 409, "EEXIST");
  assertEquals(await (await send("GET", "/v1/segments/a")).json(), { name: "a", size: 10 });

  const written = await send("PUT", "/v1/segments/a/bytes?offset=3", { body: "hello" });
  assertEquals([written.status, await written.json()], [200, { name: "a", offset: 3, written: 5 }]);
  assertEquals(await (await send("GET", "/v1/segments/a/bytes?offset=2&length=7")).text(), "\0hello\0");
  assertEquals(await (await send("GET", "/v1/segments/a/bytes")).text(), "\0\0\0hello\0\0");
  assertEquals(await (await send("GET", "/v1/segments/a/bytes?offset=10")).text(), "");

  const removed = await send("DELETE", "/v1/segments/a");
  assertEquals([removed.status, await removed.text()], [204, ""]);
  await assertRefused(await send("DELETE", "/v1/segments/a"), 404, "ENOENT");
  await assertRefused(await send("GET", "/v1/segments/a"), 404, "ENOENT");
  await assertRefused(await send("GET", "/v1/segments/a/bytes"), 404, "ENOENT");
  await assertRefused(await send("PUT", "/v1/segments/a/bytes", { body: "x" }), 404, "ENOENT");
});

Deno.test("createSegmentHandler answers HEAD like GET without a body, errors too", async () => {
  const { store, send } = setUp();
  store.add("a", 3_000_000);
  const paths = [
    "/v1/status",
    "/v1/segments",
    "/v1/segments/a",
    "/v1/segments/a/bytes",
    "/v1/segments/none",
    "/nix",
  ];
  for (const path of paths) {
    const get = await send("GET", path);
    const head = await send("HEAD", path);
    assertEquals(head.body, null, path);
    assertEquals([head.status, [...head.headers]], [get.status, [...get.headers]], path);
    assertEquals(head.headers.get("content-length"), String((await get.bytes()).byteLength), path);
  }
});

Deno.test("createSegmentHandler PUT of one new name at once answers 201 once", async () => {
  const { store, send } = setUp();
  const all = await Promise.all(Array.from({ length: 10 }, () => send("PUT", "/v1/segments/a?size=10")));
  assertEquals(all.map(({ status }) => status).sort(), [...Array(9).fill(200), 201]);
  assertEquals(store.creations, 1);
});

Deno.test("createSegmentHandler refuses foreign hosts and sites before anything else", async () => {
  const { handler, send } = setUp();
  const misdirected = await assertRefused(
    await send("GET", "/v1/nothing", { headers: { host: "evil.example" } }),
    421,
    "EADDRNOTAVAIL",
  );
  assert(misdirected.allowed.includes(HOST));
  await assertRefused(await handler(new Request(`http://${HOST}/v1/status`)), 421, "EADDRNOTAVAIL");
  const headers = { origin: "http://evil.example" };
  await assertRefused(await send("PUT", "/v1/segments/a?size=1", { headers }), 403, "EACCES");
  await assertRefused(await send("GET", "/v1/status", { headers }), 403, "EACCES");
});

Deno.test("createSegmentHandler lets only the token write", async () => {
  const { store, send } = setUp();
  store.add("a", 4);
  const headers = { authorization: "Bearer wrong" };
  for (
    const [method, path] of [["PUT", "/a?size=4"], ["PUT", "/a/bytes"], ["DELETE", "/a"], [
      "PUT",
      "/%00",
    ]] as const
  ) {
    const response = await send(method, `/v1/segments${path}`, { headers });
    assertEquals(response.headers.get("www-authenticate"), 'Bearer realm="heirloom", error="invalid_token"');
    await assertRefused(response, 401, "EACCES");
  }
  assertEquals(store.list(), [{ name: "a", size: 4 }]);
  assertEquals((await send("GET", "/v1/segments/a", { headers })).status, 200);
});

Deno.test("createSegmentHandler without a token answers 403 to every write and still reads", async () => {
  const { store, send } = setUp({ token: null });
  store.add("a", 4);
  for (const [method, path] of [["PUT", "/b?size=4"], ["PUT", "/a/bytes"], ["DELETE", "/a"]] as const) {
    const error = await assertRefused(await send(method, `/v1/segments${path}`), 403, "EPERM");
    assert(error.message.includes("--http-token-file"));
  }
  assertEquals((await send("GET", "/v1/segments/a/bytes")).status, 200);
});

Deno.test("createSegmentHandler answers 404 for unknown paths and 405 with Allow for wrong methods", async () => {
  const { send } = setUp();
  const missing = await assertRefused(await send("GET", "/v1/nothing"), 404, "ENOENT");
  assert(missing.allowed.includes("/v1/segments/NAME/bytes"));
  for (
    const [method, path, allow] of [
      ["POST", "/v1/status", "GET, HEAD"],
      ["DELETE", "/v1/segments", "GET, HEAD"],
      ["PATCH", "/v1/segments/a", "GET, HEAD, PUT, DELETE"],
      ["OPTIONS", "/v1/segments/a/bytes", "GET, HEAD, PUT"],
    ] as const
  ) {
    const response = await send(method, path);
    assertEquals(response.headers.get("allow"), allow);
    await assertRefused(response, 405, "EOPNOTSUPP");
  }
});

Deno.test("createSegmentHandler refuses bad names, numbers and parameters", async () => {
  const { store, send } = setUp({ quotas: { ...DEFAULT_QUOTAS, maxSegmentBytes: 100 } });
  store.add("a", 10);
  for (
    const [method, path, status, code] of [
      ["GET", "/v1/segments/", 400, "EINVAL"],
      ["GET", "/v1/segments/%61", 400, "EINVAL"],
      ["PUT", "/v1/segments/a%2Fb?size=1", 400, "EINVAL"],
      ["PUT", "/v1/segments/-x?size=1", 400, "EINVAL"],
      ["DELETE", `/v1/segments/${"x".repeat(64)}`, 400, "EINVAL"],
      ["PUT", "/v1/segments/b", 400, "EINVAL"],
      ["PUT", "/v1/segments/b?size=", 400, "EINVAL"],
      ["PUT", "/v1/segments/b?size=0", 400, "EINVAL"],
      ["PUT", "/v1/segments/b?size=+1", 400, "EINVAL"],
      ["PUT", "/v1/segments/b?size=101", 413, "EFBIG"],
      ["PUT", "/v1/segments/b?size=1&sise=2", 400, "EINVAL"],
      ["GET", "/v1/segments?x", 400, "EINVAL"],
      ["GET", "/v1/status?x=1", 400, "EINVAL"],
      ["GET", "/v1/segments/a?size=10", 400, "EINVAL"],
      ["DELETE", "/v1/segments/a?force=1", 400, "EINVAL"],
      ["GET", "/v1/segments/a/bytes?offset=11", 416, "ERANGE"],
      ["GET", "/v1/segments/a/bytes?offset=5&length=6", 416, "ERANGE"],
      ["GET", "/v1/segments/a/bytes?offset=-1", 400, "EINVAL"],
      ["PUT", "/v1/segments/a/bytes?offset=11", 416, "ERANGE"],
      ["PUT", "/v1/segments/a/bytes?length=11", 416, "ERANGE"],
    ] as const
  ) {
    await assertRefused(await send(method, path), status, code);
  }
  assertEquals(store.list(), [{ name: "a", size: 10 }]);
  const range = await send("GET", "/v1/segments/a/bytes?offset=11");
  assertEquals(range.headers.get("content-range"), "bytes */10");
  await range.body?.cancel();
});

Deno.test("createSegmentHandler refuses a body where none belongs", async () => {
  const { store, send } = setUp();
  const error = await assertRefused(
    await send("PUT", "/v1/segments/b?size=4", { body: "data" }),
    400,
    "EINVAL",
  );
  assert(error.message.includes("/bytes"));
  store.add("a", 4);
  await assertRefused(await send("DELETE", "/v1/segments/a", { body: "data" }), 400, "EINVAL");
  assertEquals(store.list(), [{ name: "a", size: 4 }]);
});

Deno.test("createSegmentHandler keeps the quotas", async () => {
  const { send } = setUp({
    quotas: { ...DEFAULT_QUOTAS, maxSegments: 2, maxTotalBytes: 100, maxBodyBytes: 3 },
  });
  assertEquals((await send("PUT", "/v1/segments/a?size=60")).status, 201);
  const error = await assertRefused(await send("PUT", "/v1/segments/b?size=41"), 507, "EDQUOT");
  assert(error.message.includes("40 bytes"));
  assertEquals((await send("PUT", "/v1/segments/b?size=40")).status, 201);
  await assertRefused(await send("PUT", "/v1/segments/c?size=1"), 507, "EDQUOT");
  const long = await assertRefused(await send("PUT", "/v1/segments/a/bytes", { body: "1234" }), 413, "EFBIG");
  assertEquals(long.written, 3);
});

Deno.test("createSegmentHandler turns failures of store and status into answers", async () => {
  const { store, send } = setUp({ status: () => Promise.reject(errnoError("ENOENT")) });
  store.fault = errnoError("ENOMEM");
  await assertRefused(await send("PUT", "/v1/segments/a?size=1"), 507, "ENOMEM");
  store.fault = errnoError("EBUSY");
  const busy = await send("DELETE", "/v1/segments/a");
  assertEquals(busy.headers.get("retry-after"), "1");
  await assertRefused(busy, 503, "EBUSY");
  await assertRefused(await send("GET", "/v1/status"), 500, "ENOENT");
});

Deno.test("createSegmentHandler refuses unusable options when it is made", () => {
  assertThrows(() => createSegmentHandler(new FakeStore(), options({ token: "" })), RangeError, "token");
  const quotas = { ...DEFAULT_QUOTAS, maxSegments: 0 };
  assertThrows(() => createSegmentHandler(new FakeStore(), options({ quotas })), RangeError, "maxSegments");
});
