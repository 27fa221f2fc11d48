import { assert, assertEquals, assertThrows } from "@std/assert";

import { makePipe } from "../sys/helpers_test.ts";
import { getCloexec, isOpenFd, openFile, type OwnedFd, pread, pwrite } from "../sys/mod.ts";
import { LuoError } from "./errors.ts";
import type { OutgoingArgs } from "./handler.ts";
import { assertLuoError, coldWorld, traceable, warmWorld } from "./helpers_test.ts";

const MAX = (1n << 64n) - 1n;

Deno.test("Session.preserveFd() keeps a duplicate, so that the caller may close its own", () => {
  using world = coldWorld();
  using session = world.device.createSession("web");
  const file = traceable();
  pwrite(file.fd, new Uint8Array([7]), 0);
  session.preserveFd(file, 42n);
  file[Symbol.dispose]();
  const [info] = session.files();
  assertEquals([info?.token, info?.compatible], [42n, "traced-v1"]);
  const held = info?.fd ?? -1;
  assert(getCloexec(held));
  const byte = new Uint8Array(1);
  pread(held, byte, 0);
  assertEquals(byte[0], 7);
  session[Symbol.dispose]();
  assertEquals(isOpenFd(held), false);
});

Deno.test("Session.preserveFd() gives the handler its arguments and keeps what it wrote into them", () => {
  using world = coldWorld();
  using session = world.device.createSession("web");
  using file = traceable();
  session.preserveFd(file.fd, MAX);
  session.unpreserveFd(MAX);
  const args = world.handler.last.get("unpreserve") as OutgoingArgs;
  assertEquals([args.session, args.token, args.serializedData], ["web", MAX, 100n + MAX]);
  assertEquals([args.privateData, args.handler, args.kho], [
    `private ${MAX}`,
    world.handler,
    world.luo.outgoing,
  ]);
});

Deno.test("Session.preserveFd() answers EEXIST before EBADF before ENOENT before EBUSY", () => {
  using world = coldWorld();
  using session = world.device.createSession("web");
  using other = world.device.createSession("other");
  using file = traceable();
  using unknown = openFile("/dev/null");
  using pathOnly = openFile("/dev/null", { path: true });
  session.preserveFd(file, 0n);
  const cases: [OwnedFd | number, bigint, string][] = [
    [999, 0n, "EEXIST"],
    [unknown, 0n, "EEXIST"],
    [file, 0n, "EEXIST"],
    [999, 1n, "EBADF"],
    [-1, 1n, "EBADF"],
    [pathOnly, 1n, "EBADF"],
    [unknown, 1n, "ENOENT"],
    [file, 1n, "EBUSY"],
  ];
  for (const [fd, token, code] of cases) {
    assertLuoError(() => session.preserveFd(fd, token), code, "Cannot preserve");
  }
  assertLuoError(() => other.preserveFd(file, 0n), "EBUSY");
  assertEquals(session.files().length, 1);
  assertEquals(world.handler.takeCalls(), ["preserve web/0"]);
});

Deno.test("Session.preserveFd() refuses what is no descriptor number, and takes no other instead", () => {
  using world = coldWorld();
  using session = world.device.createSession("web");
  const gone = traceable();
  gone[Symbol.dispose]();
  assertLuoError(() => session.preserveFd(gone, 1n), "EBADF");
  for (const fd of [NaN, 1.5, 2 ** 32, Infinity]) {
    assertLuoError(() => session.preserveFd(fd, 1n), "EBADF");
  }
  assertEquals(session.files(), []);
});

Deno.test("Session.preserveFd() says what was not accepted", () => {
  using world = coldWorld();
  using session = world.device.createSession("web");
  using device = openFile("/dev/null");
  const [reader, writer] = makePipe();
  using _reader = reader;
  using _writer = writer;
  const text =
    `Cannot preserve fd ${device.fd} under token 7 of session "web": no handler accepts the null device (/dev/null): it has no state; open it again in the new build`;
  assertLuoError(() => session.preserveFd(device, 7n), "ENOENT", text);
  assertLuoError(() => session.preserveFd(reader, 7n), "ENOENT", "no handler accepts a pipe");
});

