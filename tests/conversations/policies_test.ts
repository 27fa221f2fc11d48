import { assert, assertEquals, assertMatch } from "@std/assert";
import { delay, startLoad, waitFor } from "../../testing/mod.ts";
import { Client, rawConnection, readUntil, untilQuiescing } from "../update/_fixtures.ts";
import { startPolicies } from "./_policies_app.ts";
import { get, readToEnd, send } from "./_tls_app.ts";

/** Waits until what was sent before has been read: connections are read in the order in which they were made. */
async function untilRead(port: number): Promise<void> {
  for (let round = 0; round < 2; round++) {
    using other = await Client.open(port);
    await other.text("/");
  }
}

Deno.test("carry and drain: half a head crosses with the one, and is answered before with the other", async () => {
  for (const policy of ["carry", "drain"]) {
    const web = `{ connections: "${policy}" }`;
    await using service = await startPolicies({ options: "{ quiesceTimeoutMs: 20_000 }", web });
    using half = await rawConnection(service.web);
    await send(half, "GET /half HTTP/1.1\r\nho");
    using idle = await Client.open(service.web);
    await idle.text("/");
    await untilRead(service.web);
    const update = service.commits("v2");
    if (policy === "drain") {
      await untilQuiescing(service.app);
      const early = await Promise.race([update.then(() => "over"), delay(200).then(() => "waiting")]);
      assertEquals(early, "waiting", "for the rest of the head");
    } else {
      await update;
    }
    await send(half, "st: x\r\n\r\n");
    assertMatch(
      await readUntil(half, "/half"),
      policy === "drain" ? /\r\n\r\nv1 \/half$/ : /\r\n\r\nv2 \/half$/,
    );
    assertEquals(await update, 0);
    await send(half, get("/more"));
    assertMatch(await readUntil(half, "/more"), /\r\n\r\nv2 \/more$/);
    assertEquals(await idle.text("/x"), "v2 /x");
  }
});

Deno.test("close: what is owed is answered, connections end, and new ones wait for the next build", async () => {
  await using service = await startPolicies({
    options: "{ quiesceTimeoutMs: 20_000 }",
    web: '{ connections: "close" }',
    line: '{ connections: "close" }',
  });
  const { app, web, line } = service;
  using held = await rawConnection(web);
  await send(held, get("/held"));
  await waitFor(() => app.output().stdout.includes("held"), { what: "the request to arrive" });
  using idle = await rawConnection(web);
  await send(idle, get("/idle"));
  await readUntil(idle, "v1 /idle");
  using raw = await rawConnection(line);
  await send(raw, "ping\n");
  await readUntil(raw, "v1:ping\n");

  const update = service.commits("v2");
  await untilQuiescing(app);
  using late = await rawConnection(web);
  await send(late, get("/late"));
  using lateRaw = await rawConnection(line);
  await send(lateRaw, "late\n");
  assertEquals([await readToEnd(idle), await readToEnd(raw)], ["", ""]);
  await Deno.writeTextFile(service.gate, "");
  assertMatch(await readToEnd(held), /\r\nConnection: close\r\n[^]*\r\n\r\nv1 \/held$/);
  assertEquals(await update, 3);
  assertMatch(await readUntil(late, "/late"), /\r\n\r\nv2 \/late$/);
  assertEquals(await readUntil(lateRaw, "\n"), "v2:late\n");
  assertEquals(await service.commits("v3"), 2);
  assertEquals([await readToEnd(late), await readToEnd(lateRaw)], ["", ""]);
});

Deno.test("close under load: no request fails, whoever keeps a connection is told in time", async () => {
  await using service = await startPolicies({ web: '{ connections: "close" }' });
  const load = startLoad({
    target: { hostname: "127.0.0.1", port: service.web },
    path: "/load",
    keepAlive: 4,
    keepAlivePeriodMs: 20,
    newPerSecond: 40,
  });
  let ended = 0;
  for (let round = 2; round <= 4; round++) {
    const { answered } = load;
    await waitFor(() => load.answered >= answered + 40, {
      what: "answers between updates",
      timeoutMs: 60_000,
    });
    ended += await service.commits(`v${round}`);
  }
  const report = await load.stop();
  // For the load, a connection that ends is a failure: these are all, and no request is among them.
  const told = "Closed by the server with `connection: close`, between two requests";
  const others = report.failures.filter(({ detail }) => detail !== told);
  assertEquals([others, report.refused, report.failures.length], [[], 0, report.failed]);
  assert(report.keepAliveClosed >= 12, "each of four keeps a connection, and each update ended it");
  assert(ended >= 12, `${ended} ended`);
});

