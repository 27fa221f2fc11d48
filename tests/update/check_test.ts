import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  assertNoFailures,
  assertNothingLost,
  type CheckReport,
  ControlCallError,
  freePort,
  heirloomRoot,
  snapshot,
  startLoad,
  waitFor,
} from "../../testing/mod.ts";
import { builds, once, runCommand, startHeld } from "./_fixtures.ts";
import { untilSnapshot } from "./_deployed.ts";
import { versioned } from "./_versioned.ts";

/** The verdicts of a report by the names of what they are about. */
function verdicts({ tokens, states }: CheckReport): Record<string, string> {
  return Object.fromEntries([
    ...tokens.map(({ session, token, name, verdict }) => [name ?? `${session} ${token}`, verdict]),
    ...states.map(({ name, verdict }) => [`state ${name}`, verdict]),
  ]);
}

/** The reason for a verdict. */
function reasonOf(report: CheckReport, name: string): string | null | undefined {
  return [...report.tokens, ...report.states].find((each) => each.name === name)?.reason;
}

const ALL_OK = { "@control": "ok", memory: "ok", log: "ok", web: "ok", "state lines": "ok" };

Deno.test("check tells of every token and state of a build that would take over", async () => {
  await using all = builds();
  const first = await all.write("first");
  const second = await all.write("second", { label: "v2", before: 'console.error("hello from the check");' });
  await Deno.writeTextFile(`${all.path}/second/deno.json`, '{ "version": "2.1.0" }');
  await using held = await startHeld(first, freePort());
  const [session] = await held.app.sessions();

  const report = await held.app.check({ build: second });
  assertEquals([report.ok, report.reason, verdicts(report)], [true, null, ALL_OK]);
  assertEquals(report.stderr, "hello from the check");
  assert(report.startup_ms !== null && report.startup_ms > 0 && Number.isInteger(report.startup_ms));
  assertMatch(report.build.id ?? "", /^[0-9a-f]{12}$/);
  assertEquals(report.build, { path: second, version: "2.1.0", id: report.build.id });
  const tokens = report.tokens.map(({ session, token, name, compatible }) => [
    session,
    token,
    name,
    compatible,
  ]);
  assertEquals(
    tokens,
    session!.files.map(({ token, name, compatible }) => ["heirloom", token, name, compatible]),
  );
  assertEquals(report.states, [{ name: "lines", version: 1, verdict: "ok", reason: null }]);

  // The same from the command line, as a document and as text.
  const json = await held.app.cli("check", ["--build", second, "--json"]);
  assertEquals([json.code, json.stderr], [0, ""]);
  assertEquals(JSON.parse(json.stdout), {
    ...report,
    startup_ms: JSON.parse(json.stdout).startup_ms,
  });
  assertEquals(Object.keys(JSON.parse(json.stdout)), [
    "ok",
    "build",
    "startup_ms",
    "reason",
    "stderr",
    "tokens",
    "states",
  ]);
  const text = await held.app.cli("check", ["--build", `${all.path}/second`]);
  assertEquals([text.code, text.stderr], [0, ""]);
  assertMatch(
    text.stdout,
    /^2\.1\.0 [0-9a-f]{12} \(.*\/second\/main\.ts\) would take over, ready after .*\n4 of 4 tokens ok, 1 of 1/,
  );

  // Without a name it is the present build that is looked at, as it is now.
  const same = await held.app.check();
  assertEquals([same.ok, same.build.path, verdicts(same)], [true, first, ALL_OK]);
  const record = await held.commits(second, "v2");
  assertEquals(record.to, report.build, "the check told of the build that then took over");
});

