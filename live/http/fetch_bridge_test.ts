import { assert, assertEquals, assertStringIncludes } from "@std/assert";

import type { FetchHandler, ServeInfo } from "./fetch_bridge.ts";
import { Bridge, fed, logged, post } from "./bridge_kit_test.ts";
import { get, pause, until, Wire } from "./wire_test.ts";

/** Every kind of answer, to be compared with what `Deno.serve` makes of it. */
const ANSWERS: Record<string, FetchHandler> = {
  text: () => new Response("hello"),
  unicode: () => new Response("grüß \u{1f600} \ud800 dich"),
  empty: () => new Response(""),
  none: () => new Response(null),
  bytes: () => new Response(new Uint8Array([0, 1, 255])),
  json: () => Response.json({ a: [1, 2] }),
  params: () => new Response(new URLSearchParams({ a: "b c" })),
  blob: () => new Response(new Blob(["blob"], { type: "text/x" })),
  redirect: () => Response.redirect("http://localhost/elsewhere", 307),
  noContent: () => new Response(null, { status: 204 }),
  notModified: () => new Response(null, { status: 304, headers: { etag: '"a"' } }),
  reset: () => new Response(null, { status: 205 }),
  odd: () => new Response("odd", { status: 299, statusText: "Odd" }),
  cookies: () => {
    const headers = new Headers([["set-cookie", "a=1"], ["set-cookie", "b=2; Path=/"], ["x-a", "1"], [
      "X-A",
      "2",
    ]]);
    return new Response("cookies", { headers });
  },
  stream: () => new Response(ReadableStream.from([new Uint8Array([65]), new Uint8Array([66])])),
  rewrapped: () => new Response(new Response("again").body, { headers: { "x-b": "c" } }),
  request: async (request) =>
    Response.json({
      url: new URL(request.url).pathname + new URL(request.url).search,
      method: request.method,
      header: request.headers.get("x-twice"),
      body: request.body === null ? null : await request.text(),
      used: request.bodyUsed,
    }),
  clone: async (request) => new Response(await request.clone().text() + await request.text()),
  echo: (request) => new Response(request.body),
};

/** All of a response, except how it is framed: there we say a length where Deno.serve says none. */
async function describe(method: string, response: Response): Promise<unknown> {
  const body = [...new Uint8Array(await response.arrayBuffer())];
  const length = response.headers.get("content-length");
  if (method !== "HEAD" && length !== null) assertEquals(length, `${body.length}`);
  const framing = ["content-length", "transfer-encoding", "connection", "keep-alive", "date", "vary"];
  const headers = [...response.headers].filter(([name]) => !framing.includes(name));
  return { status: response.status, statusText: response.statusText, headers, body };
}

Deno.test("requestListener answers as Deno.serve does", async () => {
  const route: FetchHandler = (request, info) =>
    ANSWERS[new URL(request.url).pathname.slice(1)]!(request, info);
  await using bridge = await Bridge.start(route);
  await using native = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => route(request, { remoteAddress: { transport: "tcp", hostname: "", port: 0 } }),
  );
  for (const name of Object.keys(ANSWERS)) {
    for (const method of ["GET", "HEAD", "POST", "PUT"]) {
      const ask = async (port: number): Promise<unknown> => {
        const init: RequestInit = {
          method,
          redirect: "manual",
          headers: [["x-twice", "1"], ["x-twice", "2"]],
        };
        if (method === "POST") init.body = "a body";
        return await describe(method, await fetch(`http://127.0.0.1:${port}/${name}?q=%20ü`, init));
      };
      const [ours, theirs] = [await ask(bridge.port), await ask(native.addr.port)];
      assertEquals([name, method, ours], [name, method, theirs]);
    }
  }
});

Deno.test("requestListener gives URL, method, headers, client and body", async () => {
  const seen: unknown[] = [];
  await using bridge = await Bridge.start(async (request, info) => {
    seen.push(request.url, request.method, [...request.headers], info, await request.text());
    return new Response("ok");
  });
  using wire = await bridge.wire();
  await wire.send(post("/a//b?c=d%20e", "body", "X-A: 1", "x-a: 2", "Cookie: a=b"));
  await wire.receive("\r\n\r\nok");
  const info = seen[3] as ServeInfo;
  if (info.remoteAddress.transport !== "tcp") throw new Error("Expected a TCP client");
  assertEquals([info.remoteAddress.hostname, info.remoteAddress.port > 0], ["127.0.0.1", true]);
  assertEquals(seen.slice(0, 3), ["http://localhost/a//b?c=d%20e", "POST", [
    ["content-length", "4"],
    ["cookie", "a=b"],
    ["host", "localhost"],
    ["x-a", "1, 2"],
  ]]);
  assertEquals(seen[4], "body");
});