Deno.test("refuse: at once, with the name and the number; when they are gone, it goes", async () => {
  const line = '{ connections: "refuse" }';
  await using service = await startPolicies({ line });
  using web = await Client.open(service.web);
  assertEquals(await web.text("/"), "v1 /");
  {
    using one = await rawConnection(service.line);
    using two = await rawConnection(service.line);
    for (const connection of [one, two]) {
      await send(connection, "hello\n");
      await readUntil(connection, "v1:hello\n");
    }
    const record = await service.update("v2");
    assertEquals([record.outcome, record.closed], ["refused", 0]);
    assertEquals(record.reason, 'Cannot update: 2 connections of server "line" are open and refuse it');
    for (const connection of [one, two]) {
      await send(connection, "still\n");
      await readUntil(connection, "v1:still\n");
    }
  }
  await waitFor(async () => (await service.update("v2")).outcome === "committed", {
    what: "both to be gone",
  });
  assertEquals(await web.text("/"), "v2 /", "the other server's connection was carried");
});

Deno.test("a function says it for each connection when an update begins", async () => {
  const each = '{ connections: (socket) => policies.get(socket) ?? "carry" }';
  await using service = await startPolicies({ web: each, line: each });
  using closed = await rawConnection(service.web);
  await send(closed, get("/policy?close"));
  await readUntil(closed, "v1 /policy");
  using drained = await Client.open(service.web);
  await drained.text("/policy?drain");
  using carried = await Client.open(service.web);
  await carried.text("/");
  using raw = await rawConnection(service.line);
  await send(raw, "policy refuse\n");
  await readUntil(raw, "v1:policy refuse\n");
  assertMatch(
    (await service.update("v2")).reason ?? "",
    /1 connection of server "line" is open and refuses it/,
  );
  await send(raw, "policy perhaps\n");
  await readUntil(raw, "v1:policy perhaps\n");
  assertMatch((await service.update("v2")).reason ?? "", /server "line" is not known: "perhaps" is none of/);
  assertEquals([await drained.text("/x"), await carried.text("/x")], ["v1 /x", "v1 /x"]);

  await send(raw, "policy carry\n");
  await readUntil(raw, "v1:policy carry\n");
  assertEquals(await service.commits("v2"), 1);
  assertEquals(await readToEnd(closed), "");
  assertEquals([await drained.text("/x"), await carried.text("/x")], ["v2 /x", "v2 /x"]);
  await send(raw, "still\n");
  await readUntil(raw, "v2:still\n");
});

Deno.test("an update that is refused leaves everything going, those at the door included", async () => {
  await using service = await startPolicies({
    options: "{ quiesceTimeoutMs: 700 }",
    web: '{ connections: "close" }',
  });
  const { app, web, line } = service;
  using held = await rawConnection(web);
  await send(held, get("/held"));
  await waitFor(() => app.output().stdout.includes("held"), { what: "the request to arrive" });
  using raw = await rawConnection(line);
  const update = service.update("v2");
  await untilQuiescing(app);
  using late = await Client.open(web);
  const lateAnswer = late.text("/late");
  const record = await update;
  assertEquals(record.outcome, "refused");
  assertMatch(record.reason ?? "", /1 connection of server "web" still owes/);
  assertEquals(await lateAnswer, "v1 /late");
  await send(raw, "still\n");
  await readUntil(raw, "v1:still\n");
  await Deno.writeTextFile(service.gate, "");
  assertMatch(await readUntil(held, "/held"), /Connection: keep-alive\r\n[^]*\r\n\r\nv1 \/held$/);
  await send(held, get("/again"));
  assertMatch(await readUntil(held, "/again"), /\r\n\r\nv1 \/again$/);
  assertEquals(await service.commits("v3"), 2, "both that are kept");
});

Deno.test("connections that are cut off are counted as well", async () => {
  await using service = await startPolicies({
    options: "{ quiesceTimeoutMs: 300 }",
    web: '{ overdue: "close" }',
  });
  using events = await rawConnection(service.web);
  await send(events, get("/events"));
  await readUntil(events, "begun");
  assertEquals(await service.commits("v2"), 1);
  assertEquals((await service.app.status()).last_update?.closed, 1);
  assertEquals(await service.commits("v3"), 0);
});

Deno.test("what is no policy, or cannot be kept, is refused when the server is given", async () => {
  for (
    const [web, message] of [
      ['{ connections: "keep" }', /connections "keep" is none of "carry" or "drain" or "close" or "refuse"/],
      ["{ connections: null }", /connections null is none of/],
    ] as const
  ) {
    const failed = await startPolicies({ web }).then(
      (service) => service[Symbol.asyncDispose]().then(() => "it started"),
      (error) => String(error),
    );
    assertMatch(failed, message);
  }
});
