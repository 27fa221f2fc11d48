import { assertEquals, assertMatch } from "@std/assert";
import { freePort, waitFor } from "../../testing/mod.ts";
import { builds, READY_IN_CHECK, startHeld } from "./_fixtures.ts";

/** Before it is ready, a build that takes over for real waits until the file is there. */
function gated(gate: string, then = "await live.ready();"): string {
  return `${READY_IN_CHECK}console.log("in probation");
for (;;) {
  try { Deno.statSync("${gate}"); break; } catch { await new Promise((resolve) => setTimeout(resolve, 10)); }
}
${then}`;
}

const LISTENS = `for (const name of ["SIGTERM", "SIGINT"] as const) {
  Deno.addSignalListener(name, () => { console.log("got", name, "in", live.generation); });
}`;

/** The first update waits until the service is asked to stop. */
const HANGS_ONCE = `let times = 0;
live.on("quiesce", (event) => {
  console.log("quiescing");
  if (++times === 1 && live.generation === 0) event.waitUntil(new Promise(() => {}));
});`;

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
  assertEquals((await held.app.status()).state, "probation");
  assertEquals(held.app.output().stdout.includes("got"), false);
  await Deno.writeTextFile(gate, "");
  assertEquals((await update).outcome, "committed");
  for (const name of ["SIGTERM", "SIGINT"]) {
    await waitFor(() => held.app.output().stdout.includes(`got ${name} in 1`), {
      what: `${name} to be heard`,
    });
  }
  await held.holds("v2", 1);
  held.app.signal("SIGKILL");
});

Deno.test("SIGUSR2 during an update asks for one more, which begins after the verdict", async () => {
  await using all = builds();
  const gate = `${all.path}/gate`;
  const second = await all.write("second", { label: "v2", ready: gated(gate) });
  await using held = await startHeld(await all.write("first"), freePort());
  const update = held.app.upgrade({ build: second });
  await waitFor(() => held.app.output().stdout.includes("in probation"), { what: "the new build" });
  held.app.signal("SIGUSR2");
  await Deno.writeTextFile(gate, "");
  assertEquals((await update).outcome, "committed");
  await waitFor(async () => {
    const { generation, state } = await held.app.status();
    return generation === 2 && state === "serving";
  }, { what: "the update that SIGUSR2 asked for" });
  await held.holds("v2", 2);
});

