import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Agent, request as httpRequest } from "node:http";

import { getLimit, getUid, setLimit } from "../sys/mod.ts";
import { waitFor } from "../testing/wait.ts";
import { FDS, sampleRecord, sampleReport, SEGMENT, startBench, STATUS } from "./helpers_test.ts";

Deno.test("The control server answers each route with the target's document", async () => {
  await using bench = await startBench();
  assertEquals(await bench.json("GET", "/v1/status"), [200, STATUS]);
  assertEquals(await bench.json("GET", "/v1/sessions"), [200, {
    sessions: [{ name: "web", direction: "outgoing", files: [] }],
  }]);
  assertEquals(await bench.json("GET", "/v1/history"), [200, { updates: [sampleRecord()] }]);
  assertEquals(await bench.json("GET", "/v1/history/a1"), [200, sampleRecord()]);
  assertEquals(await bench.json("GET", "/v1/status?pretty=1&fds=0"), [200, STATUS]);
  assertEquals(await bench.json("GET", "/v1/status?fds=1"), [200, { ...STATUS, fds: FDS }]);
});

Deno.test("The control server says type and length of each document", async () => {
  await using bench = await startBench();
  const { headers, text } = await bench.ask("GET", "/v1/status");
  assertEquals(headers["content-type"], "application/json");
  assertEquals(headers["content-length"], String(new TextEncoder().encode(text).byteLength));
  assert(text.endsWith("}\n"));
  const head = await bench.ask("HEAD", "/v1/status");
  assertEquals([head.status, head.text], [200, ""]);
  assertEquals(head.headers["content-length"], headers["content-length"]);
});

Deno.test("The control server gives the segment as bytes", async () => {
  await using bench = await startBench();
  using client = Deno.createHttpClient({ proxy: { transport: "unix", path: bench.socket } });
  const answer = await fetch("http://control/v1/segment", { client });
  assertEquals(answer.status, 200);
  assertEquals(new Uint8Array(await answer.arrayBuffer()), SEGMENT);
  const head = await bench.ask("HEAD", "/v1/segment");
  assertEquals([head.status, head.text, head.headers["content-length"]], [200, "", "4"]);
  bench.target.broken = Object.assign(new Error("an update is freezing"), { code: "EBUSY" });
  assertEquals((await bench.json("GET", "/v1/segment"))[0], 409);
});

Deno.test("The control server starts an update and answers 202 with its id", async () => {
  await using bench = await startBench();
  const body = '{"build":"/next.ts","timeout_ms":500,"guardian":false}';
  assertEquals(await bench.json("POST", "/v1/upgrade", body), [202, { id: "b2" }]);
  assertEquals(await bench.json("POST", "/v1/upgrade"), [202, { id: "b2" }]);
  assertEquals(bench.target.requests, [{ build: "/next.ts", timeoutMs: 500, guardian: false }, {}]);
});

Deno.test("The control server hands a rollback and a later commit on", async () => {
  await using bench = await startBench();
  const body = '{"rollback":true,"commit_after_ms":250}';
  assertEquals(await bench.json("POST", "/v1/upgrade", body), [202, { id: "b2" }]);
  assertEquals(bench.target.requests, [{ rollback: true, commitAfterMs: 250 }]);
  const [status] = await bench.json("POST", "/v1/upgrade", '{"rollback":true,"build":"/next.ts"}');
  assertEquals([status, bench.target.requests.length], [400, 1]);
});

Deno.test("The control server checks a build and answers 200 with the report, whatever it says", async () => {
  await using bench = await startBench();
  const body = '{"build":"/next.ts","deno":"/deno","heirloom":"/h","timeout_ms":500}';
  assertEquals(await bench.json("POST", "/v1/check", body), [200, sampleReport()]);
  const bad = sampleReport({ ok: false, startup_ms: null, reason: "it hangs", stderr: "…\n", tokens: [] });
  bench.target.report = bad;
  assertEquals(await bench.json("POST", "/v1/check"), [200, bad]);
  assertEquals(bench.target.checks, [
    { build: "/next.ts", deno: "/deno", heirloom: "/h", timeoutMs: 500 },
    {},
  ]);
  assertEquals(bench.target.requests, []);
});

