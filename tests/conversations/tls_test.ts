import { assert, assertEquals, assertMatch } from "@std/assert";
import { assertNothingLost, delay, snapshot, waitFor } from "../../testing/mod.ts";
import { rawConnection, readUntil, runCommand, untilQuiescing } from "../update/_fixtures.ts";
import { connectTls, get, HttpsClient, HttpsLoad, readToEnd, send, startTls } from "./_tls_app.ts";

Deno.test("a server of node:https is carried: requests are answered, connections end politely", async () => {
  await using service = await startTls({ options: "{ quiesceTimeoutMs: 20_000 }" });
  const { app, web, certificate } = service;
  using idle = await connectTls(web, certificate);
  await send(idle, get("/idle"));
  await readUntil(idle, "v1 GET /idle ");
  using silent = await connectTls(web, certificate);
  using held = await connectTls(web, certificate);
  await send(held, get("/held"));
  await waitFor(() => app.output().stdout.includes("held"), { what: "the request to arrive" });
  using half = await connectTls(web, certificate);
  await send(half, "POST /half HTTP/1.1\r\nhost: localhost\r\ncontent-length: 8\r\n\r\nfour");
  // The answer to another connection proves that these bytes were read.
  using keep = new HttpsClient(web, certificate);
  assertEquals(await keep.ask("/keep"), "v1 GET /keep ");
  assertEquals(await keep.ask("/keep"), "v1 GET /keep ");
  assertEquals(keep.connects, 1);

  const update = service.commits({ label: "v2" });
  await untilQuiescing(app);
  const late = new HttpsClient(web, certificate);
  const lateAnswer = late.ask("/late", "a body");
  await delay(100);
  await send(half, "more");
  const halfAnswer = await readToEnd(half);
  assertMatch(
    halfAnswer,
    /^HTTP\/1\.1 200 OK\r\n[^]*Connection: close\r\n[^]*\r\n\r\nv1 POST \/half fourmore$/,
  );
  assertEquals([await readToEnd(idle), await readToEnd(silent)], ["", ""]);
  await Deno.writeTextFile(service.gate, "");
  assertMatch(await readToEnd(held), /Connection: close\r\n[^]*\r\n\r\nv1 GET \/held $/);
  assertEquals(await update, 5);
  assertEquals(
    await lateAnswer,
    "v2 POST /late a body",
    "who came during the update is answered by the new build",
  );
  assertEquals(await keep.ask("/keep"), "v2 GET /keep ");
  assertEquals(keep.connects, 2);
  late[Symbol.dispose]();
});

Deno.test("curl and fetch see one service before and after", async () => {
  await using service = await startTls();
  const { web, certificate } = service;
  using client = Deno.createHttpClient({ caCerts: [certificate.text] });
  for (const label of ["v1", "v2", "v3"]) {
    if (label !== "v1") await service.commits({ label });
    const response = await fetch(`https://localhost:${web}/fetch`, { client, method: "POST", body: label });
    assertEquals(await response.text(), `${label} POST /fetch ${label}`);
    const curl = ["curl", "-sk", "--max-time", "20", `https://127.0.0.1:${web}/big?300000`];
    const { code, stdout } = await runCommand(curl).catch(noCurl);
    if (code === -1) continue;
    assertEquals([code, stdout.slice(0, 12), stdout.length], [0, `${label} GET /big `, 300_012]);
  }
});

function noCurl(error: unknown): { code: number; stdout: string } {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
  console.log("skipped: there is no curl on this machine");
  return { code: -1, stdout: "" };
}

Deno.test("five updates under load: no request that was begun fails, nothing leaks", async () => {
  await using service = await startTls();
  // One update first: from then on a build is like the one before.
  await service.commits({ label: "v0" });
  const before = await snapshot(service.app);
  const load = new HttpsLoad(service, 8, 15);
  let ended = 0;
  for (let round = 1; round <= 5; round++) {
    const { answered } = load;
    await waitFor(() => load.answered >= answered + 60, {
      what: "answers between updates",
      timeoutMs: 60_000,
    });
    ended += await service.commits({ label: `v${round + 1}` });
  }
  const { answered } = load;
  await waitFor(() => load.answered >= answered + 60, { what: "answers of the last build" });
  await load.stop();
  assertEquals(load.failures, []);
  assert(ended >= 5 * 4, `${ended} connections were ended, 4 clients keep theirs`);
  const after = await snapshot(service.app);
  assertNothingLost(before, after, { updates: 5, ignore: (description) => /^tcp .* to /.test(description) });
});

Deno.test("who connects and says nothing holds up no update for long", async () => {
  await using service = await startTls();
  using mute = await rawConnection(service.web);
  // The accept of the one behind it proves that this one was accepted.
  using client = new HttpsClient(service.web, service.certificate);
  await client.ask("/");
  assertEquals(await service.commits({ label: "v2" }), 2);
  assertEquals(await readToEnd(mute).catch(() => "cut off"), "");
  assertEquals(await client.ask("/"), "v2 GET / ");
});

Deno.test("who sends anything but a handshake, in any phase, holds up nothing and harms nobody", async () => {
  await using service = await startTls();
  const { app, web, certificate } = service;
  using held = new DisposableStack();
  const noise = ["GET / HTTP/1.1\r\nhost: x\r\n\r\n", "\x16\x03\x01\x02", "\x00".repeat(100_000)];
  const rude = async (): Promise<void> => {
    for (const text of noise) {
      const connection = held.use(await rawConnection(web));
      // The server may end it before all is said.
      connection.write(new TextEncoder().encode(text)).catch(() => {});
    }
  };
  using client = new HttpsClient(web, certificate);
  await client.ask("/");
  await rude();
  const update = service.commits({ label: "v2" });
  await untilQuiescing(app);
  await rude();
  await update;
  await rude();
  assertEquals(await client.ask("/"), "v2 GET / ");
  await service.commits({ label: "v3" });
  assertEquals(await client.ask("/"), "v3 GET / ");
});

Deno.test("a server of node:tls is carried: what was written goes out, then the end", async () => {
  await using service = await startTls();
  const { line, certificate } = service;
  for (const label of ["v1", "v2"]) {
    using connection = await connectTls(line, certificate);
    await send(connection, "ping\n");
    assertEquals(await readUntil(connection, "\n"), `${label}:ping\n`);
    const update = service.commits({ label: "v2" });
    assertEquals(await readToEnd(connection), "");
    assertEquals(await update, 1);
  }
});
