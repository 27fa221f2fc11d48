import { assertEquals, assertMatch } from "@std/assert";
import { waitFor } from "../../testing/mod.ts";
import { readUntil, untilQuiescing } from "../update/_fixtures.ts";
import { connectTls, HttpsClient, readToEnd, send, startTls, tlsApp } from "./_tls_app.ts";

Deno.test("a TLS connection that refuses keeps the update from happening, and notices nothing", async () => {
  await using service = await startTls({ web: '"refuse"', line: '"refuse"' });
  const { app, web, line, certificate } = service;
  const build = await service.all.write("next", tlsApp({ label: "v2", web: '"refuse"', line: '"refuse"' }));
  using lineConnection = await connectTls(line, certificate);
  {
    using one = new HttpsClient(web, certificate);
    using two = new HttpsClient(web, certificate);
    assertEquals([await one.ask("/"), await two.ask("/")], ["v1 GET / ", "v1 GET / "]);
    for (let round = 0; round < 2; round++) {
      const record = await app.upgrade({ build });
      assertEquals([record.outcome, record.closed], ["refused", 0]);
      assertEquals(record.reason, 'Cannot update: 2 connections of server "web" are open and refuse it');
      assertEquals(record.phases.map(({ name }) => name), ["requested"], "at once, before anything is done");
    }
    assertEquals([await one.ask("/x"), one.connects], ["v1 GET /x ", 1]);
  }
  const refused = await waitFor(async () => {
    const record = await app.upgrade({ build });
    return record.reason?.includes('server "line"') ? record : null;
  }, { what: "the clients of the web to be gone" });
  assertMatch(refused.reason ?? "", /1 connection of server "line" is open and refuses it/);
  await send(lineConnection, "still\n");
  assertEquals(await readUntil(lineConnection, "\n"), "v1:still\n");
  lineConnection.close();
  await waitFor(async () => (await app.upgrade({ build })).outcome === "committed", { what: "the update" });
  using after = new HttpsClient(web, certificate);
  assertEquals(await after.ask("/"), "v2 GET / ");
});

Deno.test("a function says it for each TLS connection", async () => {
  const web = '(socket) => policies.get(socket) ?? "close"';
  await using service = await startTls({ web });
  const { app, certificate } = service;
  const build = await service.all.write("next", tlsApp({ label: "v2", web }));
  using one = new HttpsClient(service.web, certificate);
  using two = new HttpsClient(service.web, certificate);
  await one.ask("/policy?refuse");
  await two.ask("/");
  const refused = await app.upgrade({ build });
  assertEquals(refused.reason, 'Cannot update: 1 connection of server "web" is open and refuses it');
  // What cannot be kept refuses as well, and says why.
  await one.ask("/policy?carry");
  const unkept = await app.upgrade({ build });
  assertMatch(
    unkept.reason ?? "",
    /server "web" .*"carry" is none of "close" or "refuse": TLS sessions live in user space/,
  );
  assertEquals([await one.ask("/"), await two.ask("/")], ["v1 GET / ", "v1 GET / "]);
  await one.ask("/policy?close");
  const record = await app.upgrade({ build });
  assertEquals([record.outcome, record.closed], ["committed", 2]);
  assertEquals([await one.ask("/"), await two.ask("/")], ["v2 GET / ", "v2 GET / "]);
  assertEquals([one.connects, two.connects], [2, 2]);
});

Deno.test("an answer that takes too long refuses the update; who was told leaves, the others stay", async () => {
  await using service = await startTls({ options: "{ quiesceTimeoutMs: 800 }" });
  const { app, web, certificate } = service;
  using held = new HttpsClient(web, certificate);
  const answer = held.ask("/held");
  await waitFor(() => app.output().stdout.includes("held"), { what: "the request to arrive" });
  using idle = await connectTls(web, certificate);
  const update = app.upgrade({ build: await service.all.write("next", tlsApp({ label: "v2" })) });
  await untilQuiescing(app);
  using late = new HttpsClient(web, certificate);
  const lateAnswer = late.ask("/late");
  const record = await update;
  assertEquals([record.outcome, record.closed], ["refused", 1]);
  assertMatch(record.reason ?? "", /1 connection of server "web" still owes/);
  assertEquals(await readToEnd(idle), "");
  assertEquals(await lateAnswer, "v1 GET /late ", "who waited at the door is let in");
  await Deno.writeTextFile(service.gate, "");
  assertEquals(await answer, "v1 GET /held ");
  assertEquals([await held.ask("/again"), held.connects], ["v1 GET /again ", 1], "it may stay");
  assertEquals(await service.commits({ label: "v3" }), 2);
  assertEquals(await held.ask("/"), "v3 GET / ");
});