Deno.test("The control server answers a check that cannot be made with the reason, and goes on", async () => {
  await using bench = await startBench();
  for (const body of ["{", "[]", '{"guardian":true}', '{"build":1}']) {
    const [status, answer] = await bench.json("POST", "/v1/check", body);
    assertEquals([status, (answer as { error: { code: string } }).error.code], [400, "EINVAL"], body);
  }
  assertEquals(bench.target.checks, []);
  assertEquals((await bench.json("POST", "/v1/check", " ".repeat(64 * 1024 + 1)))[0], 413);
  for (const [code, status] of [["EBUSY", 409], ["EOPNOTSUPP", 409], ["EINVAL", 400]] as const) {
    bench.target.report = new UpdateRefused(code);
    const message = `Cannot update: ${code}`;
    assertEquals(await bench.json("POST", "/v1/check"), [status, { error: { code, message } }]);
  }
  bench.target.report = sampleReport();
  assertEquals((await bench.json("POST", "/v1/check"))[0], 200);
});

Deno.test("The control server answers a bad body with 400 and asks the target nothing", async () => {
  await using bench = await startBench();
  for (const body of ["{", "[]", '{"other":1}', '{"build":1}', "\xff"]) {
    const [status, answer] = await bench.json("POST", "/v1/upgrade", body);
    assertEquals([status, (answer as { error: { code: string } }).error.code], [400, "EINVAL"]);
  }
  assertEquals(bench.target.requests, []);
});

Deno.test("The control server answers a body that is too large with 413", async () => {
  await using bench = await startBench();
  for (const size of [64 * 1024 + 1, 8 * 1024 * 1024]) {
    const [status, answer] = await bench.json("POST", "/v1/upgrade", " ".repeat(size));
    assertEquals([status, (answer as { error: { code: string } }).error.code], [413, "EFBIG"]);
  }
  assertEquals(bench.target.requests, []);
  assertEquals((await bench.json("POST", "/v1/upgrade", " ".repeat(64 * 1024)))[0], 202);
});

Deno.test("The control server answers what the target refuses with the status of its code", async () => {
  await using bench = await startBench();
  const cases: [Error, number, string][] = [
    [new UpdateRefused("EBUSY"), 409, "EBUSY"],
    [new UpdateRefused("EOPNOTSUPP"), 409, "EOPNOTSUPP"],
    [new UpdateRefused("EINVAL"), 400, "EINVAL"],
    [new UpdateRefused("ENOENT"), 404, "ENOENT"],
    [new UpdateRefused("EMFILE"), 500, "EMFILE"],
    [new Error("no code"), 500, "EIO"],
  ];
  for (const [error, status, code] of cases) {
    bench.target.answer = error;
    const expected = [status, { error: { code, message: error.message } }];
    assertEquals(await bench.json("POST", "/v1/upgrade", "{}"), expected as unknown);
  }
  bench.target.broken = new Error("no status");
  assertEquals(await bench.json("GET", "/v1/status"), [500, {
    error: { code: "EIO", message: "no status" },
  }]);
  assertEquals((await bench.json("GET", "/v1/sessions"))[0], 200);
});

Deno.test("The control server answers an unknown path with 404", async () => {
  await using bench = await startBench();
  const paths = [
    "/",
    "/v1",
    "/v1/other",
    "/v1/status/",
    "/v2/status",
    "/v1/history/",
    "/v1/history/XY",
    "/v1/history/a1/b",
  ];
  for (const path of paths) {
    const [status, answer] = await bench.json("GET", path);
    assertEquals([status, (answer as { error: { code: string } }).error.code], [404, "ENOENT"], path);
  }
  const [status, answer] = await bench.json("GET", "/v1/history/ff");
  assertEquals(status, 404);
  assertEquals(
    (answer as { error: { message: string } }).error.message,
    "Cannot find update ff: it is not in the history",
  );
});

Deno.test("The control server answers a wrong method with 405 and Allow", async () => {
  await using bench = await startBench();
  const cases: [method: string, path: string, allow: string][] = [
    ["GET", "/v1/upgrade", "POST"],
    ["PUT", "/v1/upgrade", "POST"],
    ["GET", "/v1/check", "POST"],
    ["HEAD", "/v1/check?x=1", "POST"],
    ["POST", "/v1/status", "GET, HEAD"],
    ["DELETE", "/v1/history/a1", "GET, HEAD"],
    ["POST", "/v1/events", "GET, HEAD"],
  ];
  for (const [method, path, allow] of cases) {
    const { status, headers, text } = await bench.ask(method, path);
    assertEquals([status, headers.allow], [405, allow], `${method} ${path}`);
    if (method !== "HEAD") assertStringIncludes(text, `Cannot ${method} ${path}: allowed is ${allow}`);
  }
  assertEquals([bench.target.requests, bench.target.checks], [[], []]);
});

