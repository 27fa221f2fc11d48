import { assertEquals, assertThrows } from "@std/assert";

import { makeSocketPair } from "../../sys/helpers_test.ts";
import { isOpenFd, openFile, type OwnedFd, read, SysError, writeAll } from "../../sys/mod.ts";
import { waitFor } from "../../testing/wait.ts";
import { assertLuoError, coldSide, commit, nextSide, type Side } from "../helpers_test.ts";
import { FakeLife } from "./helpers_test.ts";
import { openEpoll } from "./epoll.ts";
import type { EpollPort, EpollReady } from "./epoll.ts";

/** Two sockets of which the first is a resource, taken by name where it was handed over. */
function pair(stack: DisposableStack, side: Side, name: string): [OwnedFd, OwnedFd] {
  const [one, two] = makeSocketPair(1);
  side.resources.add(name, "descriptor", one.fd);
  return [stack.use(one), stack.use(two)];
}

type Pair = [OwnedFd, OwnedFd];

function claim(side: Side, name: string): OwnedFd {
  const fd = side.resources.claim(name, "descriptor");
  if (fd === null) throw new Error(`"${name}" was not handed over`);
  return fd;
}

const byNumber = (a: number, b: number): number => a - b;

function numbers(epoll: { entries(): { fd: number }[] }): number[] {
  return epoll.entries().map(({ fd }) => fd).sort(byNumber);
}

Deno.test("live.epoll reports what is ready, and its entries can be changed", async () => {
  const side = coldSide();
  const life = new FakeLife(side);
  using stack = new DisposableStack();
  const [one, two] = pair(stack, side, "one");
  const epoll = await openEpoll(life, "loop", {});
  epoll.add(one, ["in", "et"], 2n ** 64n - 1n);
  assertEquals(epoll.entries(), [{ fd: one.fd, events: ["in", "err", "hup", "et"], data: 2n ** 64n - 1n }]);
  assertEquals(epoll.wait(), []);
  writeAll(two.fd, new Uint8Array(1));
  assertEquals(epoll.wait(), [{ events: ["in"], data: 2n ** 64n - 1n }]);
  epoll.modify(one.fd, ["out", "oneshot"], 0n);
  assertEquals([epoll.wait(1), epoll.wait(1)], [[{ events: ["out"], data: 0n }], []]);
  epoll.remove(one);
  assertEquals(epoll.entries(), []);
  life.ready();
  await epoll.close();
  assertEquals([epoll.fd, life.ports.length, life.settling.length], [-1, 0, 0]);
  assertEquals([isOpenFd(one.fd), life.resources.names().map(({ name }) => name)], [true, ["one"]]);
});

for (const order of ["before", "behind", "after ready"] as const) {
  Deno.test(`live.epoll, taken ${order} what it watches, has entries on the application's own descriptors`, async () => {
    const old = coldSide();
    using stack = new DisposableStack();
    const before = await openEpoll(new FakeLife(old), "loop", {});
    const pairs = ["level", "edge", "left"].map((name) => pair(stack, old, name));
    const [[level, toLevel], [edge, toEdge], [left]] = pairs as [Pair, Pair, Pair];
    before.add(level, ["in"], 1n);
    before.add(edge, ["in", "et"], 2n);
    before.add(left, ["out"], 3n);
    writeAll(toEdge.fd, new Uint8Array(1));
    assertEquals(before.wait().map(({ data }) => data).sort(), [2n, 3n]);

    const side = nextSide(old);
    const life = new FakeLife(side);
    const files = new Map<string, OwnedFd>();
    const take = (): void => {
      for (const name of ["level", "edge"]) files.set(name, stack.use(claim(side, name)));
    };
    if (order === "behind") take();
    const epoll = await openEpoll(life, "loop", {});
    if (order === "before") take();
    if (order === "after ready") {
      // With a time before the commit, taps open before the last resource is taken.
      life.open();
      take();
    }
    const mine = [...files.values()].map(({ fd }) => fd);
    assertEquals(numbers(epoll).length, 3);
    life.ready();
    assertEquals(numbers(epoll), mine.sort(byNumber), "what was not taken is gone");
    assertEquals(epoll.wait(), [{ events: ["in"], data: 2n }], "an edge is told once more");
    writeAll(toLevel.fd, new Uint8Array(1));
    assertEquals(epoll.wait(), [{ events: ["in"], data: 1n }]);
    assertEquals(epoll.wait(), [{ events: ["in"], data: 1n }], "a level is told until it is dealt with");
    epoll.modify(files.get("level") as OwnedFd, ["in"], 11n);
    epoll.remove(files.get("edge") as OwnedFd);
    assertEquals(epoll.wait(), [{ events: ["in"], data: 11n }]);

    const third = nextSide(side);
    const last = await openEpoll(new FakeLife(third), "loop", {});
    using again = claim(third, "level");
    assertEquals(last.entries(), [{ fd: again.fd, events: ["in", "err", "hup"], data: 11n }]);
    commit(third);
    await last.close();
  });
}

