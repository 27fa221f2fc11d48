import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { writeApp } from "./build.ts";
import type { LoadOptions } from "./load_plan.ts";
import { startLoad } from "./load.ts";
import { delay, freePort, tempDir, waitFor } from "./wait.ts";

/** A server in a process of its own that behaves as its first argument says. */
const SERVER = `
const [mode, address] = Deno.args;
if (mode === "reset") {
  const { createServer } = await import("node:net");
  const server = createServer((socket) => socket.on("error", () => {}).once("data", () => socket.resetAndDestroy()));
  server.listen(Number(address), "127.0.0.1", () => console.log("ready"));
  await new Promise(() => {});
}
const listener = address.startsWith("/")
  ? Deno.listen({ transport: "unix", path: address })
  : Deno.listen({ hostname: "127.0.0.1", port: Number(address) });
console.log("ready");
const answer = (body, head = "200 OK") => "HTTP/1.1 " + head + "\\r\\ncontent-length: " + body.length + "\\r\\n\\r\\n" + body;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let answered = 0;
for await (const conn of listener) serve(conn).catch(() => {}).finally(() => { try { conn.close(); } catch {} });

async function serve(conn) {
  const send = (text) => conn.write(new TextEncoder().encode(text));
  // Two small writes in a row would otherwise wait for a delayed acknowledgement.
  conn.setNoDelay?.(true);
  let text = "";
  const buffer = new Uint8Array(4096);
  for (let count = 1;; count++) {
    while (!text.includes("\\r\\n\\r\\n")) {
      const size = await conn.read(buffer);
      if (size === null) return;
      text += new TextDecoder().decode(buffer.subarray(0, size));
    }
    text = text.slice(text.indexOf("\\r\\n\\r\\n") + 4);
    answered++;
    switch (mode) {
      case "good": await send(answer("good")); break;
      case "chunked":
        await send("HTTP/1.1 200 OK\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n2\\r\\ngo\\r\\n");
        await sleep(1);
        await send("2\\r\\nod\\r\\n0\\r\\n\\r\\n");
        break;
      case "busy": await send(answer("", "503 Service Unavailable")); break;
      case "wrong": await send(answer(answered % 10 === 0 ? "bad" : "good")); break;
      case "slow": await sleep(50); await send(answer("good")); break;
      case "stall":
        if (answered === 300) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400);
        await send(answer("good"));
        break;
      case "closing":
        await send(answer("good"));
        if (count === 5) { await sleep(3); return; }
        break;
      case "polite":
        if (count < 5) { await send(answer("good")); break; }
        await send("HTTP/1.1 200 OK\\r\\nconnection: close\\r\\ncontent-length: 4\\r\\n\\r\\ngood");
        return;
      case "half": await send("HTTP/1.1 200 OK\\r\\ncontent-length: 100\\r\\n\\r\\nhal"); return;
      case "garbage": await send("SSH-2.0-x\\r\\n"); await sleep(1000); break;
      case "talkative": await send(answer("good")); await sleep(2); await send(answer("more", "408 Timeout")); break;
      case "silent": break;
    }
  }
}
`;

interface Server extends AsyncDisposable {
  readonly target: LoadOptions["target"];
  kill(): Promise<void>;
}

async function serve(mode: string, port: number | string = freePort()): Promise<Server> {
  const dir = tempDir();
  const script = await writeApp(dir.path, { files: { "server.js": SERVER } });
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-config", script, mode, String(port)],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  assertEquals(new TextDecoder().decode((await reader.read()).value), "ready\n");
  const kill = async (): Promise<void> => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await child.status;
    await reader.cancel();
  };
  return {
    target: typeof port === "string" ? { unix: port } : { hostname: "127.0.0.1", port },
    kill,
    async [Symbol.asyncDispose](): Promise<void> {
      await kill();
      await dir[Symbol.asyncDispose]();
    },
  };
}

const good = (body: string): string | null => body === "good" ? null : `got ${JSON.stringify(body)}`;

/** A load of some hundred milliseconds on a server that behaves like this. */
async function loadOn(mode: string, options: Partial<LoadOptions> = {}, ms = 500) {
  await using server = await serve(mode);
  const load = startLoad({ target: server.target, check: good, ...options });
  await delay(ms);
  const report = await load.stop();
  assertEquals(report.sent + report.idleCloses, report.answered + report.failed, String(report));
  assertEquals(report.keepAlive.sent + report.fresh.sent, report.sent);
  return report;
}

for (const mode of ["good", "chunked"]) {
  Deno.test(`startLoad keeps its schedule and its connections with a ${mode} server`, async () => {
    const report = await loadOn(mode, {}, 600);
    assertEquals([report.failed, report.refused, report.keepAliveClosed], [0, 0, 0], String(report));
    const due = report.durationMs / 10 * 8;
    assert(Math.abs(report.keepAlive.sent - due) <= 8, `${report.keepAlive.sent} requests, ${due} due`);
    assert(
      Math.abs(report.fresh.sent - report.durationMs / 10) <= 1.5,
      `${report.fresh.sent} new connections`,
    );
    assertEquals(report.connects, 8 + report.fresh.sent);
    assertGreater(report.p50Ms, 0);
    assertLess(report.p50Ms, 300);
  });
}

