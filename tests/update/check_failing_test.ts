import { assert, assertEquals, assertMatch } from "@std/assert";
import { assertNothingLost, freePort, snapshot } from "../../testing/mod.ts";
import { untilSnapshot } from "./_deployed.ts";
import { type AppParts, builds, LIBRARY, startHeld } from "./_fixtures.ts";

/** Largest text that a report quotes from a build, in characters. */
const TAIL = 4096;

const PREFIX = "heirloom-preflight";

/** Prints a text of many megabytes. */
const FLOODS =
  'for (let i = 0; i < 24; i++) console.log("garbage ".repeat(1 << 17)); console.error("x".repeat(1 << 22));';

/** Prints a line that looks like the report, with the nonce of this very check or with another one. */
function forges(report: string, nonce = 'Deno.env.get("HEIRLOOM_PREFLIGHT").split(":")[2]'): string {
  return `console.log("\\n${PREFIX}:" + ${nonce} + ':${report}');`;
}

const YES = '{"ok":true,"reason":null,"tokens":[],"states":[]}';

/** What a build does in the check, and what the report says of it: null when it is fine. */
const CASES: readonly (readonly [name: string, build: AppParts | string, reason: RegExp | null])[] = [
  ["a syntax error", "const = ;", /Cannot load build .*main\.ts/],
  ["an import that is not there", 'import "./none.ts";', /none\.ts/],
  ["throws at load", 'throw new Error("no luck");', /ended before ready\(\) \(exit status 1\): .*no luck/],
  ["throws a value that is no error", "throw 7;", /ended before ready\(\) \(exit status 1\): .*7/],
  ["exits with 0", "Deno.exit(0);", /ended before ready\(\) \(exit status 0\)$/],
  ["exits with 7", "Deno.exit(7);", /ended before ready\(\) \(exit status 7\)$/],
  ["exits with 7 after open()", { use: "Deno.exit(7);" }, /ended before ready\(\) \(exit status 7\)$/],
  ["kills itself", 'Deno.kill(Deno.pid, "SIGKILL");', /ended before ready\(\) \(SIGKILL\)$/],
  ["waits for nothing", "await new Promise(() => {});", /ended before ready\(\) \(exit status 1\): .*await/],
  [
    "a rejection right behind ready()",
    { ready: 'live.ready(); Promise.reject(new Error("too soon"));' },
    /it said that it is ready, and ended with exit status 1: .*too soon/,
  ],
  [
    "exits with 3 right behind ready()",
    { ready: "live.ready(); Deno.exit(3);" },
    /ready, and ended with exit status 3$/,
  ],
  ["prints garbage and is ready", { before: FLOODS }, null],
  ["prints garbage and throws", `${FLOODS} throw new Error("flooded");`, /exit status 1\): .*flooded/],
  [
    "garbage in the middle of a line",
    { before: "Deno.stdout.writeSync(new Uint8Array([0, 255, 10, 195]));" },
    null,
  ],
  [
    "forges a report of another check",
    forges(YES, '"00".repeat(16)'),
    /ended before ready\(\) \(exit status 0\)$/,
  ],
  ["forges a report that is none", forges('{"ok":"yes"}'), /its report cannot be read$/],
  ["forges a report that is no JSON", forges("{ok"), /ended before ready\(\) \(exit status 0\)$/],
  [
    "forges a report, and says something else itself",
    { before: forges(YES), ready: 'live.abandon("the real word");' },
    /it abandoned: the real word$/,
  ],
  [
    "reads its standard input",
    { before: 'console.error("read", Deno.stdin.readSync(new Uint8Array(8)));' },
    null,
  ],
  ["closes its standard input", { before: "Deno.stdin.close();" }, null],
  ["listens for signals", {
    before: 'for (const name of ["SIGTERM", "SIGINT", "SIGUSR2"]) Deno.addSignalListener(name, () => {});',
  }, null],
  ["binds a free port before open()", { before: "Deno.listen({ port: 0 });" }, null],
  [
    "binds the port of the service before open()",
    { before: "Deno.listen({ hostname: '127.0.0.1', port: Number(Deno.args[0]) });" },
    /AddrInUse/,
  ],
  [
    "replaces the console",
    { before: "console.log = console.error = () => { throw new Error('mute'); };" },
    null,
  ],
  ["opens twice", { use: `await open();` }, /open already/],
];

Deno.test("check says what is wrong with a build, and the service does not notice", async (t) => {
  await using all = builds();
  await using held = await startHeld(await all.write("first"), freePort());
  // The first one loads what checks need.
  await untilSnapshot(held.app);
  await held.app.check();
  const before = await snapshot(held.app);
  for (const [at, [name, build, reason]] of CASES.entries()) {
    await t.step(name, async () => {
      const path = await all.write(`build-${at}`, build);
      const report = await held.app.check({ build: path });
      assertEquals(
        [report.ok, report.reason === null],
        [reason === null, reason === null],
        `${report.reason}`,
      );
      assertEquals(report.build.path, path);
      assert(report.stderr.length <= TAIL, `${report.stderr.length} characters of stderr`);
      if (reason !== null) {
        const [line = "", ...more] = report.reason!.split("\n");
        assertMatch(line, reason);
        assert(report.reason!.length <= 2 * TAIL && more.length <= 12, `a reason of ${more.length} lines`);
        assert(line.startsWith("Cannot"), line);
      }
      assertEquals(held.app.processes().map(({ pid }) => pid), [held.app.pid], "no child is left");
      // An idle connection would be closed some day.
      assertEquals(await held.client.text("/"), "v1");
    });
  }
  assertNothingLost(before, await snapshot(held.app), { updates: 0 });
  assertEquals(await held.app.history(), []);
  await held.holds("v1", 0);
});