Deno.test("The control server answers a target that is no path with 400", async () => {
  await using bench = await startBench();
  for (const target of ["//[", "http://[/v1/status"]) {
    const answer = await bench.raw(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    assertEquals(answer.split("\r\n", 1)[0], "HTTP/1.1 400 Bad Request", target);
  }
});

Deno.test("The control server answers root and its own user only", async () => {
  const uid = getUid();
  await using bench = await startBench(uid + 1);
  const [status, answer] = await bench.json("GET", "/v1/status");
  if (uid === 0) return assertEquals([status, answer], [200, STATUS]);
  assertEquals(status, 403);
  assertEquals((answer as { error: { code: string } }).error.code, "EPERM");
});

Deno.test("The control server says so when no descriptor is left to find out who asks", async () => {
  await using bench = await startBench();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const status = (): Promise<[number | undefined, string]> =>
    new Promise((resolve, reject) => {
      const options = { socketPath: bench.socket, path: "/v1/status", agent };
      const request = httpRequest(options, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => text += chunk);
        response.on("end", () => resolve([response.statusCode, text]));
      });
      request.once("error", reject).end();
    });
  const limit = getLimit("nofile");
  try {
    assertEquals((await status())[0], 200);
    // The connection is there; only a further descriptor is not to be had.
    setLimit("nofile", { soft: 0n, hard: limit.hard });
    const [code, text] = await status();
    setLimit("nofile", limit);
    assertEquals([code, JSON.parse(text).error.code], [503, "EMFILE"]);
    assertEquals((await status())[0], 200);
  } finally {
    setLimit("nofile", limit);
    agent.destroy();
  }
});

Deno.test("The control server sends an event for each phase until the client leaves", async () => {
  await using bench = await startBench();
  const { target, socket } = bench;
  let text = "";
  const request = httpRequest({ socketPath: socket, path: "/v1/events", agent: false }, (response) => {
    assertEquals(response.headers["content-type"], "text/event-stream");
    assertEquals(response.headers["cache-control"], "no-store");
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => text += chunk);
    response.on("error", () => {});
  });
  request.on("error", () => {});
  request.end();
  await waitFor(() => target.watchers.size === 1, { what: "the client to watch" });
  const records = [sampleRecord({ outcome: null, reason: "line\nbreak" }), sampleRecord()];
  for (const record of records) target.watchers.forEach((tell) => tell(record));
  await waitFor(() => text.split("\n\n").length === 4, { what: "two events" });
  const events = text.split("\n\n").slice(1, 3).map((event) => event.split("\n"));
  assertEquals(text.startsWith(": "), true);
  assertEquals(events.map(([name]) => name), ["event: update", "event: update"]);
  assertEquals(events.map(([, data]) => JSON.parse(data?.slice("data: ".length) ?? "")), records);
  request.destroy();
  await waitFor(() => target.watchers.size === 0, { what: "the watch to end" });
});

Deno.test("The control server tells every client that watches", async () => {
  await using bench = await startBench();
  const texts = ["", ""];
  const requests = texts.map((_, index) => {
    const request = httpRequest(
      { socketPath: bench.socket, path: "/v1/events", agent: false },
      (response) => {
        response.on("data", (chunk: Uint8Array) => texts[index] += new TextDecoder().decode(chunk));
        response.on("error", () => {});
      },
    );
    request.on("error", () => {});
    request.end();
    return request;
  });
  await waitFor(() => bench.target.watchers.size === 2, { what: "both clients to watch" });
  bench.target.watchers.forEach((tell) => tell(sampleRecord()));
  await waitFor(() => texts.every((text) => text.includes('"id":"a1"')), { what: "both events" });
  for (const request of requests) request.destroy();
  await waitFor(() => bench.target.watchers.size === 0, { what: "both watches to end" });
});

Deno.test("The control server answers HEAD of the events and watches nothing for it", async () => {
  await using bench = await startBench();
  const answer = await bench.raw("HEAD /v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  assertEquals(answer.split("\r\n", 1)[0], "HTTP/1.1 200 OK");
  assertEquals(bench.target.watchers.size, 0);
});

Deno.test("The control server answers several requests on one connection", async () => {
  await using bench = await startBench();
  const one = "GET /v1/sessions HTTP/1.1\r\nHost: x\r\n\r\n";
  const last = "GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  const answer = await bench.raw(one + one + last);
  assertEquals(answer.split("HTTP/1.1 200 OK").length - 1, 3);
  assertStringIncludes(answer, '"state":"serving"');
});

/** An error as a target throws it. */
class UpdateRefused extends Error {
  readonly code: string;

  constructor(code: string) {
    super(`Cannot update: ${code}`);
    this.code = code;
  }
}
