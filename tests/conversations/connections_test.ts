import { assert, assertEquals, assertMatch } from "@std/assert";
import { freePort, startApp, waitFor } from "../../testing/mod.ts";
import {
  type AppParts,
  builds,
  Client,
  LIBRARY,
  once,
  rawConnection,
  readUntil,
  READY_IN_CHECK,
  SAYS_QUIESCING,
  startHeld,
  untilQuiescing,
} from "../update/_fixtures.ts";

const encoder = new TextEncoder();

/** A build whose answer to `/held` is given when the file of that name is there: the test decides when. */
function holding(label: string, gate: string, options = ""): AppParts {
  return {
    label,
    options,
    use: `let waiting = 0;\n${SAYS_QUIESCING}`,
    routes: `  if (path === "/held") {
    waiting++;
    console.log("held", waiting);
    for (;;) {
      try { Deno.statSync("${gate}"); break; } catch { await new Promise((resolve) => setTimeout(resolve, 10)); }
    }
    return new Response("${label} at last");
  }`,
  };
}

Deno.test("a connection that owes an answer is answered by the old build, then carried", async () => {
  await using all = builds();
  const gate = `${all.path}/gate`;
  const first = await all.write("first", holding("v1", gate, "{ quiesceTimeoutMs: 60_000 }"));
  const second = await all.write("second", { label: "v2" });
  await using held = await startHeld(first, freePort());
  using slow = await Client.open(held.port);
  const answer = slow.text("/held");
  await waitFor(() => held.app.output().stdout.includes("held 1"), { what: "the request to arrive" });

  const update = held.app.upgrade({ build: second });
  await untilQuiescing(held.app);
  // What comes in now waits, and is answered by the new build.
  using late = await Client.open(held.port);
  const lateAnswer = late.text("/");
  await Deno.writeTextFile(gate, "");
  assertEquals(await answer, "v1 at last");
  assertEquals((await update).outcome, "committed");
  assertEquals(await lateAnswer, "v2");
  assertEquals(await slow.text("/"), "v2", "the same connection, the new build");
  await held.holds("v2", 1);
});

Deno.test("an answer that takes longer than quiescing may refuses the update, and still arrives", async () => {
  await using all = builds();
  const gate = `${all.path}/gate`;
  const first = await all.write("first", holding("v1", gate, "{ quiesceTimeoutMs: 300 }"));
  const second = await all.write("second", { label: "v2" });
  await using held = await startHeld(first, freePort());
  using slow = await Client.open(held.port);
  const answer = slow.text("/held");
  await waitFor(() => held.app.output().stdout.includes("held 1"), { what: "the request to arrive" });
  for (let round = 0; round < 2; round++) {
    const record = await held.app.upgrade({ build: second });
    assertEquals(record.outcome, "refused");
    assertMatch(record.reason ?? "", /1 connection of server "web" still owes/);
    await held.holds("v1", 0);
  }
  await Deno.writeTextFile(gate, "");
  assertEquals(await answer, "v1 at last");
  assertEquals(await slow.text("/"), "v1", "the connection is still open");
  await held.commits(second, "v2");
  assertEquals(await slow.text("/"), "v2");
});

Deno.test("what an answer that never ends does is the application's choice: close", async () => {
  await using all = builds();
  const text = `import { open } from "${LIBRARY}";
const live = await open({ quiesceTimeoutMs: 300 });
const events = () => new Response(new ReadableStream({
  start(controller) { controller.enqueue(new TextEncoder().encode("data: " + live.generation + "\\n\\n")); },
}), { headers: { "content-type": "text/event-stream" } });
const handler = (request: Request) => request.url.endsWith("/events") ? events() : new Response(String(live.generation));
await live.serve("web", { hostname: "127.0.0.1", port: Number(Deno.args[0]) }, handler, { overdue: "close" });
await live.ready();
`;
  const port = freePort();
  await using app = await startApp({ entry: await all.write("app", text), args: [String(port)] });
  using client = await Client.open(port);
  assertEquals(await client.text("/"), "0");
  using stream = await rawConnection(port);
  await stream.write(encoder.encode("GET /events HTTP/1.1\r\nhost: x\r\n\r\n"));
  await readUntil(stream, "data: 0");
  assertEquals((await app.upgrade()).outcome, "committed");
  const ended = await readUntil(stream, "never comes").then(() => "went on", () => "ended");
  assertEquals(ended, "ended", "the stream was closed");
  assertEquals(await client.text("/"), "1", "the idle connection was carried");
});

