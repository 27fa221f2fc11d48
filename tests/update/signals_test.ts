import { assertEquals, assertMatch } from "@std/assert";
import { freePort, waitFor } from "../../testing/mod.ts";
import { builds, startHeld } from "./_fixtures.ts";

/** Before it is ready, a build waits until the file is there. */
function gated(gate: string): string {
  return `console.log("in probation");
for (;;) {
  try { Deno.statSync("${gate}"); break; } catch { await new Promise((resolve) => setTimeout(resolve, 10)); }
}
await live.ready();`;
}

const LISTENS = `for (const name of ["SIGTERM", "SIGINT"] as const) {
  Deno.addSignalListener(name, () => { console.log("got", name, "in", live.generation); });
}`;

Deno.test("a signal that arrives during the update waits for the verdict: the new build hears it", async () => {
  await using all = builds();
  const gate = `${all.path}/gate`;
  const first = await all.write("first", { use: LISTENS });
  const second = await all.write("second", { label: "v2", use: LISTENS, ready: gated(gate) });
  await using held = await startHeld(first, freePort());
  const update = held.app.upgrade({ build: second });
  await waitFor(() => held.app.output().stdout.includes("in probation"), { what: "the new build" });
  held.app.signal("SIGTERM");
  held.app.signal("SIGINT");
  held.app.signal("SIGUSR2");
  assertEquals((await held.app.status()).state, "probation");
  assertEquals(held.app.output().stdout.includes("got"), false);
  await Deno.writeTextFile(gate, "");
  assertEquals((await update).outcome, "committed");
  for (const name of ["SIGTERM", "SIGINT"]) {
    await waitFor(() => held.app.output().stdout.includes(`got ${name} in 1`), {
      what: `${name} to be heard`,
    });
  }
  // SIGUSR2 asked for one more update, which now can begin.
  await waitFor(async () => {
    const { generation, state } = await held.app.status();
    return generation === 2 && state === "serving";
  }, { what: "the update that SIGUSR2 asked for" });
  await held.holds("v2", 2);
  held.app.signal("SIGKILL");
});

Deno.test("a signal that arrives during an update that fails is heard by the build that comes back", async () => {
  await using all = builds();
  const gate = `${all.path}/gate`;
  const first = await all.write("first", { use: LISTENS });
  const second = await all.write("second", {
    ready: gated(gate).replace("await live.ready();", 'throw new Error("after all");'),
  });
  await using held = await startHeld(first, freePort());
  const update = held.app.upgrade({ build: second });
  await waitFor(() => held.app.output().stdout.includes("in probation"), { what: "the new build" });
  held.app.signal("SIGTERM");
  await Deno.writeTextFile(gate, "");
  const record = await update;
  assertEquals(record.outcome, "rolled-back");
  assertMatch(record.reason ?? "", /after all/);
  await waitFor(() => held.app.output().stdout.includes("got SIGTERM in 0"), { what: "SIGTERM to be heard" });
  await held.holds("v1", 0);
  held.app.signal("SIGKILL");
});

Deno.test("SIGTERM ends a service that does not listen for it, also just after an update", async () => {
  await using all = builds();
  const gate = `${all.path}/gate`;
  const first = await all.write("first");
  const second = await all.write("second", { ready: gated(gate) });
  await using held = await startHeld(first, freePort());
  const update = held.app.upgrade({ build: second }).then(() => "verdict", () => "none");
  await waitFor(() => held.app.output().stdout.includes("in probation"), { what: "the new build" });
  held.app.signal("SIGTERM");
  assertEquals((await held.app.status()).state, "probation");
  await Deno.writeTextFile(gate, "");
  const exit = await held.app.exited;
  assertEquals([exit.signal, exit.code], ["SIGTERM", 143]);
  assertMatch(exit.stderr, /committed: generation 1/, "the update came first");
  assertEquals(await update, "none");
});
