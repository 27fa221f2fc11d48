import { assert, assertEquals } from "@std/assert";
import { createServer } from "node:http";

import { requestListener } from "./fetch_bridge.ts";
import { Bridge, fed, logged, post } from "./bridge_kit_test.ts";
import { get, pause, until, Wire } from "./wire_test.ts";

Deno.test("requestListener says 100 Continue to who waits for it", async () => {
  await using bridge = await Bridge.start(async (request) => new Response(await request.text()));
  using wire = await bridge.wire();
  await wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  await wire.receive("HTTP/1.1 100 Continue\r\n\r\n");
  await wire.send("body");
  await wire.receive("\r\n\r\nbody");
});

Deno.test("requestListener hands a body on as it comes", async () => {
  const parts: string[] = [];
  await using bridge = await Bridge.start(async (request) => {
    for await (const chunk of request.body ?? []) parts.push(new TextDecoder().decode(chunk));
    return new Response("done");
  });
  using wire = await bridge.wire();
  await wire.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (const part of ["one", "two", "three"]) {
    await wire.send(`${part.length.toString(16)}\r\n${part}\r\n`);
    await until(() => parts.at(-1) === part, part);
  }
  await wire.send("0\r\n\r\n");
  await wire.receive("\r\n\r\ndone");
});

Deno.test("requestListener gives a large body whole, to readers with a buffer of their own as well", async () => {
  const size = 3_000_000;
  await using bridge = await Bridge.start(async (request) => {
    if (new URL(request.url).pathname === "/text") return new Response(`${(await request.text()).length}\n`);
    const reader = request.body?.getReader({ mode: "byob" });
    let total = 0;
    let buffer = new ArrayBuffer(10_000);
    for (;;) {
      const result = await reader?.read(new Uint8Array(buffer));
      total += result?.value?.byteLength ?? 0;
      if (result?.done !== false) break;
      buffer = result.value.buffer;
    }
    return new Response(`${total}\n`);
  });
  for (const path of ["/text", "/byob"]) {
    using wire = await bridge.wire();
    await wire.send(post(path, "x".repeat(size)));
    await wire.receive(`\r\n\r\n${size}\n`);
  }
});

