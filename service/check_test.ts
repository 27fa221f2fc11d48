import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";

import { sampleReport as controlReport } from "../control/helpers_test.ts";
import type { CheckReport } from "../control/types.ts";
import type { CheckCommand } from "./args.ts";
import { check } from "./check.ts";
import { BrokenConnectionError, ControlError, NoServiceError } from "./control_client.ts";
import { BUILD, cli, type FakeService, json, printed, startFake } from "./helpers_test.ts";

function sampleReport(changes: Partial<CheckReport> = {}): CheckReport {
  return controlReport({ build: BUILD, ...changes });
}

/** Would be taken over only in part. */
const MIXED = sampleReport({
  tokens: [
    {
      ...{ session: "heirloom", token: "1", name: "web", compatible: "listener-v1" },
      ...{ verdict: "ok", reason: null },
    },
    {
      ...{ session: "heirloom", token: "2", name: "old", compatible: "memfd-v1" },
      ...{ verdict: "unclaimed", reason: "this build does not take it back" },
    },
    {
      ...{ session: "web", token: "18446744073709551615", name: null, compatible: "file-v1" },
      ...{ verdict: "needs migration", reason: "from version 1 to 2" },
    },
  ],
  states: [
    { name: "seen", version: 3, verdict: "unsupported", reason: "it reads 1 to 2" },
    { name: "lost", version: null, verdict: "unclaimed", reason: null },
    { name: "kept", version: 1, verdict: "ok", reason: null },
  ],
});

const checking = (report: CheckReport): Promise<FakeService> =>
  startFake((_request, response) => json(response, 200, report));

function commandFor(socket: string, changes: Partial<CheckCommand> = {}): CheckCommand {
  return {
    ...{ command: "check", socket, json: false, timeoutMs: 20_000 },
    ...{ build: undefined, deno: undefined, heirloom: undefined },
    ...changes,
  };
}

Deno.test("check() gives 0 and a summary for a build that would take over everything", async () => {
  await using fake = await checking(sampleReport({ stderr: "Download npm:x\n" }));
  const printout = await printed(async () => assertEquals(await check(commandFor(fake.socket)), 0));
  assertEquals(printout, {
    out: [
      "1.0.0 0123456789ab (/srv/app.ts) would take over, ready after 231.4 ms\n" +
      "1 of 1 tokens ok, 1 of 1 states ok",
    ],
    err: [],
  });
});

Deno.test("check() lists what would not be taken over as it is, also for a build that would take over", async () => {
  await using fake = await checking(MIXED);
  const { out, err } = await printed(async () => assertEquals(await check(commandFor(fake.socket)), 0));
  assertEquals(out[0]?.split("\n"), [
    "1.0.0 0123456789ab (/srv/app.ts) would take over, ready after 231.4 ms",
    '  unclaimed        heirloom 2 "old" (memfd-v1)         this build does not take it back',
    "  needs migration  web 18446744073709551615 (file-v1)  from version 1 to 2",
    '  unsupported      state "seen" (version 3)            it reads 1 to 2',
    '  unclaimed        state "lost"',
    "1 of 3 tokens ok, 1 of 3 states ok",
  ]);
  assertEquals([out.length, err], [1, []]);
});

Deno.test("check() gives 1 for a build that would not, with the reason and its last output on stderr", async () => {
  const stderr = "error: Uncaught (in promise) Error: no\n    at file:///srv/app.ts:1:7\n";
  const report = { ok: false, startup_ms: null, reason: "it ended with status 1", stderr };
  await using fake = await checking(sampleReport({ ...report, tokens: [], states: [] }));
  const { out, err } = await printed(async () => assertEquals(await check(commandFor(fake.socket)), 1));
  assertEquals(out, ["1.0.0 0123456789ab (/srv/app.ts) would not take over\n0 of 0 tokens ok"]);
  assertEquals(err, [
    "heirloom: 1.0.0 0123456789ab (/srv/app.ts) would not take over: it ended with status 1",
    "  error: Uncaught (in promise) Error: no\n      at file:///srv/app.ts:1:7",
  ]);
});

