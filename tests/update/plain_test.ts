import { assertEquals, assertMatch } from "@std/assert";
import { assertNothingLost, freePort, snapshot, type TestApp, waitFor } from "../../testing/mod.ts";
import { builds, Client, READY_IN_CHECK, startHeld } from "./_fixtures.ts";

/** Waits for a number of committed updates that nobody waits for. */
async function untilGeneration(app: TestApp, generation: number): Promise<void> {
  await waitFor(async () => (await app.status()).generation === generation, {
    what: `generation ${generation}`,
    timeoutMs: 30_000,
  });
}

Deno.test("an application that was started by hand updates itself, without the command line", async () => {
  await using all = builds();
  // The socket is the application's own choice; the variable would lead nowhere.
  const options = "{ socket: Deno.cwd() + '/control.sock' }";
  const env = { HEIRLOOM_SOCKET: "/nowhere/at/all.sock" };
  const first = await all.write("first", { options });
  const second = await all.write("second", { label: "v2", options });
  await using held = await startHeld(first, freePort(), { mode: "plain", env, args: ["--flag", "x y"] });
  const before = await snapshot(held.app);
  await held.commits(first, "v1");
  await held.commits(second, "v2");
  assertNothingLost(before, await snapshot(held.app), {
    updates: 2,
    ignore: (each) => each.includes(" to "),
  });

  const bad = await all.write("bad", {
    options,
    ready: `${READY_IN_CHECK}throw new Error("not today");`,
  });
  const record = await held.app.upgrade({ build: bad });
  assertEquals(record.outcome, "rolled-back");
  assertMatch(record.reason ?? "", /not today/);
  await held.holds("v2", 2);
  const broken = await all.write("broken", "const = ;");
  assertEquals((await held.app.upgrade({ build: broken })).outcome, "refused");
  await held.commits(first, "v1");
  assertEquals((await Deno.stat(held.app.socket)).mode! & 0o777, 0o600);
});

Deno.test("without a socket an application has no control, and SIGUSR2 still updates it", async () => {
  await using all = builds();
  const entry = await all.write("app", {
    routes: 'if (path === "/pid") return new Response(String(Deno.pid));',
  });
  const port = freePort();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-config", entry, String(port)],
    cwd: all.path,
    env: { XDG_STATE_HOME: `${all.path}/state` },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    const what = { what: "the service", timeoutMs: 30_000 };
    using client = await waitFor(() => Client.open(port), what);
    assertEquals(await client.text("/pid"), String(child.pid));
    for (let generation = 1; generation <= 2; generation++) {
      child.kill("SIGUSR2");
      await waitFor(async () => await client.text("/generation") === String(generation), what);
      assertEquals(await client.text("/pid"), String(child.pid));
    }
  } finally {
    child.kill("SIGTERM");
    await child.status;
  }
});

Deno.test("SIGUSR2 updates to what the names mean now", async () => {
  await using all = builds();
  await all.write("v1");
  await all.write("v2", { label: "v2" });
  // Without the command line, what fails before the library is loaded is not the library's to undo.
  await all.write("bad", { ready: `${READY_IN_CHECK}throw new Error("bad");` });
  const current = `${all.path}/current`;
  const pointTo = async (name: string): Promise<void> => {
    await Deno.symlink(`${all.path}/${name}`, `${current}.new`);
    await Deno.rename(`${current}.new`, current);
  };
  await pointTo("v1");
  await using held = await startHeld(`${current}/main.ts`, freePort(), { mode: "plain" });
  await pointTo("bad");
  held.app.signal("SIGUSR2");
  await waitFor(async () => (await held.app.history()).length === 1, { what: "the update that fails" });
  assertEquals((await held.app.history())[0]?.outcome, "rolled-back");
  await held.holds("v1", 0);

  await pointTo("v2");
  held.app.signal("SIGUSR2");
  await untilGeneration(held.app, 1);
  await held.holds("v2", 1);

  // Two at once: each is an update, or is told that one is under way; the service is fine either way.
  held.app.signal("SIGUSR2");
  held.app.signal("SIGUSR2");
  await waitFor(async () => {
    const { state, generation } = await held.app.status();
    return state === "serving" && generation >= 2;
  }, { what: "the updates to end" });
  const { generation } = await held.app.status();
  await held.holds("v2", generation);
  const outcomes = (await held.app.history()).map(({ outcome }) => outcome);
  assertEquals(outcomes, ["rolled-back", ...Array.from({ length: generation }, () => "committed")]);
});