Deno.test("startLoad asks over a unix socket", async () => {
  await using dir = tempDir();
  await using server = await serve("good", `${dir.path}/s`);
  const load = startLoad({ target: server.target, check: good });
  await waitFor(() => load.answered >= 100, { what: "100 answers" });
  const report = await load.stop();
  assertEquals(report.failed, 0, String(report));
});

Deno.test("startLoad counts waits from when requests were due", async () => {
  // The server freezes for 400 ms. A client that waits for its answer before it asks again would see 8 slow requests.
  const report = await loadOn("stall", { newPerSecond: 50 }, 1500);
  assertEquals(report.failed, 0, String(report));
  assertEquals(report.connects, 8 + report.fresh.sent);
  assertGreater(report.longestWaitMs, 380);
  assertGreater(report.longestGapMs, 380);
  // Of 320 requests that came due in the 400 ms, half had to wait for more than 200 ms: far more than 1 in 100 of all.
  assertGreater(report.p99Ms, 200);
  assertLess(report.p50Ms, report.p99Ms);
});

Deno.test("startLoad counts the waits of a client that cannot keep its schedule", async () => {
  const report = await loadOn("slow", { keepAlive: 1, newPerSecond: 0 }, 500);
  // 50 were due, each takes 50 ms: the last one waits for about 2 s, and stop() waits for it.
  assertEquals(report.failed, 0, String(report));
  assertGreater(report.sent, 40);
  assertGreater(report.maxMs, 1500);
});

Deno.test("startLoad gives up what is outstanding when stopping takes too long", async () => {
  const began = performance.now();
  const report = await loadOn("slow", { keepAlive: 1, newPerSecond: 0, stopTimeoutMs: 200 }, 500);
  assertLess(performance.now() - began, 5000);
  const reasons = new Set(report.failures.map((failure) => failure.reason));
  assertEquals(reasons, new Set(["timeout", "unsent"] as const));
  assertGreater(report.answered, 5);
  assertGreater(report.failed, 20);
});

Deno.test("startLoad does not wait for a server that never answers", async () => {
  const began = performance.now();
  const report = await loadOn("silent", { newPerSecond: 20, stopTimeoutMs: 300 }, 300);
  assertLess(performance.now() - began, 5000);
  assertEquals(report.answered, 0);
  assertEquals(report.failures[0]?.detail, "Unanswered when the load was over");
});

Deno.test("startLoad counts requests that are not answered in time", async () => {
  const report = await loadOn("silent", {
    keepAlive: 2,
    newPerSecond: 20,
    timeoutMs: 100,
    stopTimeoutMs: 1000,
  }, 400);
  assertEquals(report.answered, 0);
  assert(
    report.failures.every((failure) => failure.reason === "timeout" && failure.waitedMs > 90),
    String(report),
  );
  // It was the client that closed these connections.
  assertEquals(report.keepAliveClosed, 0);
});

Deno.test("startLoad bounds what is outstanding", async () => {
  const report = await loadOn("silent", { keepAlive: 0, maxOutstanding: 3, stopTimeoutMs: 100 }, 300);
  assertEquals(report.connects, 3);
  assert(report.failures.slice(0, -3).every((failure) => failure.reason === "saturated"), String(report));
});

Deno.test("startLoad counts refused connections", async () => {
  const load = startLoad({ target: { hostname: "127.0.0.1", port: freePort() }, keepAlive: 2 });
  await waitFor(() => load.failed >= 50, { what: "50 failures" });
  const report = await load.stop();
  assertEquals([report.answered, report.connects], [0, 0]);
  assertEquals(report.refused, report.sent);
  assert(report.failures.every((failure) => failure.reason === "refused"), String(report));
});

Deno.test("startLoad takes a unix socket that is gone for refused", async () => {
  await using dir = tempDir();
  const load = startLoad({ target: { unix: `${dir.path}/none` }, keepAlive: 1, newPerSecond: 10 });
  await waitFor(() => load.failed >= 10, { what: "10 failures" });
  const report = await load.stop();
  assertEquals([report.refused, report.answered], [report.sent, 0]);
});

Deno.test("startLoad counts resets", async () => {
  const report = await loadOn("reset", { keepAlive: 2, keepAlivePeriodMs: 50, newPerSecond: 40 });
  assertEquals(report.answered, 0);
  assert(report.failures.every((failure) => failure.reason === "reset"), String(report));
  assertEquals(report.keepAliveClosed, report.keepAlive.failed);
  assertGreater(report.keepAlive.failed, 5);
  assertGreater(report.fresh.failed, 10);
});

