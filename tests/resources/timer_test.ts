import { assert, assertEquals, assertMatch } from "@std/assert";

import { timerClockNs } from "../../sys/timerfd.ts";
import { type TestApp, waitFor } from "../../testing/mod.ts";
import { READY_IN_CHECK } from "../update/_fixtures.ts";
import { carries, descriptorOf, fdInfoOf, running } from "./_kit.ts";
import { refusesSwapped, SWAP_ROUTE, SWAPPING } from "./_swap.ts";

const HOUR_NS = 3_600_000_000_000n;
const SOON = { timeoutMs: 30_000, intervalMs: 5 };

/** What `/proc` shows of a timer. */
async function seen(app: TestApp, name: string): Promise<Record<string, string>> {
  const text = await fdInfoOf(app, name);
  return Object.fromEntries(
    [...text.matchAll(/^(clockid|ticks|settime flags|it_value|it_interval): (.*)$/gm)].map((
      [, key, value],
    ) => [
      key,
      value,
    ]),
  );
}

/** Nanoseconds in a pair such as `(99, 999978684)`. */
function timeOf(pair = ""): bigint {
  const [, seconds = "-1", nanoseconds = "0"] = /^\((\d+), (\d+)\)$/.exec(pair) ?? [];
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
}

/** Asserts to the nanosecond that a timer expires at that time: its clock is looked at before and after. */
async function assertDeadline(app: TestApp, name: string, deadline: bigint): Promise<void> {
  const { fd } = await descriptorOf(app, name);
  const clock = name === "wall" ? "realtime" : "monotonic";
  const before = timerClockNs(clock);
  const text = Deno.readTextFileSync(`/proc/${app.pid}/fdinfo/${fd}`);
  const after = timerClockNs(clock);
  const left = timeOf(/^it_value: (.*)$/m.exec(text)?.[1]);
  assert(
    left >= 0n && before + left <= deadline && deadline <= after + left,
    `${left} left until ${deadline}`,
  );
}

Deno.test("timers expire when they would have, to the nanosecond, seen from outside", async (t) => {
  const monotonic = timerClockNs("monotonic") + HOUR_NS + 123_456_789n;
  const wall = timerClockNs("realtime") + 24n * HOUR_NS + 987_654_321n;
  await carries(t, {
    use: `const deadline = await live.timer("deadline");
const wall = await live.timer("wall", { clock: "realtime" });
const off = await live.timer("off", { clock: "boottime" });
if (deadline.isNew) deadline.set({ at: ${monotonic}n, everyMs: 90061.000001 });
if (!wall.running) wall.set({ at: ${wall}n });`,
    routes: `  if (path === "/timers") {
    return Response.json([deadline, wall, off].map(({ isNew, running, clock }) => [isNew, running, clock]));
  }`,
    async look({ app }) {
      await assertDeadline(app, "deadline", monotonic);
      await assertDeadline(app, "wall", wall);
      const all = await Promise.all(["deadline", "wall", "off"].map((name) => seen(app, name)));
      return all.map(({ it_value: _, ...rest }) => rest);
    },
    async works({ app, ask }) {
      const [deadline, wallTimer, off] = await Promise.all(
        ["deadline", "wall", "off"].map((name) => seen(app, name)),
      );
      assertEquals(
        [deadline?.["clockid"], deadline?.["it_interval"], deadline?.["settime flags"]],
        ["1", "(90, 61000001)", "01"],
      );
      assertEquals([wallTimer?.["clockid"], wallTimer?.["it_interval"]], ["0", "(0, 0)"]);
      assertEquals([off?.["clockid"], off?.["it_value"]], ["7", "(0, 0)"]);
      assertEquals(JSON.parse(await ask("/timers")), [
        [false, true, "monotonic"],
        [false, true, "realtime"],
        [false, false, "boottime"],
      ]);
    },
  });
});

/** Counts what it is told of, in a state that crosses; `/total` looks at count and deadline in one moment. */
const COUNTING = {
  use: `let total = 0;
live.state("total", { version: 1, save: () => total, load: (value) => void (total = Number(value)) });
const tick = await live.timer("tick", { expired: (count) => void (total += Number(count)) });
if (tick.isNew) tick.set({ at: BigInt(Deno.args[1]!), everyMs: 100 });`,
  routes: `  if (path === "/total") {
    const left = tick.remaining();
    return Response.json([total, Number(tick.now() - BigInt(Deno.args[1]!)) / 1e6 + left!.ms]);
  }`,
};