Deno.test("versions of a handler and of a state are held against what a build reads, in both directions", async (t) => {
  await using all = builds();
  const v1 = await all.write("v1", versioned({ label: "v1", writes: 1, handler: [1, 1] }));
  const v2 = await all.write("v2", versioned({ label: "v2", writes: 2, handler: [1, 2] }));
  const v3 = await all.write("v3", versioned({ label: "v3", writes: 3, handler: [2, 3] }));
  const v2wide = await all.write("v2wide", versioned({ label: "v2w", writes: 2, handler: [1, 3] }));
  const half = await all.write(
    "half",
    versioned({ label: "half", writes: 2, handler: [1, 3], state: [1, 2] }),
  );
  await using held = await startHeld(v1, freePort());
  await held.client.text("/put?thing=plate");
  const look = async (build: string): Promise<[CheckReport, Record<string, string>]> => {
    const report = await held.app.check({ build });
    const { box, "state shelf": shelf, ...rest } = verdicts(report);
    assertEquals(rest, ALL_OK);
    return [report, { box: box!, shelf: shelf! }];
  };
  const shelf = async (): Promise<unknown> => JSON.parse(await held.client.text("/shelf"));
  const refused = async (build: string, reason: RegExp, generation: number, label: string): Promise<void> => {
    const record = await held.app.upgrade({ build });
    assertEquals([record.outcome, record.blackout_ms], ["refused", null]);
    assertMatch(record.reason ?? "", reason);
    await held.holds(label, generation);
  };

  await t.step("the same version is ok", async () => {
    assertEquals((await look(v1))[1], { box: "ok", shelf: "ok" });
  });
  await t.step("an upgrade migrates", async () => {
    const [report, found] = await look(v2);
    assertEquals(found, { box: "needs migration", shelf: "needs migration" });
    assertEquals([report.ok, reasonOf(report, "box")], [true, "from version 1 to 2"]);
    assertEquals(reasonOf(report, "shelf"), "from version 1 to 2");
  });
  await t.step("an upgrade that skips too much is not supported", async () => {
    const [report, found] = await look(v3);
    assertEquals(found, { box: "unsupported", shelf: "unsupported" });
    assertEquals(report.ok, false);
    assertEquals(reasonOf(report, "box"), 'its record has version 1, handler "box-v1" reads 2 to 3');
    assertMatch(reasonOf(report, "shelf") ?? "", /state "shelf": it has version 1, this build reads 2 to 3/);
    await refused(v3, /Cannot take back "box": its record has version 1/, 0, "v1");
  });
  await t.step("what the check promised is what the update does", async () => {
    await held.commits(v2, "v2");
    assertEquals(await shelf(), [["cup", "plate"], 1, 1]);
    await held.client.text("/put?thing=jug");
    await held.commits(v3, "v3");
    assertEquals(await shelf(), [["cup", "plate", "jug"], 2, 2]);
  });
  await t.step("a downgrade to a build that does not read it is refused", async () => {
    const [report, found] = await look(v2);
    assertEquals([report.ok, found], [false, { box: "unsupported", shelf: "unsupported" }]);
    await refused(v2, /has version 3, handler "box-v1" reads 1 to 2/, 2, "v3");
    const { code, stdout, stderr } = await held.app.cli("check", ["--build", v2]);
    assertEquals(code, 1);
    assertMatch(stdout, /would not take over/);
    assertMatch(stdout, /unsupported +heirloom \d+ "box" \(box-v1\) +its record has version 3/);
    assertMatch(stdout, /unsupported +state "shelf" \(version 3\) +.*this build reads 1 to 2/);
    assertMatch(stderr, /would not take over: .*Cannot take back "box"/);
  });
  await t.step("a state alone can keep a build from taking over", async () => {
    const [report, found] = await look(half);
    assertEquals([report.ok, found], [false, { box: "needs migration", shelf: "unsupported" }]);
    await refused(half, /state "shelf": it has version 3, this build reads 1 to 2/, 2, "v3");
  });
  await t.step("a downgrade within the range migrates back", async () => {
    const [report, found] = await look(v2wide);
    assertEquals([report.ok, found], [true, { box: "needs migration", shelf: "needs migration" }]);
    assertEquals(reasonOf(report, "shelf"), "from version 3 to 2");
    await held.commits(v2wide, "v2w");
    assertEquals(await shelf(), [["cup", "plate", "jug"], 3, 3]);
  });
  await t.step("a build without the handler", async () => {
    const report = await held.app.check({ build: await all.write("without", { label: "none" }) });
    const found = verdicts(report);
    assertEquals([report.ok, found["box"], found["state shelf"]], [false, "unsupported", "unclaimed"]);
    assertEquals(reasonOf(report, "box"), 'no handler is called "box-v1"');
  });
  await t.step("a handler whose own look at the record fails", async () => {
    const parts = versioned({ label: "v3", writes: 3, handler: [1, 3] });
    const check = 'reads: [1, 3],\n  check() { throw new Error("it is cracked"); },';
    const before = parts.before!.replace("reads: [1,3],", check);
    assert(before.includes(check));
    const report = await held.app.check({ build: await all.write("cracked", { ...parts, before }) });
    assertEquals([report.ok, verdicts(report)["box"]], [false, "unsupported"]);
    assertEquals(reasonOf(report, "box"), "it is cracked");
    assertMatch(report.reason ?? "", /Cannot take back "box": it is cracked/);
  });
});

