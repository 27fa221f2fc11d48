import { assert, assertEquals, assertRejects } from "@std/assert";

import { listenAt } from "../live/address.ts";
import { tempDir } from "../testing/wait.ts";
import {
  BrokenConnectionError,
  ControlClient,
  ControlError,
  NoAnswerError,
  NoServiceError,
} from "./control_client.ts";
import { json, startFake } from "./helpers_test.ts";

const PATIENT = { timeoutMs: 30_000 };

Deno.test("ControlClient gets and posts documents, and gets bytes", async () => {
  const bytes = new Uint8Array(300_000).map((_, at) => at * 7);
  await using fake = await startFake(({ url }, response) =>
    url === "/bytes" ? void response.end(bytes) : json(response, url === "/new" ? 202 : 200, { text: "ü" })
  );
  const client = new ControlClient(fake.socket, PATIENT);
  assertEquals(await client.get("/v1/status"), { text: "ü" });
  assertEquals(await client.post("/new", { a: [1] }), { text: "ü" });
  assertEquals(await client.getBytes("/bytes"), bytes);
  assertEquals(fake.requests, ["GET /v1/status", 'POST /new {"a":[1]}', "GET /bytes"]);
});

Deno.test("ControlClient says NoServiceError where nobody serves", async (t) => {
  await using dir = tempDir();
  await Deno.writeTextFile(`${dir.path}/file`, "");
  listenAt({ family: "unix", path: `${dir.path}/stale` })[Symbol.dispose]();
  for (const name of ["gone", "file", "file/below", "stale", "."]) {
    await t.step(name, async () => {
      const client = new ControlClient(`${dir.path}/${name}`, PATIENT);
      const error = await assertRejects(() => client.get("/"), NoServiceError);
      assert(error.message.startsWith(`Cannot ask ${dir.path}/${name}: nobody serves it (E`), error.message);
    });
  }
});

Deno.test("ControlClient says NoAnswerError after its time, and ends the connection", async () => {
  const closed = Promise.withResolvers<void>();
  await using fake = await startFake((request) => void request.socket.on("close", () => closed.resolve()));
  const begun = performance.now();
  await assertRejects(
    () => new ControlClient(fake.socket, { timeoutMs: 200 }).get("/"),
    NoAnswerError,
    `Cannot ask ${fake.socket}: no answer after 0.2 s`,
  );
  assert(performance.now() - begun >= 199);
  await closed.promise;
});

Deno.test("ControlClient says NoAnswerError of an answer that does not end", async () => {
  await using fake = await startFake((_request, response) => void response.write('{"half'));
  await assertRejects(() => new ControlClient(fake.socket, { timeoutMs: 200 }).get("/"), NoAnswerError);
});

Deno.test("ControlClient says BrokenConnectionError of a connection that breaks", async (t) => {
  const isBroken = async (promise: Promise<unknown>): Promise<void> => {
    await assertRejects(() => promise, BrokenConnectionError, "the connection broke before the answer");
  };
  await t.step("before the answer", async () => {
    await using fake = await startFake((request) => void request.socket.destroy());
    await isBroken(new ControlClient(fake.socket, PATIENT).get("/"));
  });
  await t.step("in the middle of it", async () => {
    await using fake = await startFake((request, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write('{"half', () => void request.socket.destroy());
    });
    await isBroken(new ControlClient(fake.socket, PATIENT).get("/"));
  });
  await t.step("in the middle of chunks", async () => {
    await using fake = await startFake((request, response) => {
      response.write('{"half": 1}', () => void request.socket.destroy());
    });
    await isBroken(new ControlClient(fake.socket, PATIENT).get("/"));
  });
  await t.step("before the answer to what was posted", async () => {
    await using fake = await startFake((request) => void request.socket.destroy());
    await isBroken(new ControlClient(fake.socket, PATIENT).post("/", {}));
  });
  await t.step("an answer that is no JSON", async () => {
    await using fake = await startFake((_request, response) => void response.end("hello"));
    await assertRejects(() => new ControlClient(fake.socket, PATIENT).get("/"), SyntaxError);
  });
});

Deno.test("ControlClient gives the service's own words as a ControlError", async () => {
  await using fake = await startFake(({ url }, response) => {
    if (url === "/busy") {
      json(response, 409, { error: { code: "EBUSY", message: "Cannot update: update a1 is under way" } });
    } else if (url === "/text") response.writeHead(500).end("oops");
    else json(response, 404, {});
  });
  const client = new ControlClient(fake.socket, PATIENT);
  const busy = await assertRejects(() => client.post("/busy", {}), ControlError);
  assertEquals([busy.status, busy.code, busy.message], [
    409,
    "EBUSY",
    "Cannot update: update a1 is under way",
  ]);
  for (const [path, status] of [["/text", 500], ["/other", 404]] as const) {
    const error = await assertRejects(() => client.get(path), ControlError);
    assertEquals([error.status, error.code], [status, "EIO"]);
    assertEquals(error.message, `The service answered ${status} without a reason`);
  }
});