Deno.test("check ends a build that hangs when the time is up, whatever it listens to", async (t) => {
  await using all = builds();
  await using held = await startHeld(await all.write("first"), freePort());
  const deaf = 'for (const name of ["SIGTERM", "SIGINT"]) Deno.addSignalListener(name, () => {});';
  const cases: [string, AppParts | string][] = [
    ["a server that does not say that it is ready", { ready: "setInterval(() => {}, 1000);" }],
    ["an await that never resolves", `${deaf} setInterval(() => {}, 1000); await new Promise(() => {});`],
    ["an endless loop", "console.error('round and round'); while (true);"],
    ["an endless loop right behind ready()", { ready: "live.ready(); while (true);" }],
  ];
  for (const [at, [name, build]] of cases.entries()) {
    await t.step(name, async () => {
      const path = await all.write(`hanging-${at}`, build);
      const begun = performance.now();
      const { code, stdout, stderr } = await held.app.cli("check", [
        "--build",
        path,
        "--timeout",
        "2",
        "--json",
      ]);
      const ms = performance.now() - begun;
      assertEquals(code, 1, stderr);
      assert(ms >= 2000 && ms < 6500, `${ms} ms`);
      const report = JSON.parse(stdout);
      assertEquals([report.ok, report.startup_ms === null], [false, !name.endsWith("ready()")]);
      assertMatch(report.reason, /in the check, it was not ready in time/);
      assertMatch(stderr, /would not take over: .*it was not ready in time/);
      assertEquals(held.app.processes().map(({ pid }) => pid), [held.app.pid], "the child is gone");
      await held.holds("v1", 0);
    });
  }
});

Deno.test("check of a build that starts others: the report is not waited for any longer than the build", async () => {
  await using all = builds();
  const before = `const child = new Deno.Command("sleep", { args: ["30"], stdin: "null" }).spawn();
child.unref();
console.error("child", child.pid);`;
  await using held = await startHeld(await all.write("first"), freePort());
  const report = await held.app.check({ build: await all.write("second", { before }) });
  const pid = Number(/child (\d+)/.exec(report.stderr)?.[1]);
  assert(pid > 0, report.stderr);
  Deno.kill(pid, "SIGKILL");
  assertEquals([report.ok, report.reason], [true, null]);
  assert(report.startup_ms! < 15_000, `${report.startup_ms} ms`);
});

Deno.test("check of what cannot be found, or a runtime that is none, is a report", async () => {
  await using all = builds();
  await using held = await startHeld(await all.write("first"), freePort());
  const runtime = `${all.path}/runtime`;
  await Deno.writeTextFile(runtime, "#!/bin/sh\nexit 3\n", { mode: 0o755 });
  for (
    const [options, reason] of [
      [{ build: `${all.path}/nowhere` }, /nowhere: it does not exist/],
      [{ deno: `${all.path}/nowhere` }, /runtime .*nowhere: it does not exist/],
      [{ deno: runtime }, /Cannot .*runtime/],
      [{ heirloom: all.path }, /Cannot use Heirloom/],
    ] as const
  ) {
    const report = await held.app.check(options);
    assertEquals([report.ok, report.tokens, report.states], [false, [], []]);
    assertMatch(report.reason ?? "", reason);
  }
  const { code, stdout, stderr } = await held.app.cli("check", ["--build", `${all.path}/nowhere`]);
  assertEquals(code, 1, stdout);
  assertMatch(stderr, /would not take over: Cannot use build .*nowhere: it does not exist/);
  await held.holds("v1", 0);
});

Deno.test("a service that cannot save its state says so in the check, and goes on", async () => {
  await using all = builds();
  const use = `let broken = true;
live.state("odd", { version: 1, load: () => {}, save() { if (broken) throw new Error("not now"); return 1; } });`;
  const routes = '  if (path === "/mend") { broken = false; return new Response("mended"); }';
  const entry = await all.write("first", { use, routes });
  await using held = await startHeld(entry, freePort());
  const report = await held.app.check();
  assertEquals([report.ok, report.reason], [false, "not now"]);
  const record = await held.app.upgrade();
  assertEquals([record.outcome, record.reason], ["refused", "not now"]);
  await held.client.text("/mend");
  assertEquals((await held.app.check()).ok, true);
  await held.holds("v1", 0);
});

Deno.test("an application that was started by hand is checked as well, and a stolen standard input is told", async () => {
  await using all = builds();
  await using held = await startHeld(await all.write("first"), freePort(), { mode: "plain" });
  const good = await all.write("good", { label: "v2" });
  assertEquals((await held.app.check({ build: good })).ok, true);
  const bare = await all.write("bare", 'console.log("I know of nothing");');
  assertMatch(
    (await held.app.check({ build: bare })).reason ?? "",
    /ended before ready\(\) \(exit status 0\)/,
  );
  // Without the boot module the library is not there before the application asks for it.
  const thief = await all.write(
    "thief",
    `await new Response(Deno.stdin.readable).bytes();
const live = await (await import("${LIBRARY}")).open();
await live.ready();`,
  );
  const report = await held.app.check({ build: thief });
  assertEquals(report.ok, false);
  assertMatch(report.reason ?? "", /in the check: Cannot read the handover/);
  await held.holds("v1", 0);
  await held.commits(good, "v2");
});