Deno.test("silent, half-asked and waiting connections are answered by the new build", async () => {
  await using all = builds();
  const gate = `${all.path}/gate`;
  // The new build takes its time before it is ready, so that connections wait in the backlog of a build in probation.
  const second = await all.write("second", {
    label: "v2",
    ready: `${READY_IN_CHECK}console.log("in probation");
for (;;) {
  try { Deno.statSync("${gate}"); break; } catch { await new Promise((resolve) => setTimeout(resolve, 10)); }
}
await live.ready();`,
  });
  await using held = await startHeld(await all.write("first"), freePort());
  using silent = await rawConnection(held.port);
  // The accept of the one behind it proves that this one was accepted.
  assertEquals(await once(held.port, "/"), "v1");

  const update = held.app.upgrade({ build: second });
  await waitFor(() => held.app.output().stdout.includes("in probation"), { what: "the new build" });
  using waiting = await rawConnection(held.port);
  await waiting.write(encoder.encode("GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
  await silent.write(encoder.encode("GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
  const asked = held.client.text("/");
  assertEquals((await held.app.status()).state, "probation", "an operator sees a long probation");
  await Deno.writeTextFile(gate, "");
  assertEquals((await update).outcome, "committed");
  assertMatch(await readUntil(waiting, "v2"), /^HTTP\/1\.1 200/);
  assertMatch(await readUntil(silent, "v2"), /^HTTP\/1\.1 200/);
  assertEquals(await asked, "v2");
  await held.holds("v2", 1);
});

Deno.test("a request that has begun to arrive is completed, whichever build answers", async (t) => {
  await using all = builds();
  const entries = [
    await all.write("a", { label: "a", use: SAYS_QUIESCING }),
    await all.write("b", { label: "b", use: SAYS_QUIESCING }),
  ];
  await using held = await startHeld(entries[0]!, freePort());
  const pieces: [string, string[]][] = [
    ["headers in three pieces", ["GE", "T / HTTP/1.1\r\nho", "st: x\r\n\r\n"]],
    ["a body in two pieces", ["POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\nfour", "more"]],
    ["a second request behind the first", [
      "GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HT",
      "TP/1.1\r\nhost: x\r\n\r\n",
    ]],
  ];
  for (const [at, [name, parts]] of pieces.entries()) {
    await t.step(name, async () => {
      using connection = await rawConnection(held.port);
      await connection.write(encoder.encode(parts[0]!));
      // The answer to another connection proves that these bytes were read.
      await once(held.port, "/");
      await once(held.port, "/");
      const update = held.app.upgrade({ build: entries[(at + 1) % 2]! });
      await untilQuiescing(held.app, at + 1);
      for (const part of parts.slice(1)) await connection.write(encoder.encode(part));
      const answers = name.startsWith("a second") ? 2 : 1;
      const text = await readUntil(connection, new RegExp(`(HTTP/1.1 200[^]*?\r\n\r\n[ab]){${answers}}`));
      assertEquals(text.split("HTTP/1.1 200").length - 1, answers);
      assertEquals((await update).outcome, "committed");
      await connection.write(encoder.encode("GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
      assertMatch(await readUntil(connection, /\r\n\r\n[ab]$/), /^HTTP\/1\.1 200/);
      await held.holds(at % 2 === 0 ? "b" : "a", at + 1);
    });
  }
  assert(!held.client.closed);
});