Deno.test("Session.preserveFd() takes any token of 64 bits and no other", () => {
  using world = coldWorld();
  using session = world.device.createSession("web");
  for (const token of [-1n, 1n << 64n, 1 as unknown as bigint, undefined as unknown as bigint]) {
    assertLuoError(() => session.preserveFd(0, token), "EINVAL");
  }
  for (const token of [0n, MAX]) {
    using file = traceable();
    session.preserveFd(file, token);
  }
  assertEquals(session.files().map(({ token }) => token), [0n, MAX]);
});

Deno.test("Session.preserveFd() may use a token again in another session", () => {
  using world = coldWorld();
  using one = world.device.createSession("one");
  using two = world.device.createSession("two");
  for (const session of [one, two]) {
    using file = traceable();
    session.preserveFd(file, 1n);
  }
  assertEquals(world.handler.takeCalls(), ["preserve one/1", "preserve two/1"]);
});

Deno.test("Session.preserveFd() that the handler refuses leaves nothing behind", () => {
  using world = coldWorld();
  using session = world.device.createSession("web");
  using file = traceable();
  world.handler.failing.set("preserve web/1", new RangeError("its own"));
  const before = openFds();
  const error = assertThrows(() => session.preserveFd(file, 1n), LuoError, 'handler "traced-v1": its own');
  assertEquals([error.code, error.session, error.token, error.handler], ["EIO", "web", 1n, "traced-v1"]);
  assert(error.cause instanceof RangeError);
  assertEquals(openFds(), before);
  assertEquals(world.handler.takeCalls(), ["preserve web/1"]);
  assertEquals(session.files(), []);
  world.handler.failing.clear();
  session.preserveFd(file, 1n);
});

Deno.test("Session.unpreserveFd() frees token and resource, once", () => {
  using world = coldWorld();
  using session = world.device.createSession("web");
  using file = traceable();
  session.preserveFd(file, 1n);
  session.unpreserveFd(1n);
  assertLuoError(() => session.unpreserveFd(1n), "ENOENT");
  session.preserveFd(file, 1n);
  assertEquals(world.handler.takeCalls(), ["preserve web/1", "unpreserve web/1", "preserve web/1"]);
});

Deno.test("Session disposed unpreserves newest first and frees its name and its files", () => {
  using world = coldWorld();
  const session = world.device.createSession("web");
  using file = traceable();
  session.preserveFd(file, 5n);
  for (const token of [1n, 9n]) {
    using more = traceable();
    session.preserveFd(more, token);
  }
  world.handler.takeCalls();
  session[Symbol.dispose]();
  session[Symbol.dispose]();
  assertEquals(world.handler.takeCalls(), ["unpreserve web/9", "unpreserve web/1", "unpreserve web/5"]);
  assert(session.closed);
  using again = world.device.createSession("web");
  again.preserveFd(file, 5n);
});

Deno.test("Session refuses calls of the other direction with EINVAL, and all calls when closed with EBADF", () => {
  using world = warmWorld({ web: [1n] });
  const outgoing = world.device.createSession("web");
  const incoming = world.device.retrieveSession("web");
  assertEquals([outgoing.direction, incoming.direction], ["outgoing", "incoming"]);
  assertLuoError(() => outgoing.retrieveFd(1n), "EINVAL", "it is outgoing");
  assertLuoError(() => outgoing.finish(), "EINVAL", "it is outgoing");
  assertLuoError(() => incoming.preserveFd(999, 1n), "EINVAL", "it is incoming");
  assertLuoError(() => incoming.unpreserveFd(1n), "EINVAL", "it is incoming");
  assertLuoError(() => incoming.frozenSet(), "EINVAL");
  incoming.finish();
  assertLuoError(() => incoming.preserveFd(0, 1n), "EINVAL", "it is incoming");
  for (const session of [outgoing, incoming]) {
    session[Symbol.dispose]();
    assertLuoError(() => session.preserveFd(0, 1n), "EBADF", "it is closed");
    assertLuoError(() => session.unpreserveFd(1n), "EBADF");
    assertLuoError(() => session.retrieveFd(1n), "EBADF");
    assertLuoError(() => session.finish(), "EBADF");
  }
});

function openFds(): number {
  using next = openFile("/dev/null");
  return next.fd;
}
