import { assert, assertEquals, assertMatch } from "@std/assert";

import { addCount } from "../../sys/eventfd.ts";
import { delay, waitFor } from "../../testing/mod.ts";
import { READY_IN_CHECK } from "../update/_fixtures.ts";
import { carries, CATCHES, fdInfoOf, running, type Stage } from "./_kit.ts";
import { shared, SHARING } from "./_share.ts";
import { refusesSwapped, SWAP_ROUTE, SWAPPING } from "./_swap.ts";

/** What the kernel says of an eventfd, as numbers. */
async function seen({ app }: Pick<Stage, "app">, name: string): Promise<Record<string, number>> {
  const lines = (await fdInfoOf(app, name)).matchAll(/^eventfd-(\w+):\s*(\w+)$/gm);
  return Object.fromEntries([...lines].map(([, key = "", value = ""]) => [key, Number.parseInt(value, 16)]));
}

/** Two eventfds that nobody reads unless asked to. */
const USE = `const work = await live.eventfd("work", { initial: 7 });
const slots = await live.eventfd("slots", { initial: 3n, semaphore: true });`;

const ROUTES = `  if (path === "/turn") {
    const taken = [work.take(), slots.take(), slots.take()];
    work.add(taken[0]!);
    slots.add(2);
    return new Response(taken.concat(work.isNew ? 1n : 0n).join(" "));
  }`;

Deno.test("eventfds have the count, the identity and the mode that they had, seen from outside", async (t) => {
  let found: Record<string, number> | undefined;
  await carries(t, {
    use: USE,
    routes: ROUTES,
    look: async (stage) => {
      const [work, slots] = [await seen(stage, "work"), await seen(stage, "slots")];
      found = work;
      return [work, slots];
    },
    works: async (stage) => assertEquals(await stage.ask("/turn"), "7 1 1 0"),
  });
  assertEquals(found?.["count"], 7);
});

/** Counts what it is told of, in a state that crosses. */
const COUNTING = {
  before: SHARING,
  use: `let total = 0;
live.state("total", { version: 1, save: () => total, load: (value) => void (total = Number(value)) });
const work = await live.eventfd("work", { signalled: (value) => void (total += Number(value)) });`,
  routes: `  if (path === "/total") return new Response(String(total));
  if (path === "/share") return share(work.fd, query.get("with")!);`,
};

Deno.test("what a second process adds all along is counted once, whatever becomes of the updates", async () => {
  await using service = await running(COUNTING);
  const { ask } = service;
  using mine = await shared((name) => ask(`/share?with=${name}`));
  let [added, stopped] = [0, false];
  const adding = (async () => {
    while (!stopped) {
      assert(addCount(mine.fd, 1n));
      added++;
      await delay(1);
    }
  })();
  const ends = [
    ["committed", "await live.ready();"],
    // Neither what it takes nor what it adds before it is ready may count.
    ["rolled-back", `${READY_IN_CHECK}work.add(1000); work.take(); throw new Error("no luck");`],
    ["recovered", `${READY_IN_CHECK}work.add(1000); work.take(); Deno.kill(Deno.pid, "SIGKILL");`],
    ["committed", "work.add(5); await live.ready();"],
  ] as const;
  for (const [index, [outcome, ready]] of ends.entries()) {
    const before = added;
    await service.ends(outcome, { ...COUNTING, label: `v${index + 2}`, ready });
    assert(added > before, "nothing was added during the update");
  }
  stopped = true;
  await adding;
  await waitFor(async () => Number(await ask("/total")) >= added + 5, {
    what: "all to be counted",
    timeoutMs: 30_000,
  });
  await delay(50);
  assertEquals(Number(await ask("/total")), added + 5);
});

Deno.test("an eventfd under another kind, another mode or two names is refused, and the next update is as ever", async () => {
  const routes = `${ROUTES}
  if (path === "/twice") return await caught(() => live.inherit("twice", () => dupFd(work.fd), { type: "eventfd" }));
  if (path === "/full") {
    const answers = [work.add(2n ** 64n - 2n), work.add(2n ** 64n - 9n), work.add(1), work.take()];
    for (const bad of [-1, 2n ** 64n - 1n, 0.5]) {
      try { answers.push(work.add(bad)); } catch (error) { answers.push((error as Error).name); }
    }
    work.add(7);
    return new Response(answers.join(" "));
  }`;
  const before = `import { dupFd } from "${new URL("../../sys/mod.ts", import.meta.url).href}";\n${CATCHES}`;
  const parts = { before, use: USE, routes };
  await using service = await running(parts);
  const { ask } = service;
  assertMatch(await ask("/twice"), /^EBUSY: /);
  assertEquals(
    await ask("/full"),
    `false true false ${2n ** 64n - 2n} RangeError RangeError RangeError`,
  );
  const held = await seen(service, "work");
  const bad: readonly (readonly [string, RegExp])[] = [
    [`await live.timer("work");`, /handed over as an eventfd/],
    [`await live.segment("work", { size: 1 });`, /handed over as an eventfd/],
    [`await live.inherit("work", () => { throw new Error("never"); });`, /handed over as an eventfd/],
    [`await live.eventfd("work", { semaphore: true });`, /is a plain counter/],
    [`await live.eventfd("slots");`, /is a semaphore/],
    [`${USE}\nawait live.eventfd("work");`, /in use/],
  ];
  const semaphoreTold = held["semaphore"] !== undefined;
  if (!semaphoreTold) console.log("ignored: this kernel does not tell the mode of an eventfd");
  for (const [index, [use, reason]] of bad.entries()) {
    if (!semaphoreTold && index > 2 && index < 5) continue;
    // The check finds it: nothing has stood still.
    await service.refuses({ use }, reason);
    assertEquals(await seen(service, "work"), held);
  }
  await service.commits(parts);
  assertEquals(await seen(service, "work"), held);
  assertEquals(await ask("/turn"), "7 1 1 0");
});

Deno.test("an eventfd whose duplicate has become a timer behind our back is refused once, and healed", async () => {
  const parts = { before: SWAPPING, use: USE, routes: ROUTES + "\n" + SWAP_ROUTE };
  const next = { ...parts, label: "v2" };
  await using service = await running(parts);
  const held = await seen(service, "work");
  await refusesSwapped(service, "work", "timerfd", "an eventfd", next);
  assertEquals(await seen(service, "work"), held, "what was lost is held anew");
  await service.commits(next);
  assertEquals(await seen(service, "work"), held);
  assertEquals(await service.ask("/turn"), "7 1 1 0");
});

Deno.test("an eventfd whose duplicate has become another eventfd is refused once, and healed", async () => {
  const parts = { before: SWAPPING, use: USE, routes: ROUTES + "\n" + SWAP_ROUTE };
  const next = { ...parts, label: "v2" };
  await using service = await running(parts);
  const held = await seen(service, "work");
  const reason = /it is not the eventfd it was \(id is \d+ instead of \d+\)/;
  await refusesSwapped(service, "work", "eventfd", "an eventfd", next, reason);
  assertEquals(await seen(service, "work"), held, "what was lost is held anew");
  await service.commits(next);
  assertEquals(await seen(service, "work"), held);
  assertEquals(await service.ask("/turn"), "7 1 1 0");
});