/** Stands still until the timer has expired, and says so. */
const untilExpired = (label: string): string =>
  `${READY_IN_CHECK}console.log("waiting");
while (!/^ticks: [1-9]/m.test(Deno.readTextFileSync(\`/proc/self/fdinfo/\${tick.fd}\`))) {
  await new Promise((resolve) => setTimeout(resolve, 5));
}
if (tick.take() !== null) throw new Error("it was taken before the commit");
console.log("expired before ${label}");
`;

Deno.test("what expires in the pause is counted once by who is ready then, whatever becomes of the update", async () => {
  const start = timerClockNs("monotonic") + 500_000_000n;
  await using service = await running({ ...COUNTING, args: [String(start)] });
  const { app, ask } = service;
  const ends = [
    ["committed", "await live.ready();"],
    // What is set before it is ready, the build that comes back does not know of.
    ["rolled-back", `tick.set({ everyMs: 1 }); throw new Error("no luck");`],
    ["recovered", `tick.clear(); Deno.kill(Deno.pid, "SIGKILL");`],
    ["committed", "await live.ready();"],
  ] as const;
  for (const [index, [outcome, then]] of ends.entries()) {
    const label = `v${index + 2}`;
    await service.ends(outcome, { ...COUNTING, label, ready: `${untilExpired(label)}${then}` });
    assertMatch(app.output().stdout, new RegExp(`expired before ${label}`));
    // The next time is the beginning and an interval for each that was counted: none is missing, none counts twice.
    await waitFor(async () => {
      const [total, next] = JSON.parse(await ask("/total")) as [number, number];
      return total > 0 && Math.abs(next - 100 * total) < 40;
    }, { ...SOON, what: "the count to be that of the clock" });
  }
});

Deno.test("a deadline that passes in the pause is heard of once, by the build that is ready then", async () => {
  const parts = {
    use: `const heard: string[] = [];
const tick = await live.timer("tick", { expired: (count) => void heard.push(\`\${count} in \${live.generation}\`) });
live.on("quiesce", () => tick.set({ inMs: 1 }));`,
    routes:
      `  if (path === "/heard") return new Response(heard.join(", ") + (tick.running ? " running" : ""));`,
  };
  await using service = await running(parts);
  await service.ends("rolled-back", { ...parts, ready: `${untilExpired("v2")}throw new Error("no luck");` });
  const heard = (what: string): Promise<unknown> =>
    waitFor(async () => await service.ask("/heard") === what, { ...SOON, what: `"${what}"` });
  await heard("1 in 0");
  await service.commits({ ...parts, ready: `${untilExpired("v3")}await live.ready();` });
  await heard("1 in 1");
});

Deno.test("a timer of another clock or under another kind is refused by the check; a swapped one is healed", async () => {
  const use = `const tick = await live.timer("tick", { clock: "boottime" });
if (tick.isNew) tick.set({ inMs: 3_600_000 });`;
  const routes =
    `${SWAP_ROUTE}  if (path === "/left") return new Response(String(tick.remaining()!.ms > 3_000_000));`;
  const parts = { before: SWAPPING, use, routes };
  await using service = await running(parts);
  const still = async (): Promise<void> => {
    const { it_value, ticks } = await seen(service.app, "tick");
    assert(timeOf(it_value) > HOUR_NS - 600_000_000_000n, it_value);
    assertEquals([ticks, await service.ask("/left")], ["0", "true"]);
  };
  const bad: readonly (readonly [string, RegExp])[] = [
    [`await live.timer("tick");`, /clock monotonic: what was handed over has the clock boottime/],
    [`await live.timer("tick", { clock: "tai" as "boottime" });`, /no clock "tai"/],
    [`await live.eventfd("tick");`, /handed over as a timer/],
    [`${use}\ntick.set({ inMs: -1 });`, /Cannot set a timer to inMs -1/],
    // In a check it is the build's own: a timer of the same clock that is not set, and works.
    [
      `${use}
if (live.checking) {
  tick.set({ inMs: 3_600_000 });
  throw new Error([tick.isNew, tick.remaining()!.ms > 3_000_000, tick.take()].join(" "));
}`,
      /false true $/m,
    ],
  ];
  for (const [use, reason] of bad) {
    await service.refuses({ use }, reason);
    await still();
  }
  const next = { ...parts, label: "v2" };
  await refusesSwapped(service, "tick", "eventfd", "a timer", next);
  await still();
  await service.commits(next);
  await still();
});
