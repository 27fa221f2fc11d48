import { assert, assertEquals, assertThrows } from "@std/assert";

import { createEventfd } from "../sys/eventfd.ts";
import { fdLink, openFile, type OwnedFd, writeAll } from "../sys/mod.ts";
import { tempDir } from "../testing/wait.ts";
import type { FileHandler } from "./handler.ts";
import { traceable, TracingHandler } from "./helpers_test.ts";
import { Identities, type Identity } from "./identities.ts";

const anyFile: FileHandler = new TracingHandler();
const byName: FileHandler = Object.assign(new TracingHandler("named-v1"), {
  getId: ({ fd }: { fd: number }) => fdLink(fd),
});

function reopened(owned: OwnedFd): OwnedFd {
  return openFile(`/proc/self/fd/${owned.fd}`, { read: true, write: true });
}

Deno.test("Identities without an id refuse a duplicate, and allow another open of the same file", async () => {
  await using directory = tempDir("heirloom-luo-");
  using first = openFile(`${directory.path}/file`, { write: true, create: true });
  writeAll(first.fd, new Uint8Array(1));
  using copy = first.dup();
  using second = openFile(`${directory.path}/file`);
  const identities = new Identities();
  const held = identities.insert(anyFile, first.fd) as Identity;
  assertEquals(identities.insert(anyFile, copy.fd), null);
  const other = identities.insert(anyFile, second.fd) as Identity;
  assert(other.key === held.key);
  identities.delete(held);
  assertEquals(identities.insert(anyFile, second.fd), null);
  identities.insert(anyFile, copy.fd);
});

Deno.test("Identities find each of many that share one inode, whatever the order in which they came and went", () => {
  using owned = new DisposableStack();
  const identities = new Identities();
  const make = (): OwnedFd => owned.use(createEventfd());
  const all = Array.from({ length: 200 }, make);
  const held = all.map(({ fd }) => identities.insert(anyFile, fd));
  assertEquals(new Set(held.map((identity) => identity?.key)).size, 1);
  all.forEach((one, index) => {
    const copy = owned.use(one.dup());
    assertEquals(identities.find(anyFile, copy.fd), held[index]);
    assertEquals(identities.insert(anyFile, copy.fd), null);
  });
  for (const [index, identity] of held.entries()) if (index % 3 === 0) identities.delete(identity!);
  all.forEach(({ fd }, index) => {
    assertEquals(identities.find(anyFile, fd), index % 3 === 0 ? null : held[index]);
  });
  assertEquals(identities.find(anyFile, make().fd), null);
});

Deno.test("Identities know what was handed over when somebody asks, and forget it either way", () => {
  using first = createEventfd();
  using copy = first.dup();
  using second = createEventfd();
  const identities = new Identities();
  const early = identities.expect(anyFile, first.fd);
  assertEquals(early.identity, null);
  identities.delete(early);
  const held = identities.insert(anyFile, copy.fd) as Identity;
  // It is held: what was handed over is not it, now and later.
  const again = identities.expect(anyFile, first.fd);
  assertEquals(identities.findOpenFile(first.fd), held);
  assertEquals([again.identity, identities.insert(anyFile, second.fd) !== null], [null, true]);
  identities.delete(held);
  assertEquals(identities.findOpenFile(first.fd), null);
});

Deno.test("Identities hold what was handed over before whoever asks for it", () => {
  using first = createEventfd();
  using copy = first.dup();
  const identities = new Identities();
  const late = identities.expect(anyFile, first.fd);
  assertEquals(identities.insert(anyFile, copy.fd), null);
  assert(late.identity !== null);
  identities.delete(late);
  assert(identities.insert(anyFile, copy.fd) !== null);
});

Deno.test("Identities with an id are asked for it at once", () => {
  using first = traceable("one");
  using again = reopened(first);
  const identities = new Identities();
  const expected = identities.expect(byName, first.fd);
  assert(expected.identity !== null);
  assertEquals(identities.insert(byName, again.fd), null);
  assertEquals(identities.findOpenFile(first.fd), null);
  identities.delete(expected);
  assert(identities.insert(byName, again.fd) !== null);
});

Deno.test("Identities with an id compare nothing else", () => {
  using first = traceable("one");
  using again = reopened(first);
  using namesake = traceable("one");
  using other = traceable("two");
  const identities = new Identities();
  const held = identities.insert(byName, first.fd) as Identity;
  assertEquals(identities.insert(byName, again.fd), null);
  assertEquals(identities.insert(byName, namesake.fd), null);
  identities.insert(byName, other.fd);
  identities.delete(held);
  identities.insert(byName, namesake.fd);
});

Deno.test("Identities forget exactly what is deleted, and twice is harmless", () => {
  using first = traceable("one");
  using second = reopened(first);
  const identities = new Identities();
  const held = identities.insert(anyFile, first.fd) as Identity;
  identities.insert(anyFile, second.fd);
  identities.delete(held);
  identities.delete(held);
  assertEquals(identities.insert(anyFile, second.fd), null);
  identities.insert(anyFile, first.fd);
});

Deno.test("Identities pass on what a handler's getId throws, and hold nothing then", () => {
  using file = traceable("one");
  const identities = new Identities();
  const broken = Object.assign(new TracingHandler("broken-v1"), {
    getId: (): string => {
      throw new RangeError("no id");
    },
  });
  assertThrows(() => identities.insert(broken, file.fd), RangeError, "no id");
  assertEquals(identities.insert(anyFile, file.fd)?.exact, false);
});