Deno.test("requestListener takes no more of a body than the handler reads", async () => {
  const gate = Promise.withResolvers<void>();
  await using bridge = await Bridge.start(async (request) => {
    const reader = request.body?.getReader();
    await reader?.read();
    await gate.promise;
    let rest = 0;
    for (;;) {
      const result = await reader?.read();
      if (result?.done !== false) return new Response(`${rest > 0}\n`);
      rest += result.value.byteLength;
    }
  });
  using wire = await bridge.wire();
  let sent = 0;
  const size = 30_000_000;
  const sending = (async () => {
    await wire.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`);
    for (; sent < size; sent += 100_000) await wire.send(new Uint8Array(100_000));
  })();
  await until(() => sent > 100_000, "the begin");
  let before = -1;
  while (before !== sent) {
    before = sent;
    await pause(100);
  }
  assert(sent < size / 2, `${sent} bytes for a handler that reads nothing`);
  gate.resolve();
  await sending;
  await wire.receive("\r\n\r\ntrue\n");
});

Deno.test("requestListener throws a body away that the handler does not read", async () => {
  const kept: Request[] = [];
  await using bridge = await Bridge.start(async (request) => {
    kept.push(request);
    const { pathname } = new URL(request.url);
    if (pathname === "/cancel") await request.body?.cancel();
    if (pathname === "/begin") {
      const reader = request.body?.getReader();
      await reader?.read();
      reader?.releaseLock();
    }
    return new Response(pathname);
  });
  using wire = await bridge.wire();
  for (const path of ["/ignore", "/cancel", "/begin"]) {
    for (const size of [10, 500_000]) {
      await wire.send(post(path, "x".repeat(size)));
      await wire.receive(`\r\n\r\n${path}`);
    }
  }
  await wire.send(get("/body").replace("Host", "Content-Length: 200000\r\nHost") + "x".repeat(200_000));
  await wire.receive("\r\n\r\n/body");
  await wire.send(get("/next"));
  await wire.receive("\r\n\r\n/next");
  const late = await kept[1]?.text().then(() => "read", (error) => error.message);
  assertEquals(late, "Cannot read the body: the request is over");
});

Deno.test("requestListener fails the body of a client that leaves in the middle", async () => {
  const outcomes: string[] = [];
  const lines = await logged(async () => {
    await using bridge = await Bridge.start(async (request) => {
      await request.text().catch((error) => outcomes.push(error.name));
      return new Response("late");
    });
    using wire = await bridge.wire();
    await wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
    await pause(20);
    wire[Symbol.dispose]();
    await until(() => outcomes.length === 1, "the failure");
  });
  assertEquals([outcomes, lines], [["Error"], []]);
});

Deno.test("requestListener answers pipelined requests in order", async () => {
  await using bridge = await Bridge.start(async (request) => {
    const { pathname } = new URL(request.url);
    await pause(pathname === "/1" ? 30 : 1);
    return new Response(`${pathname} ${await request.text()}\n`);
  });
  using wire = await bridge.wire();
  await wire.send(post("/1", "a") + get("/2") + post("/3", "c"));
  await wire.receive("\r\n\r\n/1 a\n");
  await wire.receive("\r\n\r\n/2 \n");
  await wire.receive("\r\n\r\n/3 c\n");
});

Deno.test("requestListener serves clients of HTTP/1.0", async () => {
  const body = fed();
  await using bridge = await Bridge.start((request) => {
    return new URL(request.url).pathname === "/stream" ? new Response(body.stream) : new Response("text");
  });
  using plain = await bridge.wire();
  await plain.send("GET /text HTTP/1.0\r\n\r\n");
  await until(() => plain.ended, "the end");
  assert(plain.text.endsWith("\r\n\r\ntext"));
  using stream = await bridge.wire();
  await stream.send("GET /stream HTTP/1.0\r\n\r\n");
  await stream.receive("\r\n\r\n");
  body.give("streamed");
  body.end();
  await until(() => stream.ended, "the end");
  assertEquals(stream.text, "streamed");
});

Deno.test("requestListener gives the path of a unix socket", async () => {
  const path = `${Deno.makeTempDirSync()}/s`;
  const server = createServer(
    requestListener((request, info) => Response.json([request.url, info.remoteAddress])),
  );
  await new Promise<void>((resolve) => server.listen(path, resolve));
  using wire = await Wire.toPath(path);
  await wire.send("GET /a HTTP/1.0\r\n\r\n");
  await until(() => wire.ended, "the end");
  const [url, address] = JSON.parse(wire.text.split("\r\n\r\n")[1] ?? "");
  assertEquals([url, address], ["http://localhost/a", { transport: "unix", path }]);
  await new Promise((resolve) => server.close(resolve));
  Deno.removeSync(path.slice(0, -2), { recursive: true });
});

Deno.test("requestListener gives an empty body where none was sent", async () => {
  await using bridge = await Bridge.start(async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/text") return new Response(`<${await request.text()}>`);
    const reader = request.body?.getReader();
    return new Response(`${(await reader?.read())?.done}\n`);
  });
  using wire = await bridge.wire();
  for (const end of ["", "Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n"]) {
    for (const [path, body] of [["/text", "<>"], ["/stream", "true\n"]]) {
      const rest = end.includes("chunked") ? "0\r\n\r\n" : "";
      await wire.send(`POST ${path} HTTP/1.1\r\nHost: a\r\n${end}\r\n${rest}`);
      await wire.receive(`\r\n\r\n${body}`);
    }
  }
});

Deno.test("requestListener gives a request that fetch takes as it is", async () => {
  await using upstream = await Bridge.start(async (request) => {
    return new Response(`${request.method} ${request.headers.get("x-a")} ${await request.text()}`);
  });
  await using proxy = await Bridge.start((request) => {
    const { pathname } = new URL(request.url);
    return fetch(pathname === "/copy" ? new Request(upstream.url, request) : request);
  });
  using wire = await proxy.wire();
  await wire.send(post("/copy", "through", "X-A: 1"));
  await wire.receive("POST 1 through");
  await wire.send(
    `POST ${upstream.url}/whole HTTP/1.1\r\nHost: a\r\nX-A: 2\r\nContent-Length: 5\r\n\r\nwhole`,
  );
  await wire.receive("POST 2 whole");
});

Deno.test("requestListener needs nothing of the inside of the runtime", async () => {
  // In a realm of its own, which shows none of the symbols under which the runtime keeps its requests and responses.
  const source = `
    Object.getOwnPropertySymbols = () => [];
    const { createServer, request: ask } = await import("node:http");
    const { requestListener } = await import(${
    JSON.stringify(new URL("fetch_bridge.ts", import.meta.url).href)
  });
    const aborted = Promise.withResolvers();
    const server = createServer(requestListener(async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/wait") {
        request.signal.addEventListener("abort", () => aborted.resolve(request.signal.reason.name));
        return new Promise(() => {});
      }
      return new Response(request.method + " " + request.headers.get("x-a") + " " + await request.text());
    }));
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = "http://127.0.0.1:" + server.address().port;
    const response = await fetch(url, { method: "POST", body: "body", headers: { "x-a": "1" } });
    const length = response.headers.get("content-length");
    const text = await response.text();
    const waiting = ask(url + "/wait").on("error", () => {}).end();
    setTimeout(() => waiting.destroy(), 50);
    self.postMessage([length, text, await aborted.promise]);
  `;
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const worker = new Worker(url, { type: "module" });
  const answer = await new Promise((resolve, reject) => {
    worker.onmessage = (event) => resolve(event.data);
    worker.onerror = (event) => reject(new Error(event.message));
  });
  worker.terminate();
  URL.revokeObjectURL(url);
  assertEquals(answer, ["11", "POST 1 body", "AbortError"]);
});