Deno.test("live.epoll calls back while something is ready, and not while an update stands still", async () => {
  const side = coldSide();
  const life = new FakeLife(side);
  using stack = new DisposableStack();
  const [one, two] = pair(stack, side, "one");
  const told: EpollReady[][] = [];
  const epoll = await openEpoll(life, "loop", {
    ready(ready) {
      told.push([...ready]);
      read(one.fd, new Uint8Array(1));
    },
  });
  epoll.add(one, ["in"], 7n);
  writeAll(two.fd, new Uint8Array(2));
  life.ready();
  await waitFor(() => told.length === 2, { what: "two calls", timeoutMs: 30_000 });
  const [port] = life.ports as unknown as [EpollPort];
  port.pause();
  writeAll(two.fd, new Uint8Array(1));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(told.length, 2);
  port.resume();
  await waitFor(() => told.length === 3, { what: "the call behind the pause", timeoutMs: 30_000 });
  assertEquals(told.flat(), Array(3).fill({ events: ["in"], data: 7n }));
  await epoll.close();
});

Deno.test("live.epoll goes on when a descriptor was closed behind its back", async () => {
  const old = coldSide();
  using stack = new DisposableStack();
  const before = await openEpoll(new FakeLife(old), "loop", {});
  const [one, two] = pair(stack, old, "one");
  const [other] = pair(stack, old, "other");
  before.add(one, ["out"], 1n);
  before.add(other, ["out"], 2n);
  const side = nextSide(old);
  const life = new FakeLife(side);
  const epoll = await openEpoll(life, "loop", {});
  claim(side, "one")[Symbol.dispose]();
  using mine = claim(side, "other");
  life.open();
  life.settle();
  assertEquals(epoll.entries(), [{ fd: mine.fd, events: ["out", "err", "hup"], data: 2n }]);
  assertEquals(epoll.wait(), [{ events: ["out"], data: 2n }]);
  assertEquals(isOpenFd(two.fd), true);
  await epoll.close();
});

Deno.test("live.epoll refuses bad input and goes on", async () => {
  const side = coldSide();
  const life = new FakeLife(side);
  using stack = new DisposableStack();
  const [one] = pair(stack, side, "one");
  const epoll = await openEpoll(life, "loop", {});
  assertThrows(() => epoll.add(one, ["input" as "in"], 1n), RangeError, 'there is no "input"');
  for (const data of [-1n, 2n ** 64n]) {
    assertThrows(() => epoll.add(one, ["in"], data), RangeError, "is not 0 to 2^64 - 1");
  }
  for (const max of [0, 1.5, 4097]) assertThrows(() => epoll.wait(max), RangeError, "allowed are 1 to 4096");
  using file = openFile("/proc/self/status");
  const fails = (body: () => void): string => assertThrows(body, SysError).code;
  assertEquals(fails(() => epoll.add(file, ["in"], 1n)), "EPERM");
  assertEquals(fails(() => epoll.modify(one, ["in"], 1n)), "ENOENT");
  assertEquals(fails(() => epoll.remove(one)), "ENOENT");
  assertEquals(fails(() => epoll.add(1_000_000, ["in"], 1n)), "EBADF");
  await openEpoll(life, "loop", {}).then(
    () => assertEquals("taken twice", ""),
    (error) =>
      assertLuoError(() => {
        throw error;
      }, "EEXIST"),
  );
  epoll.add(one, ["out"], 1n);
  assertEquals(epoll.wait(), [{ events: ["out"], data: 1n }]);
  await epoll.close();
});