Deno.test("what a build would drop is unclaimed, which is no reason against it", async () => {
  await using all = builds();
  const library = `${heirloomRoot()}/mod.ts`;
  const first = await all.write("first", {
    before: `import { createMemfd } from "${library.replace("mod.ts", "sys/mod.ts")}";`,
    use: 'live.device.createSession("mine").preserveFd(createMemfd("mine").fd, 7n);',
  });
  const small = (use: string): string =>
    `import { open } from "${library}";
const live = await open();
${use}
await live.ready();
`;
  const bare = await all.write("bare", small(""));
  const keeping = await all.write(
    "keeping",
    small(`for (const name of ["memory", "log", "web", "lines"]) live.keep(name);
live.device.retrieveSession("mine").retrieveFd(7n)[Symbol.dispose]();`),
  );
  await using held = await startHeld(first, freePort());
  const report = await held.app.check({ build: bare });
  const dropped = Object.fromEntries(Object.keys(ALL_OK).map((name) => [name, "unclaimed"]));
  assertEquals([report.ok, report.reason], [true, null]);
  assertEquals(verdicts(report), { ...dropped, "@control": "ok", "mine 7": "unclaimed" });
  assertMatch(reasonOf(report, "memory") ?? "", /does not take it back: it is dropped at the commit/);
  assertMatch(reasonOf(report, "lines") ?? "", /does not declare it: it is dropped at the commit/);
  assertMatch(report.tokens.find(({ session }) => session === "mine")?.reason ?? "", /before ready\(\)/);

  const { code, stdout } = await held.app.cli("check", ["--build", bare]);
  assertEquals(code, 0);
  assertMatch(stdout, /unclaimed +heirloom \d+ "memory" \(memfd-v1\)/);
  assertMatch(stdout, /1 of 5 tokens ok, 0 of 1 states ok/);
  assertEquals(verdicts(await held.app.check({ build: keeping })), { ...ALL_OK, "mine 7": "ok" });
  await held.holds("v1", 0);
});

Deno.test("while an update runs there is no check, and an update that begins ends one", async () => {
  await using all = builds();
  const use = `const gate = Promise.withResolvers();
live.on("quiesce", (event) => { console.log("quiescing"); event.waitUntil(gate.promise); });`;
  const routes = '  if (path === "/gate") { gate.resolve(undefined); return new Response("open"); }';
  const first = await all.write("first", { use, routes, options: "{ quiesceTimeoutMs: 60_000 }" });
  const second = await all.write("second", { label: "v2" });
  const hanging = await all.write("hanging", "setInterval(() => {}, 1000);");
  await using held = await startHeld(first, freePort());
  // What the service looks at after its start is a child too.
  await untilSnapshot(held.app);
  const checked = held.app.check({ build: hanging });
  await waitFor(() => held.app.processes().length === 2, { what: "the child of the check" });
  const update = held.app.upgrade({ build: second });
  const cut = await checked;
  assertEquals([cut.ok, cut.reason], [false, "Cannot finish the check: an update began"]);
  await waitFor(() => held.app.output().stdout.includes("quiescing"), { what: "the update" });

  const busy = await assertRejects(() => held.app.check({ build: second }), ControlCallError);
  assertEquals([busy.status, busy.code], [409, "EBUSY"]);
  const { code, stdout, stderr } = await held.app.cli("check", ["--build", second, "--json"]);
  assertEquals([code, stdout], [1, ""]);
  assertMatch(stderr, /Cannot check: the service is updating/);
  await once(held.port, "/gate");
  assertEquals((await update).outcome, "committed");
  assertEquals((await held.app.check({ build: first })).ok, true);
});

Deno.test("the service does not notice checks: nothing is left of them, and no request waits for long", async () => {
  await using all = builds();
  const good = await all.write("good", { label: "v2" });
  const bad = await all.write("bad", { ready: 'throw new Error("not this one");' });
  const port = freePort();
  await using held = await startHeld(await all.write("first"), port);
  // The first one loads what checks need.
  await untilSnapshot(held.app);
  await held.app.check({ build: good });
  const before = await snapshot(held.app);
  const target = { hostname: "127.0.0.1", port };
  const load = startLoad({ target, keepAlive: 4, keepAlivePeriodMs: 50, newPerSecond: 20 });
  for (let round = 0; round < 3; round++) {
    const [one, two] = await Promise.all([
      held.app.check({ build: good }),
      held.app.check({ build: bad }),
    ]);
    assertEquals([one.ok, two.ok], [true, false], `${one.reason}`);
  }
  const report = await load.stop();
  assertNoFailures(report);
  assertEquals(report.keepAliveClosed, 0);
  assertNothingLost(before, await snapshot(held.app), {
    updates: 0,
    ignore: (each) => each.includes(" to "),
  });
  assertEquals(held.app.processes().map(({ pid }) => pid), [held.app.pid]);
  assertEquals(await held.app.history(), [], "a check is no update");
  await held.holds("v1", 0);
});

Deno.test("check is exit 2 for wrong usage, 3 without a service, 4 without an answer", async () => {
  await using all = builds();
  await using held = await startHeld(await all.write("first"), freePort());
  for (const args of [["extra"], ["--timeout", "soon"], ["--build"], ["--no-guardian"]]) {
    const { code, stdout } = await held.app.cli("check", args);
    assertEquals([code, stdout], [2, ""], args.join(" "));
  }
  const cli = [Deno.execPath(), "run", "-A", `${heirloomRoot()}/main.ts`, "check"];
  assertEquals((await runCommand([...cli, "--socket", `${all.path}/none.sock`])).code, 3);
  held.app.signal("SIGSTOP");
  try {
    const { code, stdout } = await held.app.cli("check", ["--timeout", "0.1"]);
    assertEquals([code, stdout], [4, ""]);
  } finally {
    held.app.signal("SIGCONT");
  }
  await held.holds("v1", 0);
});
