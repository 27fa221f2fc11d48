import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  assertNoFailures,
  assertNothingLost,
  callControl,
  ControlCallError,
  freePort,
  snapshot,
  startLoad,
  type UpdateRecord,
  waitFor,
} from "../../testing/mod.ts";
import { untilAlone } from "./_deployed.ts";
import { type AppParts, builds, Client, type Held, once, READY_IN_CHECK, startHeld } from "./_fixtures.ts";

/** Seconds and milliseconds that the builds of this file serve before they are committed. */
const AFTER_S = 2;
const AFTER_MS = AFTER_S * 1000;

/** A second build that does something, told by a request, while it serves and is not committed yet. */
function second(does: string, parts: AppParts = {}): AppParts {
  return {
    label: "v2",
    routes: `  if (path === "/do") { setTimeout(() => { ${does} }, 20); return new Response("soon"); }`,
    ready: `live.ready().then(() => console.log("committed in the build"));`,
    ...parts,
  };
}

/** Waits until the second build answers, which it does before the commit. */
async function untilServed(held: Held, label = "v2"): Promise<void> {
  await waitFor(async () => await once(held.port, "/") === label, {
    what: `${label} to answer`,
    timeoutMs: 30_000,
  });
}

/** The times of the phases by their names. */
function phases(record: UpdateRecord): Record<string, number> {
  return Object.fromEntries(record.phases.map(({ name, ms }) => [name, ms]));
}

Deno.test("taps are open before the commit: the new build answers, and is in probation until then", async () => {
  await using all = builds();
  const build = await all.write("second", second(""));
  const port = freePort();
  await using held = await startHeld(await all.write("first"), port);
  const before = await snapshot(held.app);
  const load = startLoad({ target: { hostname: "127.0.0.1", port }, keepAlive: 2, newPerSecond: 20 });
  using operator = await Client.open({ unix: held.app.socket });
  assertEquals(JSON.parse(await operator.text("/v1/status")).state, "serving");
  const update = held.app.upgrade({ build, commitAfterS: AFTER_S });
  await untilServed(held);
  assertEquals(JSON.parse(await operator.text("/v1/status")).state, "probation", "and that of an operator");
  operator[Symbol.dispose]();
  assertEquals(await held.client.text("/"), "v2", "the connection that was carried as well");
  const { state, last_update } = await held.app.status();
  assertEquals([state, last_update], ["probation", null]);
  assertEquals(held.app.processes().length, 2, "the guardian watches still");
  assertEquals(held.app.output().stdout.includes("committed in the build"), false);
  const busy = await assertRejects(() => held.app.upgrade({ build }), ControlCallError);
  assertEquals([busy.status, busy.code], [409, "EBUSY"]);

  const record = await update;
  assertEquals([record.outcome, record.reason, record.guardian], ["committed", null, "watched"]);
  const ms = phases(record);
  assert(ms["probation"]! >= AFTER_MS && ms["probation"]! < 2 * AFTER_MS, JSON.stringify(ms));
  assert(record.blackout_ms! < AFTER_MS, `blackout ${record.blackout_ms}: nobody waited for the commit`);
  assertNoFailures(await load.stop());
  await waitFor(() => held.app.output().stdout.includes("committed in the build"), {
    what: "ready() to resolve",
  });
  await held.holds("v2", 1);
  await untilAlone(held.app);
  const passing = (each: string): boolean => each.includes(" to ");
  assertNothingLost(before, await snapshot(held.app), { updates: 1, ignore: passing });
});

const FAILURES: readonly (readonly [name: string, does: string, outcome: string, reason: RegExp])[] = [
  ["throws", 'throw new Error("cannot stand it");', "rolled-back", /threw.*cannot stand it/],
  [
    "leaves a rejection",
    'Promise.reject(new Error("nobody"));',
    "rolled-back",
    /rejection unhandled.*nobody/,
  ],
  ["exits", "Deno.exit(0);", "rolled-back", /ended before ready\(\) \(exit status 0\)/],
  ["abandons", 'live.abandon("errors everywhere");', "rolled-back", /abandoned: errors everywhere/],
  ["is killed", 'Deno.kill(Deno.pid, "SIGKILL");', "recovered", /SIGKILL/],
  ["hangs", "while (true);", "recovered", /deadline/],
];

Deno.test("a build that fails while it serves, before the commit, gives way to the old one", async (t) => {
  await using all = builds();
  for (const [name, does, outcome, reason] of FAILURES) {
    await t.step(name, async () => {
      const first = await all.write("first");
      await using held = await startHeld(first, freePort());
      const build = await all.write(name.replaceAll(" ", "-"), second(does));
      const { pid } = held.app;
      const update = held.app.upgrade({ build, commitAfterS: 4, timeoutS: 5 });
      await untilServed(held);
      assertEquals(await once(held.port, "/do"), "soon");
      const record = await update;
      assertEquals(record.outcome, outcome, `${record.reason}`);
      assertMatch(record.reason ?? "", reason);
      assertEquals([record.generation, record.pid === pid], [0, outcome === "rolled-back"]);
      assertEquals(record.guardian, outcome === "recovered" ? "acted" : "watched");
      if (outcome === "rolled-back") await held.holds("v1", 0);
      else assertEquals([await once(held.port, "/"), await held.client.text("/")], ["v1", "v1"]);
      await untilAlone(held.app);
      assertEquals((await held.app.upgrade({ build: first })).outcome, "committed");
    });
  }
});