Deno.test("check() asks for what it is told, with absolute paths", async () => {
  await using fake = await checking(sampleReport());
  const changes = { build: "v2.ts", deno: "/usr/bin/deno", heirloom: "../h", timeoutMs: 500 };
  await printed(() => check(commandFor(fake.socket, changes)));
  await printed(() => check(commandFor(fake.socket)));
  const bodies = fake.requests.map((line) => JSON.parse(line.replace("POST /v1/check ", "")));
  assertEquals(bodies, [
    {
      build: `${Deno.cwd()}/v2.ts`,
      deno: "/usr/bin/deno",
      heirloom: `${Deno.cwd()}/../h`,
      timeout_ms: 500,
    },
    { timeout_ms: 20_000 },
  ]);
});

Deno.test("check() takes nothing for a yes but a yes", async () => {
  await using fake = await startFake((_request, response) =>
    json(response, 200, { ...sampleReport({ reason: null }), ok: "yes" })
  );
  const { err } = await printed(async () => assertEquals(await check(commandFor(fake.socket)), 1));
  assertStringIncludes(err[0] ?? "", "would not take over: the service gives no reason");
});

Deno.test("check() throws where there is no report", async () => {
  const message = "Cannot check: update z9 is under way";
  await using busy = await startFake((_request, response) =>
    json(response, 409, { error: { code: "EBUSY", message } })
  );
  assertEquals(
    (await assertRejects(() => check(commandFor(busy.socket)), ControlError, message)).code,
    "EBUSY",
  );
  await assertRejects(() => check(commandFor("/nowhere/s.sock")), NoServiceError);
  await using broken = await startFake((request) => void request.socket.destroy());
  await assertRejects(() => check(commandFor(broken.socket)), BrokenConnectionError);
});

Deno.test("check --json prints the report and nothing else, and exits 0 or 1", async () => {
  await using good = await checking(MIXED);
  const yes = await cli(["check", "--json", "--socket", good.socket]);
  assertEquals([yes.code, yes.stdout, yes.stderr], [0, `${JSON.stringify(MIXED)}\n`, ""]);

  const report = sampleReport({ ok: false, reason: "it hangs", stderr: "one\ntwo\n" });
  await using bad = await checking(report);
  const no = await cli(["check", "--json", "--socket", bad.socket]);
  assertEquals([no.code, no.stdout], [1, `${JSON.stringify(report)}\n`]);
  assertEquals(
    no.stderr,
    "heirloom: 1.0.0 0123456789ab (/srv/app.ts) would not take over: it hangs\n",
  );
});

Deno.test("check exits 1 where the service does not check, 3 where there is none, 4 where it breaks off", async () => {
  await using busy = await startFake((_request, response) =>
    json(response, 409, { error: { code: "EBUSY", message: "Cannot check: update z9 is under way" } })
  );
  const refused = await cli(["check", "--json", "--socket", busy.socket]);
  assertEquals([refused.code, refused.stdout], [1, ""]);
  assertEquals(refused.stderr, "heirloom: Cannot check: update z9 is under way\n");
  const nobody = await cli(["check", "--socket", `${busy.socket}x`]);
  assertEquals([nobody.code, nobody.stdout], [3, ""]);
  await using broken = await startFake((request) => void request.socket.destroy());
  assertEquals((await cli(["check", "--socket", broken.socket])).code, 4);
  assertEquals((await cli(["check", "--timeout", "0", "--socket", broken.socket])).code, 2);
});

Deno.test("check waits a little longer than the build may take, and exits 4 after that", async () => {
  const report = sampleReport({ ok: false, reason: "it is not ready after 0.1 s", startup_ms: null });
  await using slow = await startFake((_request, response) => {
    setTimeout(() => json(response, 200, report), 1500);
  });
  await using silent = await startFake(() => {});
  const begun = performance.now();
  const run = (socket: string) => cli(["check", "--timeout", "0.1", "--socket", socket]);
  const [told, untold] = await Promise.all([run(slow.socket), run(silent.socket)]);
  assertEquals([told.code, untold.code, untold.stdout], [1, 4, ""]);
  assertStringIncludes(told.stderr, "would not take over: it is not ready after 0.1 s");
  assertEquals(untold.stderr, `heirloom: Cannot ask ${silent.socket}: no answer after 5.1 s\n`);
  assert(performance.now() - begun >= 5100);
});
