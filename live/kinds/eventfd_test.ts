import { assertEquals, assertRejects, assertThrows } from "@std/assert";

import { LuoError } from "../../luo/errors.ts";
import { addCount, MAX_COUNT, takeCount } from "../../sys/eventfd.ts";
import { fdInfo, isOpenFd } from "../../sys/mod.ts";
import { waitFor } from "../../testing/wait.ts";
import { coldSide, memory } from "../helpers_test.ts";
import { Resources } from "../resources.ts";
import { openEventfd } from "./eventfd.ts";
import { FakeLife, turns } from "./helpers_test.ts";

/** What is in it, without taking it. */
function countOf(fd: number): bigint {
  return BigInt(`0x${fdInfo(fd).get("eventfd-count")?.trim()}`);
}

Deno.test("an eventfd of the application's own is added to and taken by hand", async () => {
  const life = new FakeLife(coldSide());
  const eventfd = await openEventfd(life, "work", { initial: 5 });
  assertEquals([eventfd.name, eventfd.isNew, countOf(eventfd.fd)], ["work", true, 5n]);
  assertEquals([eventfd.add(2), eventfd.add(3n), eventfd.add(0)], [true, true, true]);
  assertEquals([eventfd.take(), eventfd.take()], [10n, null]);
  life.ready();
  assertEquals([eventfd.add(MAX_COUNT), eventfd.add(1), eventfd.take()], [true, false, MAX_COUNT]);
  await turns();
  eventfd.add(7);
  await turns();
  assertEquals(eventfd.take(), 7n, "nobody reads it but the application");
  await life.end();
});

Deno.test("a semaphore gives one at a time", async () => {
  const life = new FakeLife(coldSide());
  const eventfd = await openEventfd(life, "work", { initial: 2n, semaphore: true });
  assertEquals([eventfd.take(), eventfd.take(), eventfd.take()], [1n, 1n, null]);
  await life.end();
});

Deno.test("add() and initial take whole numbers from 0 to 2^64 - 2 and nothing else", async () => {
  const life = new FakeLife(coldSide());
  const eventfd = await openEventfd(life, "work", {});
  for (const bad of [-1, -1n, 0.5, NaN, Infinity, 2 ** 53, MAX_COUNT + 1n]) {
    assertThrows(() => eventfd.add(bad), RangeError, "not a whole number from 0");
    await assertRejects(() => openEventfd(life, "other", { initial: bad }), RangeError);
  }
  assertEquals(countOf(eventfd.fd), 0n);
  assertEquals(life.resources.names().map(({ name }) => name), ["work"]);
  await life.end();
});

Deno.test("signalled() gets what is counted, when the application is ready and no update is under way", async () => {
  const life = new FakeLife(coldSide());
  const seen: bigint[] = [];
  const eventfd = await openEventfd(life, "work", { signalled: (value) => void seen.push(value) });
  eventfd.add(3);
  await turns();
  assertEquals(seen, []);
  life.ready();
  await waitFor(() => seen.length === 1, { what: "the first" });
  eventfd.add(4);
  await waitFor(() => seen.length === 2, { what: "the second" });
  life.pause();
  eventfd.add(5);
  await turns();
  assertEquals([seen, eventfd.take()], [[3n, 4n], null]);
  life.resume();
  await waitFor(() => seen.length === 3, { what: "the third" });
  assertEquals(seen, [3n, 4n, 5n]);
  await life.end();
});

Deno.test("signalled() of a semaphore is called once for each", async () => {
  const life = new FakeLife(coldSide());
  const seen: bigint[] = [];
  await openEventfd(life, "work", {
    initial: 3,
    semaphore: true,
    signalled: (value) => void seen.push(value),
  });
  life.ready();
  await waitFor(() => seen.length === 3, { what: "all three" });
  assertEquals(seen, [1n, 1n, 1n]);
  await life.end();
});

Deno.test("a promise of signalled() is what an update waits for", async () => {
  const life = new FakeLife(coldSide());
  const { promise, resolve } = Promise.withResolvers<void>();
  await openEventfd(life, "work", { initial: 1, signalled: () => promise, overdue: "close" });
  life.ready();
  const port = life.ports[0]!;
  await waitFor(() => port.connections.owing === 1, { what: "the promise" });
  assertEquals(port.options.overdue, "close");
  life.pause();
  resolve();
  await port.connections.settled();
  assertEquals(port.connections.owing, 0);
  await life.end();
});

