import { assert, assertEquals } from "@std/assert";
import {
  assertNoFailures,
  assertNothingLost,
  descriptors,
  freePort,
  processes,
  residentBytes,
  snapshot,
  startLoad,
  waitFor,
} from "../../testing/mod.ts";
import { builds, startHeld } from "./_fixtures.ts";

/** How many times in a row the service is updated. */
const UPDATES = 20;

/** By how much the memory of a process may differ between two moments at which it does the same. */
const RESIDENT_FACTOR = 1.25;
const RESIDENT_SLACK_BYTES = 8 * 2 ** 20;

/** Connections of the clients of a load come and go. */
function isConnection(description: string): boolean {
  return /^tcp .* to /.test(description);
}

Deno.test(`${UPDATES} updates in a row under load lose nothing that can be seen from outside`, async () => {
  await using all = builds();
  const entries = [await all.write("a", { label: "a" }), await all.write("b", { label: "b" })];
  const port = freePort();
  await using held = await startHeld(entries[0]!, port);
  const { app, client } = held;

  // One update first: it loads what updates need, and from then on a build is like the one before.
  await held.commits(entries[1]!, "b");
  const before = await snapshot(app);
  const hash = await client.text("/hash");
  const logged = Number(await client.text("/lines"));
  const resident: number[] = [];

  const load = startLoad({
    target: { hostname: "127.0.0.1", port },
    path: "/line",
    keepAlive: 8,
    keepAlivePeriodMs: 40,
    newPerSecond: 50,
    check: (body) => Number(body) > logged ? null : `the state went back to ${body}`,
  });
  for (let round = 1; round <= UPDATES; round++) {
    // Each update happens to a service that is being used.
    const answered = load.answered;
    await waitFor(() => load.answered >= answered + 20, {
      what: "answers between updates",
      timeoutMs: 60_000,
    });
    const record = await app.upgrade({ build: entries[(round - 1) % 2]! });
    assertEquals([record.outcome, record.reason], ["committed", null]);
    assertEquals([record.pid, record.generation], [before.pid, before.generation + round]);
    resident.push(residentBytes(app.pid));
  }
  const report = await load.stop();

  assertNoFailures(report);
  assertEquals([report.keepAliveClosed, report.refused, report.connects - report.fresh.sent], [0, 0, 8]);
  assertEquals(client.closed, false);
  assertEquals(await client.text("/hash"), hash);

  // Each answer is a line that was written: every number is there once, in order, over all builds.
  const lines = (await Deno.readTextFile(`${app.dir}/app.log`)).trimEnd().split("\n");
  assertEquals(lines.length, logged + report.answered);
  assertEquals(lines.findIndex((line, at) => line !== String(at + 1)), -1);
  assertEquals(await client.text("/lines"), String(lines.length));

  const after = await snapshot(app);
  assertNothingLost(before, after, { updates: UPDATES, ignore: isConnection });
  assertEquals(after.children, []);
  const log = descriptors(app.pid).filter(({ link }) => link === `${app.dir}/app.log`);
  assertEquals(log.length, 2, "one for the application, one for the session");
  const info = await Deno.readTextFile(`/proc/${app.pid}/fdinfo/${log[0]!.fd}`);
  const { size } = await Deno.stat(`${app.dir}/app.log`);
  assertEquals(/^pos:\s*(\d+)$/m.exec(info)?.[1], String(size), "the position is the end of the log");
  assertEquals(
    processes().filter(({ parent, state }) => parent === app.pid || state === "Z" && parent === Deno.pid),
    [],
  );

  const [early, late] = [median(resident.slice(0, 7)), median(resident.slice(-7))];
  assert(
    late <= early * RESIDENT_FACTOR + RESIDENT_SLACK_BYTES,
    `resident memory grew: ${resident.join(" ")}`,
  );
});

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
