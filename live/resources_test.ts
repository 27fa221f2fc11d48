import { assert, assertEquals } from "@std/assert";

import { registerBuiltins } from "../handlers/mod.ts";
import { orchestrator } from "../luo/process.ts";
import { createMemfd, isOpenFd, openFile, sameOpenFile } from "../sys/mod.ts";
import { tempDir } from "../testing/wait.ts";
import { assertLuoError, coldSide, commit, content, memory, nextSide } from "./helpers_test.ts";
import { Resources } from "./resources.ts";

Deno.test("Resources.add() preserves at once under tokens from 1 up, drop() undoes it", () => {
  const { resources, outgoing } = coldSide();
  using one = memory("one");
  using two = memory("two");
  resources.add("one", "segment", one.fd);
  resources.add("two", "descriptor", two.fd);
  assertEquals(resources.names(), [
    { name: "one", kind: "segment", token: 1n },
    { name: "two", kind: "descriptor", token: 2n },
  ]);
  assertEquals(outgoing.files().map(({ token, compatible }) => [token, compatible]), [
    [1n, "memfd-v1"],
    [2n, "memfd-v1"],
  ]);
  assertEquals([resources.nameOf(2n), resources.nameOf(3n)], ["two", null]);

  resources.drop("one");
  resources.drop("one");
  resources.drop("never");
  assertEquals(outgoing.files().map(({ token }) => token), [2n]);
  assertEquals(resources.names().map(({ name }) => name), ["two"]);
  resources.add("one", "segment", one.fd);
  assertEquals(resources.names().at(-1), { name: "one", kind: "segment", token: 3n });
});

Deno.test("Resources.claim() gives the same open file once, under the name that it had", () => {
  const cold = coldSide();
  using one = memory("one");
  cold.resources.add("one", "segment", one.fd);
  const next = nextSide(cold);
  assertEquals(next.resources.unclaimed(), [{ name: "one", kind: "segment", token: 1n }]);
  assertEquals(next.resources.nameOf(1n), "one");
  using back = next.resources.claim("one", "segment");
  assertEquals(content(back), "one");
  assert(sameOpenFile(one.fd, back?.fd ?? -1));
  assertEquals(next.resources.unclaimed(), []);
  assertLuoError(() => next.resources.claim("one", "segment"), "EEXIST", '"one" as a segment: it is in use');
  using other = memory("other");
  assertLuoError(() => next.resources.add("one", "segment", other.fd), "EEXIST", "it is in use");
  assertEquals(next.resources.claim("two", "segment"), null);
});

Deno.test("Resources.claim() refuses another kind and leaves the name to be claimed as what it is", () => {
  const cold = coldSide();
  using one = memory("one");
  cold.resources.add("one", "segment", one.fd);
  const { resources } = nextSide(cold);
  assertLuoError(
    () => resources.claim("one", "file"),
    "EEXIST",
    'Cannot take "one" as a file: it was handed over as a segment',
  );
  using back = resources.claim("one", "segment");
  assertEquals(content(back), "one");
});

Deno.test("Resources.start() preserves what was claimed under its old token, after the commit and not before", () => {
  const cold = coldSide();
  using one = memory("one");
  using two = memory("two");
  cold.resources.add("one", "segment", one.fd);
  cold.resources.add("two", "segment", two.fd);
  const next = nextSide(cold);
  using back = next.resources.claim("two", "segment");
  using fresh = memory("new");
  next.resources.add("new", "segment", fresh.fd);
  assertLuoError(() => next.resources.start(), "EBUSY");
  assertEquals(next.outgoing.files().map(({ token }) => token), [3n]);

  commit(next);
  assertEquals(next.outgoing.files().map(({ token }) => token), [3n, 2n]);
  assertEquals(next.resources.unclaimed(), []);
  assertEquals(next.resources.nameOf(1n), null);
  next.resources.start();

  const last = nextSide(next);
  using again = last.resources.claim("two", "segment");
  using newer = last.resources.claim("new", "segment");
  assertEquals(content(back), "two");
  assertEquals([content(again), content(newer)], ["two", "new"]);
  assertEquals(last.resources.claim("one", "segment"), null);
});