Deno.test("the next build finds what is in it, and leaves it alone until it is ready", async () => {
  const cold = new FakeLife(coldSide());
  const before = await openEventfd(cold, "work", { initial: 5 });
  cold.ready();
  const life = cold.next();
  const seen: bigint[] = [];
  const eventfd = await openEventfd(life, "work", {
    initial: 100,
    signalled: (value) => void seen.push(value),
  });
  assertEquals([eventfd.isNew, eventfd.take(), eventfd.add(2), eventfd.add(MAX_COUNT)], [
    false,
    null,
    true,
    false,
  ]);
  await turns();
  assertEquals([seen, countOf(before.fd)], [[], 5n], "a build that comes back finds what it left");
  // Somebody who shares it.
  addCount(before.fd, 1n);
  life.ready();
  await waitFor(() => seen.length === 1, { what: "what was in it" });
  assertEquals(seen, [8n]);
  await life.end();
});

Deno.test("what was added early waits until there is room", async () => {
  const cold = new FakeLife(coldSide());
  const before = await openEventfd(cold, "work", { initial: MAX_COUNT });
  const life = cold.next();
  const eventfd = await openEventfd(life, "work", {});
  assertEquals(eventfd.add(2), true);
  life.ready();
  assertEquals([eventfd.add(1), takeCount(before.fd), eventfd.add(1)], [false, MAX_COUNT, true]);
  assertEquals(eventfd.take(), 3n);
  await life.end();
});

Deno.test("an eventfd of the other mode is EEXIST, and waits for who asks for the right one", async () => {
  const cold = new FakeLife(coldSide());
  const before = await openEventfd(cold, "work", { initial: 2, semaphore: true });
  if (!fdInfo(before.fd).has("eventfd-semaphore")) {
    console.log("ignored: this kernel does not tell the mode of an eventfd");
    return;
  }
  const life = cold.next();
  const error = await assertRejects(() => openEventfd(life, "work", {}), LuoError, "is a semaphore");
  assertEquals(error.code, "EEXIST");
  const eventfd = await openEventfd(life, "work", { semaphore: true });
  life.ready();
  assertEquals([eventfd.take(), eventfd.take(), eventfd.take()], [1n, 1n, null]);
  await life.end();
});

Deno.test("names are one to a resource; close() frees name and descriptor, and ends the use", async () => {
  const life = new FakeLife(coldSide());
  using segment = memory("x");
  life.resources.add("memory", "segment", segment.fd);
  for (const [name, code] of [["memory", "EEXIST"], ["a#b", "EINVAL"], ["", "EINVAL"]] as const) {
    const error = await assertRejects(() => openEventfd(life, name, {}), LuoError);
    assertEquals(error.code, code);
  }
  const eventfd = await openEventfd(life, "work", { signalled() {} });
  const { fd } = eventfd;
  life.ready();
  await eventfd.close();
  await eventfd.close();
  assertEquals([eventfd.fd, isOpenFd(fd), life.ports], [-1, false, []]);
  assertThrows(() => eventfd.add(1), TypeError, '"work": it is closed');
  assertThrows(() => eventfd.take(), TypeError);
  const again = await openEventfd(life, "work", {});
  assertEquals(again.take(), null);
  await life.end();
});

Deno.test("with live update off, an eventfd is what it is with it, and nothing crosses", async () => {
  const resources = new Resources(null, [], null);
  const life = new FakeLife({ ...coldSide(), resources });
  const seen: bigint[] = [];
  const eventfd = await openEventfd(life, "work", {
    initial: 1,
    signalled: (value) => void seen.push(value),
  });
  life.ready();
  await waitFor(() => seen.length === 1, { what: "what was in it" });
  assertEquals([eventfd.isNew, eventfd.add(2)], [true, true]);
  await waitFor(() => seen.length === 2, { what: "what was added" });
  assertEquals(seen, [1n, 2n]);
  await eventfd.close();
  assertEquals(resources.names(), []);
});