Deno.test("requestListener makes the URL of what the client says of it", async () => {
  await using bridge = await Bridge.start((request) => new Response(`${request.url}\n`));
  const cases: [string, string][] = [
    ["GET /a HTTP/1.1\r\nHost: example.com:81\r\n\r\n", "http://example.com:81/a"],
    ["GET /a HTTP/1.1\r\nHost: [::1]:81\r\n\r\n", "http://[::1]:81/a"],
    ["GET http://other/a?b HTTP/1.1\r\nHost: example.com\r\n\r\n", "http://other/a?b"],
    ["OPTIONS * HTTP/1.1\r\nHost: example.com\r\n\r\n", "http://example.com/*"],
    ["GET //twice HTTP/1.1\r\nHost: example.com\r\n\r\n", "http://example.com//twice"],
    ["GET /old HTTP/1.0\r\n\r\n", `http://127.0.0.1:${bridge.port}/old`],
    ["GET /none HTTP/1.1\r\nHost:\r\n\r\n", `http://127.0.0.1:${bridge.port}/none`],
  ];
  for (const [request, url] of cases) {
    using wire = await bridge.wire();
    await wire.send(request);
    await wire.receive(`\r\n\r\n${url}\n`);
  }
});

Deno.test("requestListener refuses what is no request", async () => {
  let asked = 0;
  await using bridge = await Bridge.start(() => new Response(`${++asked}`));
  const cases: [string, number][] = [
    ["GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n", 400],
    ["GET /a HTTP/1.1\r\nHost: user@a\r\n\r\n", 400],
    ["GET /a HTTP/1.1\r\nHost: a?b\r\n\r\n", 400],
    ["GET /a HTTP/1.1\r\nHost: a b\r\n\r\n", 400],
    ["GET /a HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400],
    ["GET /a HTTP/1.1\r\nHost: [::1\r\n\r\n", 400],
    ["GET /a HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", 400],
    ["GET http://user:secret@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    ["HEAD /a HTTP/1.1\r\nHost: a/b\r\n\r\n", 400],
    ["TRACE /a HTTP/1.1\r\nHost: a\r\n\r\n", 501],
  ];
  for (const [request, status] of cases) {
    using wire = await bridge.wire();
    await wire.send(request);
    assertStringIncludes(await wire.receive("\r\n\r\n"), `HTTP/1.1 ${status} `);
    await until(() => wire.ended, "the end");
    assertEquals(
      wire.text,
      request.startsWith("HEAD") ? "" : status === 400 ? "Bad Request" : "Not Implemented",
    );
  }
  assertEquals(asked, 0);
});

Deno.test("requestListener sends what is there at once in one piece with its length", async () => {
  const once: Record<string, () => Response> = {
    "/string": () => new Response("12345"),
    "/bytes": () => new Response(new TextEncoder().encode("12345")),
    "/stream": () => {
      const { stream, give, end } = fed();
      give("12345");
      end();
      return new Response(stream);
    },
    "/form": () => new Response(new Blob(["12345"])),
    "/lie": () =>
      new Response("12345", { headers: { "content-length": "3", "transfer-encoding": "chunked" } }),
  };
  await using bridge = await Bridge.start((request) => once[new URL(request.url).pathname]!());
  using wire = await bridge.wire();
  for (const path of Object.keys(once)) {
    await wire.send(get(path));
    const head = (await wire.receive("\r\n\r\n12345")).toLowerCase();
    assertStringIncludes(head, "content-length: 5\r\n");
    assert(!head.includes("transfer-encoding"));
  }
});

Deno.test("requestListener sends the head, and each chunk, as soon as it is there", async () => {
  const body = fed();
  await using bridge = await Bridge.start(() => new Response(body.stream));
  using wire = await bridge.wire();
  await wire.send(get("/"));
  const head = await wire.receive("\r\n\r\n");
  assertStringIncludes(head.toLowerCase(), "transfer-encoding: chunked");
  assertEquals(wire.text, "");
  body.give("one");
  await wire.receive("3\r\none\r\n");
  body.give("three");
  await wire.receive("5\r\nthree\r\n");
  body.end();
  await wire.receive("0\r\n\r\n");
  assertEquals(wire.ended, false);
});

Deno.test("requestListener sends a first chunk without waiting for the second", async () => {
  const body = fed();
  body.give("one");
  await using bridge = await Bridge.start(() => new Response(body.stream));
  using wire = await bridge.wire();
  await wire.send(get("/"));
  await wire.receive("3\r\none\r\n");
  body.end();
  await wire.receive("0\r\n\r\n");
});

Deno.test("requestListener keeps a stream's own content-length", async () => {
  await using bridge = await Bridge.start((request) => {
    const body = fed();
    const { pathname } = new URL(request.url);
    body.give("ab");
    setTimeout(() => {
      body.give(pathname === "/long" ? "cdef" : "cd");
      body.end();
    }, 5);
    return new Response(body.stream, { headers: { "content-length": pathname === "/short" ? "6" : "4" } });
  });
  using wire = await bridge.wire();
  await wire.send(get("/right"));
  assertStringIncludes(await wire.receive("\r\n\r\nabcd"), "content-length: 4\r\n");
  const lines = await logged(async () => {
    for (const path of ["/short", "/long"]) {
      using lied = await bridge.wire();
      await lied.send(get(path));
      // Better no answer than one that a client takes for whole, or for the begin of the next.
      await until(() => lied.ended, "the end");
      assertEquals(lied.text.split("\r\n\r\n")[1]?.startsWith("ab"), true);
    }
  });
  assertEquals(lines.map(String), [
    "TypeError: Cannot send a body: it has 4 bytes, content-length says 6",
    "TypeError: Cannot send a body: it has 6 or more bytes, content-length says 4",
  ]);
});

Deno.test("requestListener answers HEAD without a body, and cancels the stream", async () => {
  const body = fed();
  await using bridge = await Bridge.start((request) =>
    new URL(request.url).pathname === "/stream" ? new Response(body.stream) : new Response("12345")
  );
  using wire = await bridge.wire();
  await wire.send("HEAD /text HTTP/1.1\r\nHost: a\r\n\r\n");
  assertStringIncludes(await wire.receive("\r\n\r\n"), "content-length: 5\r\n");
  await wire.send("HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  await wire.receive("\r\n\r\n");
  await until(() => body.cancelled(), "the cancel");
  assertEquals(wire.text, "");
});

Deno.test("requestListener asks a stream for no more than a slow client takes", async () => {
  let given = 0;
  const chunk = new Uint8Array(65_536);
  const total = 400;
  await using bridge = await Bridge.start(() =>
    new Response(
      new ReadableStream({
        pull(controller) {
          if (given++ < total) controller.enqueue(chunk);
          else controller.close();
        },
      }),
    )
  );
  using wire = await Wire.deafTo(bridge.port);
  await wire.send(get("/"));
  await until(() => given > 2, "the begin");
  let before = -1;
  while (before !== given) {
    before = given;
    await pause(100);
  }
  assert(given < total / 2, `${given} chunks of 64 KiB for a client that reads nothing`);
  wire.listen();
  await until(() => wire.text.endsWith("\r\n0\r\n\r\n"), "the end of the body");
  assertEquals(given, total + 1);
});

Deno.test("requestListener tells a handler that its client has left", async () => {
  const body = fed();
  const aborted: string[] = [];
  await using bridge = await Bridge.start((request) => {
    const { pathname } = new URL(request.url);
    // The signal of a request that is made of this one follows, too.
    const { signal } = pathname === "/copy" ? new Request(request) : request;
    signal.addEventListener("abort", () => aborted.push(`${pathname} ${signal.reason.name}`));
    return pathname === "/stream" ? new Response(body.stream) : new Promise(() => {});
  });
  for (const path of ["/wait", "/copy", "/stream"]) {
    using wire = await bridge.wire();
    await wire.send(get(path));
    if (path === "/stream") await wire.receive("\r\n\r\n");
    else await pause(30);
  }
  await until(() => aborted.length === 3 && body.cancelled(), "the abort");
  assertEquals(aborted.sort(), ["/copy AbortError", "/stream AbortError", "/wait AbortError"]);
});

Deno.test("requestListener aborts no signal of a request that was answered", async () => {
  const signals: AbortSignal[] = [];
  await using bridge = await Bridge.start((request) => {
    signals.push(request.signal);
    return new Response("ok");
  });
  {
    using wire = await bridge.wire();
    await wire.send(get("/"));
    await wire.receive("ok");
  }
  await pause(30);
  assertEquals(signals.map((signal) => signal.aborted), [false]);
});

Deno.test("requestListener logs nothing of a client that has left", async () => {
  const lines = await logged(async () => {
    let done = 0;
    await using bridge = await Bridge.start(async (request) => {
      try {
        await new Promise((_, reject) => {
          request.signal.addEventListener("abort", () => reject(request.signal.reason));
        });
      } finally {
        done++;
      }
      return new Response("late");
    });
    using wire = await bridge.wire();
    await wire.send(get("/"));
    await pause(20);
    wire[Symbol.dispose]();
    await until(() => done === 1, "the abort");
    await pause(20);
  });
  assertEquals(lines, []);
});

Deno.test("requestListener answers 500 for a handler that fails, and goes on", async () => {
  const failing: Record<string, FetchHandler> = {
    "/throws": () => {
      throw new Error("thrown");
    },
    "/rejects": () => Promise.reject(new Error("rejected")),
    "/nothing": (() => undefined) as unknown as FetchHandler,
    "/error": () => Response.error(),
    "/used": async () => {
      const response = new Response("used");
      await response.text();
      return response;
    },
    "/locked": () => {
      const response = new Response(fed().stream);
      response.body?.getReader();
      return response;
    },
    "/stream": () => {
      const body = fed();
      setTimeout(() => body.fail(new Error("too late")), 5);
      body.fail(new Error("at once"));
      return new Response(body.stream);
    },
    "/text": () => new Response(ReadableStream.from(["no bytes"]) as unknown as ReadableStream<Uint8Array>),
  };
  const lines = await logged(async () => {
    await using bridge = await Bridge.start((request, info) =>
      failing[new URL(request.url).pathname]!(request, info)
    );
    using wire = await bridge.wire();
    for (const path of Object.keys(failing)) {
      await wire.send(get(path));
      assertStringIncludes(await wire.receive("\r\n\r\nInternal Server Error"), "HTTP/1.1 500 ");
    }
  });
  assertEquals(
    lines.map((line) => String(line).split("\n")[0]).map((line) => line?.slice(0, 62)),
    [
      "Error: thrown",
      "Error: rejected",
      "TypeError: Cannot answer a request: the handler gave undefined,",
      "TypeError: Cannot answer a request: status 0 is not a final one",
      "TypeError: Cannot answer a request: the body of the response is",
      "TypeError: ReadableStream is locked",
      "Error: at once",
      "TypeError: Cannot send a body: it gave string, not a Uint8Array",
    ].map((line) => line.slice(0, 62)),
  );
});

Deno.test("requestListener asks onError for the answer", async () => {
  const errors: unknown[] = [];
  const lines = await logged(async () => {
    await using bridge = await Bridge.start((request) => {
      throw new Error(new URL(request.url).pathname);
    }, {
      onError: async (error) => {
        errors.push(error);
        await pause(1);
        if (String(error).includes("/again")) throw new Error("onError failed");
        return new Response("sorry", { status: 503 });
      },
    });
    using wire = await bridge.wire();
    await wire.send(get("/once"));
    assertStringIncludes(await wire.receive("\r\n\r\nsorry"), "HTTP/1.1 503 ");
    await wire.send(get("/again"));
    assertStringIncludes(await wire.receive("\r\n\r\nInternal Server Error"), "HTTP/1.1 500 ");
  });
  assertEquals([errors.map(String), lines.map(String)], [["Error: /once", "Error: /again"], [
    "Error: onError failed",
  ]]);
});

Deno.test("requestListener cuts the connection when a body fails that has begun", async () => {
  const lines = await logged(async () => {
    const body = fed();
    await using bridge = await Bridge.start(() => new Response(body.stream));
    using wire = await bridge.wire();
    await wire.send(get("/"));
    await wire.receive("\r\n\r\n");
    body.give("half");
    await wire.receive("4\r\nhalf\r\n");
    body.fail(new Error("the disk is gone"));
    await until(() => wire.ended, "the end");
    assertEquals(wire.text, "");
  });
  assertEquals(lines.map(String), ["Error: the disk is gone"]);
});