Deno.test("Resources.keep() carries a name on that nobody claims, with the connections of a server", () => {
  const cold = coldSide();
  const names = ["web", "web#1", "web#2", "webcam"];
  for (const name of names) {
    using file = memory(name);
    cold.resources.add(name, name.includes("#") ? "connection" : "segment", file.fd);
  }
  const next = nextSide(cold);
  assertEquals(next.resources.keep("web"), true);
  assertEquals(next.resources.keep("web"), false);
  assertEquals(next.resources.keep("nothing"), false);
  assertEquals(next.resources.unclaimed().map(({ name }) => name), ["webcam"]);
  assertLuoError(() => next.resources.claim("web", "segment"), "EEXIST", "it is in use");
  commit(next);
  const last = nextSide(next);
  assertEquals(last.resources.unclaimed().map(({ name, token }) => [name, token]), [
    ["web", 1n],
    ["web#1", 2n],
    ["web#2", 3n],
  ]);
  using back = last.resources.claim("web#2", "connection");
  assertEquals(content(back), "web#2");
});

Deno.test("Resources.claimConnections() takes those of one server", () => {
  const cold = coldSide();
  for (const name of ["a#1", "b#1", "a#2"]) {
    using file = memory(name);
    cold.resources.add(name, "connection", file.fd);
  }
  const { resources } = nextSide(cold);
  const taken = resources.claimConnections("a");
  assertEquals(taken.map(({ fd }) => content(fd)), ["a#1", "a#2"]);
  for (const { fd } of taken) fd[Symbol.dispose]();
  assertEquals(resources.claimConnections("a"), []);
  assertEquals(resources.unclaimed().map(({ name }) => name), ["b#1"]);
});

Deno.test("Resources.forgetUnclaimed() lets go of what nobody claimed", () => {
  const cold = coldSide();
  {
    using one = memory("one");
    cold.resources.add("one", "segment", one.fd);
  }
  const next = nextSide(cold);
  const held = next.kho?.record.fds[0]?.fd ?? -1;
  assert(isOpenFd(held));
  commit(next);
  assertEquals(isOpenFd(held), false);
  assertEquals(next.resources.names(), []);
});

for (
  const name of ["", "x".repeat(64), "é".repeat(32), "with#hash", "@at", "a\ud800b"]
) {
  Deno.test(`Resources.add() and claim() refuse the name ${JSON.stringify(name).slice(0, 20)}`, () => {
    const { resources, outgoing } = coldSide();
    using file = memory("x");
    assertLuoError(() => resources.add(name, "segment", file.fd), "EINVAL", "Cannot use the name");
    assertLuoError(() => resources.claim(name, "segment"), "EINVAL", JSON.stringify(name));
    assertEquals(outgoing.files(), []);
  });
}

Deno.test("Resources.add() takes names of up to 63 bytes, and # and @ for what is our own", () => {
  const { resources } = coldSide();
  for (
    const [name, kind] of [
      ["x".repeat(63), "segment"],
      ["é".repeat(31), "file"],
      ["@control", "control"],
      [`${"x".repeat(63)}#12`, "connection"],
    ] as const
  ) {
    using file = memory("x");
    resources.add(name, kind, file.fd);
  }
  assertEquals(resources.names().length, 4);
});

Deno.test("Resources.add() refuses a descriptor that no handler accepts, with live update on or off", () => {
  registerBuiltins(orchestrator().registry);
  const off = new Resources(null, [], null);
  using device = openFile("/dev/null");
  for (const resources of [coldSide().resources, off]) {
    assertLuoError(() => resources.add("null", "file", device.fd), "ENOENT", "no handler accepts");
    assertEquals(resources.names(), []);
    assertEquals(resources.nameOf(1n), null);
  }
});

Deno.test("Resources without sessions hold names all the same", async () => {
  await using dir = tempDir();
  using file = openFile(`${dir.path}/file`, { write: true, create: true });
  using segment = createMemfd("x");
  const resources = new Resources(null, [], null);
  if (orchestrator().registry.find(file.fd) === undefined) registerBuiltins(orchestrator().registry);
  resources.add("file", "file", file.fd);
  resources.add("segment", "segment", segment.fd);
  resources.start();
  assertEquals(resources.claim("other", "file"), null);
  assertLuoError(() => resources.claim("file", "file"), "EEXIST");
  resources.drop("file");
  assertEquals(resources.names().map(({ name }) => name), ["segment"]);
});