Deno.test("the command line waits for the commit, of an upgrade and of a rollback", async () => {
  await using all = builds();
  const build = await all.write("second", second(""));
  await using held = await startHeld(await all.write("first"), freePort());
  const timed = async (command: string, ...args: string[]): Promise<[number, UpdateRecord]> => {
    const begun = performance.now();
    const { code, stdout, stderr } = await held.app.cli(command, [
      ...args,
      "--commit-after",
      "1.5",
      "--json",
    ]);
    assertEquals(code, 0, stderr);
    return [performance.now() - begun, JSON.parse(stdout)];
  };
  for (const args of [["upgrade", "--build", build], ["rollback"], ["rollback"]] as const) {
    const [ms, record] = await timed(...args as [string]);
    assertEquals(record.outcome, "committed");
    assert(ms >= 1500, `${args}: ${ms} ms`);
    assert(phases(record)["probation"]! >= 1500, JSON.stringify(record.phases));
  }
  await held.holds("v2", 3);
});

Deno.test("the time before the commit ends with the deadline of the update", async () => {
  await using all = builds();
  // It uses up so much time before it serves that the rest does not do.
  const slow = `${READY_IN_CHECK}await new Promise((resolve) => setTimeout(resolve, 1500));\nlive.ready();`;
  const build = await all.write("second", second("", { ready: slow }));
  await using held = await startHeld(await all.write("first"), freePort());
  const record = await held.app.upgrade({ build, commitAfterS: 2, timeoutS: 3 });
  assertEquals(record.outcome, "rolled-back");
  assertMatch(record.reason ?? "", /ran past its deadline before ready\(\)/);
  await held.holds("v1", 0);
});

Deno.test("a signal to stop waits for the commit as well", async () => {
  await using all = builds();
  const build = await all.write("second", second(""));
  await using held = await startHeld(await all.write("first"), freePort());
  const update = held.app.upgradeCli(["--build", build, "--commit-after", "1", "--json"]);
  await untilServed(held);
  held.app.signal("SIGTERM");
  assertEquals((await held.app.status()).state, "probation");
  const exit = await held.app.exited;
  assertEquals([exit.signal, exit.code], ["SIGTERM", 143]);
  assertMatch(exit.stderr, /committed: generation 1/);
  const { code, stdout, stderr } = await update;
  assertEquals([code, JSON.parse(stdout).outcome], [0, "committed"], stderr);
});

Deno.test("a handler that is not done at the commit keeps the build in probation, and ready() may be tried again", async () => {
  await using all = builds();
  const library = new URL("../../sys/mod.ts", import.meta.url).href;
  const before = `import { fstat, openFile } from "${library}";
let done = true;
const boxes = {
  compatible: "box-v1",
  canPreserve: ({ fd }) => fstat(fd).kind === "chardev",
  preserve(args) { args.kho.preserveFd(args.fd); args.serializedData = BigInt(args.fd); },
  unpreserve: (args) => args.kho.unpreserveFd(args.fd),
  retrieve: ({ kho, serializedData }) => kho.borrowFd(Number(serializedData)),
  canFinish: () => done,
  finish: ({ kho, serializedData }) => kho.releaseFd(Number(serializedData)),
};`;
  const parts: AppParts = {
    before,
    options: "{ handlers: [boxes] }",
    use: 'await live.inherit("box", () => openFile("/dev/zero", { read: true }));',
  };
  const build = await all.write("second", {
    ...parts,
    label: "v2",
    routes: '  if (path === "/done") { done = true; return new Response("done"); }',
    ready: `${READY_IN_CHECK}setTimeout(() => done = false, 20);
for (;;) {
  try { await live.ready(); break; } catch (error) {
    console.log("not yet:", error.code);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}`,
  });
  await using held = await startHeld(await all.write("first", parts), freePort());
  const update = held.app.upgrade({ build, commitAfterS: 0.5 });
  await waitFor(() => held.app.output().stdout.includes("not yet: EBUSY"), {
    what: "the handler",
    timeoutMs: 30_000,
  });
  using client = await Client.open(held.port);
  assertEquals(await client.text("/"), "v2", "it serves all the same");
  assertEquals((await held.app.status()).state, "probation");
  await client.text("/done");
  assertEquals((await update).outcome, "committed");
  await held.holds("v2", 1);
});

Deno.test("a time before the commit that is not before the deadline is refused", async () => {
  await using all = builds();
  await using held = await startHeld(await all.write("first"), freePort());
  const { socket } = held.app;
  for (
    const body of [
      { commit_after_ms: 30_000 },
      { commit_after_ms: 5000, timeout_ms: 5000 },
      { commit_after_ms: 5001, timeout_ms: 5000 },
      { commit_after_ms: -1 },
      { commit_after_ms: "1" },
    ]
  ) {
    const call = (): Promise<unknown> => callControl({ socket, path: "/v1/upgrade", body });
    const error = await assertRejects(call, ControlCallError);
    assertEquals([error.status, error.code], [400, "EINVAL"], JSON.stringify(body));
  }
  for (const command of ["upgrade", "rollback"]) {
    for (
      const args of [["--commit-after", "30"], ["--commit-after", "5", "--timeout", "5"], [
        "--commit-after",
        "x",
      ]]
    ) {
      const { code, stdout, stderr } = await held.app.cli(command, args);
      assertEquals([code, stdout], [2, ""], `${command} ${args.join(" ")}: ${stderr}`);
    }
  }
  assertEquals(await held.app.history(), []);
  await held.holds("v1", 0);
});