Deno.test("startLoad counts keep-alive connections that close between two requests", async () => {
  const report = await loadOn("closing", { keepAlive: 2, keepAlivePeriodMs: 20, newPerSecond: 20 });
  // After each fifth answer. No request fails of it unless the close and the next request cross.
  assertGreater(report.keepAliveClosed, 5);
  assertEquals(report.failed, report.keepAliveClosed);
  assertGreater(report.idleCloses, 0);
  assertEquals(report.fresh.failed, 0);
  assert(
    report.failures.some((each) => each.reason === "closed" && each.detail.includes("between two requests")),
  );
  assertGreater(report.connects, 2 + report.fresh.sent + 4);
});

Deno.test("startLoad counts closes that the server announces", async () => {
  const report = await loadOn("polite", { keepAlive: 2, keepAlivePeriodMs: 20, newPerSecond: 0 });
  assertGreater(report.keepAliveClosed, 5);
  assertEquals([report.failed, report.idleCloses], [report.keepAliveClosed, report.keepAliveClosed]);
  assertEquals(report.answered, report.sent);
});

Deno.test("startLoad counts answers that break off", async () => {
  const report = await loadOn("half", { keepAlive: 2, newPerSecond: 20 }, 300);
  assertEquals(report.answered, 0);
  assertEquals(report.failures[0]?.reason, "closed");
  assertEquals(report.failures[0]?.detail, "Closed by the server, in the middle of an answer");
});

Deno.test("startLoad counts what is not HTTP", async () => {
  const report = await loadOn("garbage", { keepAlive: 2, newPerSecond: 20 }, 300);
  assertEquals(report.answered, 0);
  assert(report.failures.every((failure) => failure.reason === "malformed"), String(report));
});

Deno.test("startLoad counts bytes that nobody asked for", async () => {
  const report = await loadOn("talkative", { keepAlive: 2, keepAlivePeriodMs: 50, newPerSecond: 0 }, 300);
  assert(report.failures.every((failure) => failure.reason === "unsolicited"), String(report));
  assertGreater(report.idleCloses, 2);
  assertEquals(report.answered, report.sent);
  assertEquals(report.keepAliveClosed, 0);
});

Deno.test("startLoad counts bad statuses", async () => {
  const report = await loadOn("busy", { newPerSecond: 20 }, 300);
  assertEquals(report.answered, 0);
  assertEquals([report.failures[0]?.reason, report.failures[0]?.detail], ["status", "Status 503, not 200"]);
  assertEquals(report.keepAliveClosed, 0);
});

Deno.test("startLoad counts wrong bodies and keeps their connections", async () => {
  const report = await loadOn("wrong", {}, 500);
  assert(Math.abs(report.failed - report.sent / 10) <= 1, String(report));
  assertEquals([report.failures[0]?.reason, report.failures[0]?.detail], ["body", 'got "bad"']);
  assertEquals(report.connects, 8 + report.fresh.sent);
});

Deno.test("startLoad finds a server that was away again, and shows when it was away", async () => {
  const port = freePort();
  const first = await serve("good", port);
  const load = startLoad({ target: first.target, check: good });
  await waitFor(() => load.answered >= 200, { what: "200 answers" });
  load.mark("kill");
  await first[Symbol.asyncDispose]();
  await waitFor(() => load.failed >= 50, { what: "50 failures" });
  await using _second = await serve("good", port);
  const before = load.answered;
  await waitFor(() => load.answered >= before + 400, { what: "400 more answers" });
  load.mark("quiet");
  await waitFor(() => load.answered >= before + 800, { what: "800 more answers" });
  const report = await load.stop();
  assertGreater(report.keepAliveClosed, 7);
  assertGreater(report.refused, 20);
  assertGreater(report.around("kill", 1000).failed, 30);
  assertEquals(report.around("quiet", 50).failed, 0);
  assertGreater(report.connects, 15 + report.fresh.answered);
});

Deno.test("startLoad leaves no descriptor behind", async () => {
  const open = (): number => [...Deno.readDirSync("/proc/self/fd")].length;
  await loadOn("good", {}, 100);
  const before = open();
  await loadOn("good", {}, 300);
  await loadOn("silent", { stopTimeoutMs: 100 }, 200);
  await waitFor(() => open() <= before, { what: "the descriptors to be closed" });
});

Deno.test("Load.stop gives the same report again, and disposing stops", async () => {
  await using server = await serve("good");
  const load = startLoad({ target: server.target });
  const stopping = load.stop();
  assert(stopping === load.stop());
  await load[Symbol.asyncDispose]();
  assert(await stopping === await load.stop());
});

Deno.test("Load.mark tells the time since the start", async () => {
  const load = startLoad({ target: { unix: "/nowhere" }, keepAlive: 0, newPerSecond: 0 });
  const first = load.mark("first");
  await delay(30);
  const second = load.mark("second");
  const report = await load.stop();
  assert(second - first >= 29);
  assertEquals(report.marks, [{ label: "first", atMs: first }, { label: "second", atMs: second }]);
  assertGreater(report.durationMs, second - 0.001);
  assertEquals([report.sent, report.failed], [0, 0]);
});