Deno.test("a signal that arrives during an update that fails is heard by the build that comes back", async () => {
  await using all = builds();
  const gate = `${all.path}/gate`;
  const first = await all.write("first", { use: LISTENS });
  const second = await all.write("second", {
    ready: gated(gate, 'throw new Error("after all");'),
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
  const update = held.app.upgradeCli(["--build", second, "--json"]);
  await waitFor(() => held.app.output().stdout.includes("in probation"), { what: "the new build" });
  held.app.signal("SIGTERM");
  assertEquals((await held.app.status()).state, "probation");
  await Deno.writeTextFile(gate, "");
  const exit = await held.app.exited;
  assertEquals([exit.signal, exit.code], ["SIGTERM", 143]);
  assertMatch(exit.stderr, /committed: generation 1/, "the update came first");
  // Whoever waits for the verdict gets it, from the last words of the service.
  const { code, stdout, stderr } = await update;
  const { outcome, generation, pid } = JSON.parse(stdout);
  assertEquals([code, outcome, generation, pid], [0, "committed", 1, held.app.pid], stderr);
  assertEquals(held.app.processes(), [], "no guardian stays behind");
});

Deno.test("SIGTERM before the freeze refuses the update and stops the service", async (t) => {
  for (const listens of [false, true]) {
    await t.step(listens ? "by its own listener" : "by the signal itself", async () => {
      await using all = builds();
      const use = `live.on("quiesce", (event) => {
  console.log("quiescing");
  event.waitUntil(new Promise(() => {}));
});
${listens ? 'Deno.addSignalListener("SIGTERM", () => Deno.exit(3));' : ""}`;
      const first = await all.write("first", { use, options: "{ quiesceTimeoutMs: 60_000 }" });
      await using held = await startHeld(first, freePort());
      const update = held.app.upgradeCli(["--timeout", "60", "--json"]);
      await waitFor(() => held.app.output().stdout.includes("quiescing"), {
        what: "the update",
        timeoutMs: 30_000,
      });
      assertEquals(held.app.processes().length, 2, "the guardian is up");
      held.app.signal("SIGTERM");
      const exit = await held.app.exited;
      assertEquals(exit.code, listens ? 3 : 143, exit.stderr);
      const { code, stdout, stderr } = await update;
      assertEquals(code, 1, stderr);
      const record = JSON.parse(stdout);
      assertEquals(record.outcome, "refused");
      // A listener of the application that exits comes first; then the words that were left in advance say it.
      const said = listens ? /ended in the middle of the update/ : /the service is asked to stop \(SIGTERM\)/;
      assertMatch(record.reason, said);
      await waitFor(() => held.app.processes().length === 0, { what: "the guardian to end" });
    });
  }
});

Deno.test("SIGTERM that the application takes as a remark refuses the update, and the service goes on", async () => {
  await using all = builds();
  const first = await all.write("first", {
    use: `${LISTENS}
${HANGS_ONCE}`,
    options: "{ quiesceTimeoutMs: 60_000 }",
  });
  await using held = await startHeld(first, freePort());
  const update = held.app.upgrade({ timeoutS: 60 });
  await waitFor(() => held.app.output().stdout.includes("quiescing"), { what: "the update" });
  held.app.signal("SIGINT");
  const record = await update;
  assertEquals(record.outcome, "refused");
  assertMatch(record.reason ?? "", /the service is asked to stop \(SIGINT\)/);
  await waitFor(() => held.app.output().stdout.includes("got SIGINT in 0"), { what: "SIGINT to be heard" });
  await held.holds("v1", 0);
  await held.commits(first, "v1");
  held.app.signal("SIGKILL");
});

Deno.test("SIGTERM just after a refusal stops the service, and the verdict says why it was refused", async (t) => {
  for (const [ms, listens] of [[0, false], [5, false], [20, false], [25, false], [0, true]] as const) {
    await t.step(`${ms} ms after it${listens ? ", by a listener" : ""}`, async () => {
      await using all = builds();
      const first = await all.write("first", {
        use: `live.on("quiesce", (event) => event.refuse("not now"));
live.on("resume", () => setTimeout(() => Deno.kill(Deno.pid, "SIGTERM"), ${ms}));
${listens ? 'Deno.addSignalListener("SIGTERM", () => Deno.exit(3));' : ""}`,
      });
      await using held = await startHeld(first, freePort());
      const update = held.app.upgradeCli(["--json", "--timeout", "5"]);
      const exit = await held.app.exited;
      assertEquals(exit.code, listens ? 3 : 143, exit.stderr);
      await waitFor(() => held.app.processes().length === 0, { what: "the guardian to end" });
      const verdict = await update;
      // Later the update has ended, and whoever asks too late finds nobody.
      if (ms < 20) {
        const { code, stdout, stderr } = verdict;
        assertEquals(code, 1, stderr);
        const { outcome, reason } = JSON.parse(stdout);
        assertEquals(outcome, "refused");
        assertMatch(reason, /not now/);
      }
    });
  }
});

Deno.test("a profiler that samples the service with SIGPROF does not end the build that takes over", async () => {
  await using all = builds();
  const profiles = `${all.path}/profiles`;
  const denoArgs = ["--cpu-prof", `--cpu-prof-dir=${profiles}`, "--cpu-prof-interval=100"];
  await using held = await startHeld(await all.write("first"), freePort(), { denoArgs });
  const exits = `  if (path === "/exit") {
    setTimeout(() => Deno.exit(0), 50);
    return new Response("soon");
  }
`;
  for (const generation of [1, 2, 3]) {
    const build = await all.write(`build-${generation}`, { label: `v${generation}`, routes: exits });
    const { outcome, reason } = await held.app.upgrade({ build });
    assertEquals([outcome, reason], ["committed", null]);
    await held.holds(`v${generation}`, generation);
  }
  const { pid } = await held.app.status();
  await held.client.text("/exit");
  // What the profiler writes at the end is of this build: it has samples of it.
  const profile = await waitFor(() => {
    const name = [...Deno.readDirSync(profiles)].find(({ name }) => name.includes(`.${pid}.`))!.name;
    return JSON.parse(Deno.readTextFileSync(`${profiles}/${name}`)) as { samples: unknown[] };
  }, { what: "the profile" });
  assertEquals(profile.samples.length > 0, true);
});
