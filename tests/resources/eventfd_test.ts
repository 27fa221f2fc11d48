import { assert, assertEquals, assertMatch } from "@std/assert";

import { addCount } from "../../sys/eventfd.ts";
import { delay, freePort, startApp, waitFor } from "../../testing/mod.ts";
import { appText, builds, once, READY_IN_CHECK } from "../update/_fixtures.ts";
import { carries, descriptorOf, fdInfoOf, type Stage } from "./_kit.ts";
import { shared, SHARING, SWAPPING } from "./_share.ts";

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
  await using all = builds();
  const port = freePort();
  await using app = await startApp({ entry: await all.write("first", COUNTING), args: [String(port)] });
  using mine = await shared((name) => once(port, `/share?with=${name}`));
  let [added, running] = [0, true];
  const adding = (async () => {
    while (running) {
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
    const build = await all.write(`build-${index}`, appText({ ...COUNTING, label: `v${index + 2}`, ready }));
    const before = added;
    const record = await app.upgrade({ build });
    assertEquals(record.outcome, outcome, `${record.reason}\n${app.output().stderr}`);
    assert(added > before, "nothing was added during the update");
  }
  running = false;
  await adding;
  await waitFor(async () => Number(await once(port, "/total")) >= added + 5, {
    what: "all to be counted",
    timeoutMs: 30_000,
  });
  await delay(50);
  assertEquals(Number(await once(port, "/total")), added + 5);
});

Deno.test("an eventfd under another kind, another mode or two names is refused, and the next update is as ever", async () => {
  await using all = builds();
  const port = freePort();
  const routes = `${ROUTES}
  if (path === "/twice") {
    try {
      await live.inherit("twice", () => new Copy(work.fd).owned, { type: "eventfd" });
      return new Response("taken");
    } catch (error) {
      return new Response((error as { code: string }).code);
    }
  }
  if (path === "/full") {
    const answers = [work.add(2n ** 64n - 2n), work.add(2n ** 64n - 9n), work.add(1), work.take()];
    for (const bad of [-1, 2n ** 64n - 1n, 0.5]) {
      try { answers.push(work.add(bad)); } catch (error) { answers.push((error as Error).name); }
    }
    work.add(7);
    return new Response(answers.join(" "));
  }`;
  const before = `import { dupFd } from "${new URL("../../sys/mod.ts", import.meta.url).href}";
class Copy {
  owned;
  constructor(fd: number) {
    this.owned = dupFd(fd);
  }
}`;
  const entry = await all.write("first", { before, use: USE, routes });
  await using app = await startApp({ entry, args: [String(port)] });
  assertEquals(await once(port, "/twice"), "EBUSY");
  assertEquals(
    await once(port, "/full"),
    `false true false ${2n ** 64n - 2n} RangeError RangeError RangeError`,
  );
  const held = await seen({ app }, "work");
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
    const record = await app.upgrade({ build: await all.write(`bad-${index}`, { use }) });
    // The check finds it: nothing has stood still.
    assertEquals(record.outcome, "refused", `${use}: ${record.reason}`);
    assertMatch(record.reason ?? "", reason);
    assertEquals(await seen({ app }, "work"), held);
  }
  const good = await app.upgrade({ build: await all.write("good", { before, use: USE, routes }) });
  assertEquals(good.outcome, "committed", `${good.reason}`);
  assertEquals(await seen({ app }, "work"), held);
  assertEquals(await once(port, "/turn"), "7 1 1 0");
});

Deno.test("an eventfd whose duplicate has become a timer behind our back is refused once, and healed", async () => {
  await using all = builds();
  const port = freePort();
  const parts = {
    before: SWAPPING,
    use: USE,
    routes: `${ROUTES}\n  if (path === "/swap") return swap("timerfd", Number(query.get("onto")));`,
  };
  await using app = await startApp({ entry: await all.write("first", parts), args: [String(port)] });
  const held = await seen({ app }, "work");
  const { fd } = await descriptorOf(app, "work");
  await once(port, `/swap?onto=${fd}`);
  assertEquals((await descriptorOf(app, "work")).description, "timerfd");
  const next = await all.write("next", { ...parts, label: "v2" });
  const refused = await app.upgrade({ build: next });
  assertEquals(refused.outcome, "refused");
  assertMatch(refused.reason ?? "", /as an eventfd: it is anon_inode:\[timerfd\]/);
  assertEquals(await once(port, "/"), "v1");
  assertEquals(await seen({ app }, "work"), held, "what was lost is held anew");
  const good = await app.upgrade({ build: next });
  assertEquals(good.outcome, "committed", `${good.reason}`);
  assertEquals(await seen({ app }, "work"), held);
  assertEquals(await once(port, "/turn"), "7 1 1 0");
});
