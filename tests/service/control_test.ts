import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { callControl, ControlCallError, freePort } from "../../testing/mod.ts";
import { builds, Client, readUntil, startHeld } from "../update/_fixtures.ts";

Deno.test("the control API refuses what it does not know, in JSON, and the service goes on", async () => {
  await using all = builds();
  await using held = await startHeld(await all.write("first"), freePort());
  const { socket } = held.app;
  const bodies: unknown[] = [[], "text", null, { build: 7 }, { timeout_ms: "1" }, { unknown: 1 }];
  for (const body of bodies) {
    const error = await assertRejects(
      () => callControl({ socket, path: "/v1/upgrade", body }),
      ControlCallError,
    );
    assertEquals([error.status, error.code], [400, "EINVAL"], JSON.stringify(body));
  }
  for (const timeout_ms of [0, -1, 1e12]) {
    const call = (): Promise<unknown> => callControl({ socket, path: "/v1/upgrade", body: { timeout_ms } });
    assertEquals((await assertRejects(call, ControlCallError)).status, 400, String(timeout_ms));
  }
  for (
    const [path, status] of [["/", 404], ["/v1/history/abc", 404], ["/v1/upgrade", 405], [
      "/v2/status",
      404,
    ]] as const
  ) {
    assertEquals(
      (await assertRejects(() => callControl({ socket, path }), ControlCallError)).status,
      status,
      path,
    );
  }
  using client = await Client.open({ unix: socket });
  const answer = await client.ask("/v1/status", "DELETE");
  assertEquals([answer.status, answer.headers.get("allow")], [405, "GET, HEAD"]);
  assertEquals(await held.app.history(), [], "nothing of this was an update");
  await held.holds("v1", 0);
});

Deno.test("who listens to the events hears every phase and the verdict, on one connection, update after update", async () => {
  await using all = builds();
  await using held = await startHeld(await all.write("first"), freePort());
  await using stack = new AsyncDisposableStack();
  const events = await Deno.connect({ transport: "unix", path: held.app.socket });
  stack.defer(() => events.close());
  await events.write(new TextEncoder().encode("GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n"));
  await readUntil(events, ": heirloom");
  for (const [label, outcome] of [["v2", "committed"], ["bad", "refused"], ["v3", "committed"]] as const) {
    const seen = readUntil(events, `"outcome":"${outcome}"`);
    if (outcome === "committed") await held.commits(await all.write(label, { label }), label);
    else await held.app.upgrade({ build: await all.write(label, { label, use: "throw new Error('bad');" }) });
    const text = await seen;
    for (const phase of ["requested", "loading"]) assertMatch(text, new RegExp(phase));
  }
  assertEquals((await held.app.history()).map(({ outcome }) => outcome), [
    "committed",
    "refused",
    "committed",
  ]);
});

Deno.test("a service that does not answer is exit 4", async () => {
  await using all = builds();
  await using held = await startHeld(await all.write("first"), freePort());
  held.app.signal("SIGSTOP");
  try {
    const { code, stdout, stderr } = await held.app.cli("status", ["--timeout", "1"]);
    assertEquals([code, stdout], [4, ""], stderr);
    assertMatch(stderr, /no answer after 1 s/);
  } finally {
    held.app.signal("SIGCONT");
  }
  await held.holds("v1", 0);
});
