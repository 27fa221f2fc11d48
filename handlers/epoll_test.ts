import { assert, assertEquals, assertThrows } from "@std/assert";

import { encodeLuo } from "../kho/abi/luo.ts";
import { assertHandoverError } from "../kho/helpers_test.ts";
import { makeIncoming } from "../kho/samples_test.ts";
import { Device } from "../luo/device.ts";
import { LuoError } from "../luo/errors.ts";
import { assertLuoError } from "../luo/helpers_test.ts";
import { LUO_SUBTREE, Orchestrator } from "../luo/orchestrator.ts";
import type { Session } from "../luo/session.ts";
import {
  addInterest,
  createEpoll,
  EPOLL,
  interestsOf,
  modifyInterest,
  removeInterest,
  waitNow,
} from "../sys/epoll.ts";
import { libcForTests, makePipe, makeSocketPair } from "../sys/helpers_test.ts";
import { createMemfd, dupOnto, fstat, isOpenFd, OwnedFd, read, sameOpenFile, writeAll } from "../sys/mod.ts";
import { anonymousKind } from "./anonymous.ts";
import { descriptorHandler } from "./descriptor.ts";
import { epollHandler } from "./epoll.ts";
import { type CarriedInterest, takeInterest } from "./epoll_interests.ts";
import { type Compare, entryTokens } from "./epoll_tokens.ts";
import { incomingArgs, outgoingArgs, takerOf } from "./helpers_test.ts";
import { registerBuiltins } from "./mod.ts";
import { encodeRecord } from "./record.ts";

const ALWAYS = EPOLL.ERR | EPOLL.HUP;

/** For what this build may have no handler for: whatever has to be carried beside the epoll. */
const anyHandler = descriptorHandler({
  compatible: "test-any-v1",
  version: 1,
  accepts: (fd) => fstat(fd).kind === "fifo" || anonymousKind(fd)?.startsWith("eventfd") === true,
  describe: () => ({}),
  verify: () => {},
});

function world(incoming: ConstructorParameters<typeof Orchestrator>[0]): Orchestrator {
  const luo = new Orchestrator(incoming);
  registerBuiltins(luo.registry);
  luo.registry.register(anyHandler);
  return luo;
}

/** An outgoing session, as an application without `live` has it. */
function outgoing(): { luo: Orchestrator; session: Session } & Disposable {
  const luo = world(null);
  const device = Device.open(luo);
  const session = device.createSession("test");
  return {
    luo,
    session,
    [Symbol.dispose]() {
      session[Symbol.dispose]();
      device[Symbol.dispose]();
    },
  };
}

/** The jump: freezes a session, lets its descriptors cross, and gives the session on the other side. */
function jump({ luo }: { luo: Orchestrator }): { session: Session } & Disposable {
  const record = luo.freeze();
  luo.unfreeze();
  using undo = new DisposableStack();
  const fds = luo.outgoing.fds();
  const held = fds.map(({ fd }) => undo.use(OwnedFd.adopt(fd).dup()));
  // They cross at their numbers: here, as duplicates of which the records speak.
  const kho = makeIncoming({
    fds: [],
    blobs: luo.outgoing.blobs(),
    subtrees: { [LUO_SUBTREE]: encodeLuo(record) },
  });
  const numbers = new Map(fds.map(({ fd }, index) => [fd, held[index]?.fd ?? -1]));
  kho.borrowFd = (fd) => numbers.get(fd) ?? -1;
  kho.releaseFd = () => {};
  const device = Device.open(world(kho));
  const session = device.retrieveSession("test");
  const kept = undo.move();
  return {
    session,
    [Symbol.dispose]() {
      session[Symbol.dispose]();
      device[Symbol.dispose]();
      kept.dispose();
      kho.commit();
    },
  };
}

function makeEventfd(): OwnedFd {
  const libc = Deno.dlopen("libc.so.6", { eventfd: libcForTests.eventfd });
  const fd = OwnedFd.adopt(libc.symbols.eventfd(0, 0o2004000));
  libc.close();
  return fd;
}

/** Events and data of the entries, by data. */
function shown(epoll: number): [number, bigint][] {
  return interestsOf(epoll).map(({ events, data }): [number, bigint] => [events, data])
    .sort(([, a], [, b]) => Number(a - b));
}

Deno.test("epollHandler takes epolls, and nothing else", () => {
  using epoll = createEpoll();
  using memory = createMemfd("m");
  assertEquals([takerOf(epoll), epollHandler.canPreserve({ fd: memory.fd })], ["epoll-v1", false]);
});

for (const order of ["before", "behind"] as const) {
  Deno.test(`an epoll preserved ${order} its files is made anew with the same entries`, () => {
    const [reader, writer] = makePipe();
    const [socket, peer] = makeSocketPair(1);
    using stack = new DisposableStack();
    const files = [reader, makeEventfd(), socket, writer].map((file) => stack.use(file));
    stack.use(peer);
    const epoll = stack.use(createEpoll());
    using old = outgoing();
    if (order === "before") old.session.preserveFd(epoll, 9n);
    files.forEach((file, index) => old.session.preserveFd(file, BigInt(index)));
    if (order === "behind") old.session.preserveFd(epoll, 9n);
    const wanted: [number, bigint][] = [
      [EPOLL.IN | ALWAYS, 0n],
      [(EPOLL.IN | EPOLL.ET | ALWAYS) >>> 0, 1n],
      [EPOLL.OUT | EPOLL.ONESHOT | EPOLL.RDHUP | ALWAYS, 2n],
      [EPOLL.OUT | EPOLL.EXCLUSIVE | ALWAYS, 2n ** 64n - 1n],
    ];
    wanted.forEach(([events, data], index) =>
      addInterest(epoll.fd, files[index]?.fd ?? -1, { events, data })
    );
    writeAll(files[1]?.fd ?? -1, new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]));
    using arrived = jump(old);
    assertEquals(old.luo.outgoing.fds().length, files.length, "the old epoll does not cross");

    using fresh = arrived.session.retrieveFd(9n);
    assertEquals(sameOpenFile(fresh.fd, epoll.fd), false);
    assertEquals(shown(fresh.fd), wanted);
    const ready = waitNow(fresh.fd, 8).sort((a, b) => Number(a.data - b.data));
    assertEquals(ready, [
      { events: EPOLL.IN, data: 1n },
      { events: EPOLL.OUT, data: 2n },
      { events: EPOLL.OUT, data: 2n ** 64n - 1n },
    ]);
    const mine = files.map((_, index) => stack.use(arrived.session.retrieveFd(BigInt(index))));
    for (const interest of takeInterest(fresh)) {
      assertEquals(interest.bind(fresh.fd, mine[Number(interest.token)]?.fd ?? -1), true);
    }
    assertEquals(takeInterest(fresh), []);
    arrived.session.finish();
    const byNumber = (a: number, b: number): number => a - b;
    assertEquals(
      interestsOf(fresh.fd).map(({ tfd }) => tfd).sort(byNumber),
      mine.map(({ fd }) => fd).sort(byNumber),
    );
    assertEquals(shown(fresh.fd), wanted);
    modifyInterest(fresh.fd, mine[0]?.fd ?? -1, { events: EPOLL.IN, data: 77n });
    for (const file of mine.slice(1)) removeInterest(fresh.fd, file.fd);
    writeAll(writer.fd, new Uint8Array(1));
    assertEquals(waitNow(fresh.fd, 8), [{ events: EPOLL.IN, data: 77n }]);
  });
}

Deno.test("an epoll in an epoll crosses, whichever is taken back first; circles cannot be made", () => {
  for (const first of [1n, 2n]) {
    const [reader, writer] = makePipe();
    using stack = new DisposableStack();
    stack.use(reader);
    stack.use(writer);
    const inner = stack.use(createEpoll());
    const outer = stack.use(createEpoll());
    addInterest(inner.fd, reader.fd, { events: EPOLL.IN, data: 5n });
    addInterest(outer.fd, inner.fd, { events: EPOLL.IN, data: 6n });
    assertThrows(() => addInterest(inner.fd, outer.fd, { events: EPOLL.IN, data: 0n }), Error, "ELOOP");
    using old = outgoing();
    old.session.preserveFd(outer, 2n);
    old.session.preserveFd(inner, 1n);
    old.session.preserveFd(reader, 0n);
    using arrived = jump(old);
    const one = stack.use(arrived.session.retrieveFd(first));
    const two = stack.use(arrived.session.retrieveFd(3n - first));
    const [newInner, newOuter] = first === 1n ? [one, two] : [two, one];
    arrived.session.finish();
    assertEquals(waitNow(newOuter.fd, 8), []);
    writeAll(writer.fd, new Uint8Array(1));
    assertEquals(waitNow(newOuter.fd, 8), [{ events: EPOLL.IN, data: 6n }]);
    assertEquals(waitNow(newInner.fd, 8), [{ events: EPOLL.IN, data: 5n }]);
  }
});

Deno.test("an entry on a file that is not preserved refuses the freeze, until it is removed", () => {
  const [reader, writer] = makePipe();
  using stack = new DisposableStack();
  const [socket, peer] = makeSocketPair(1);
  for (const file of [reader, writer, socket, peer]) stack.use(file);
  const epoll = stack.use(createEpoll());
  using old = outgoing();
  old.session.preserveFd(epoll, 0n);
  old.session.preserveFd(socket, 1n);
  addInterest(epoll.fd, socket.fd, { events: EPOLL.IN, data: 1n });
  addInterest(epoll.fd, reader.fd, { events: EPOLL.IN, data: 2n });
  const sentence =
    `Cannot carry the entry on fd ${reader.fd} of an epoll: its file, a pipe, is not preserved in session "test"`;
  assertLuoError(() => old.luo.freeze(), "ENOENT", sentence);
  removeInterest(epoll.fd, reader.fd);
  using arrived = jump(old);
  using fresh = arrived.session.retrieveFd(0n);
  assertEquals(shown(fresh.fd), [[EPOLL.IN | ALWAYS, 1n]]);
});

/** One number, two files: the first is kept open by a duplicate, the number is the second by now. */
function reused(stack: DisposableStack): { epoll: OwnedFd; first: OwnedFd; second: OwnedFd } {
  const [one, two] = makeSocketPair(1);
  const epoll = stack.use(createEpoll());
  const first = stack.use(one.dup());
  addInterest(epoll.fd, one.fd, { events: EPOLL.IN, data: 1n });
  const second = stack.use(two);
  dupOnto(second.fd, one.fd);
  addInterest(epoll.fd, one.fd, { events: EPOLL.OUT, data: 2n });
  stack.use(one);
  return { epoll, first, second };
}

Deno.test("a number that another file has by now is not mistaken for the file of the entry", () => {
  using stack = new DisposableStack();
  const { epoll, first, second } = reused(stack);
  using old = outgoing();
  old.session.preserveFd(epoll, 0n);
  old.session.preserveFd(second, 2n);
  assertLuoError(() => old.luo.freeze(), "ENOENT", "is not preserved in session");
  old.session.preserveFd(first, 1n);
  using arrived = jump(old);
  using fresh = arrived.session.retrieveFd(0n);
  const found = takeInterest(fresh).map(({ token, events, data }) => [token, events, data]);
  assertEquals(found.sort(), [[1n, EPOLL.IN | ALWAYS, 1n], [2n, EPOLL.OUT | ALWAYS, 2n]]);
});

Deno.test("entryTokens() finds what it can where kcmp(2) is not allowed, and refuses what is not certain", () => {
  const never: Compare = () => null;
  using stack = new DisposableStack();
  const { epoll, first, second } = reused(stack);
  const known = [first, second];
  const args = {
    fd: epoll.fd,
    session: "test",
    tokenOf: (fd: number) => BigInt(known.findIndex((file) => sameOpenFile(file.fd, fd))),
  };
  const found = entryTokens(args, never).map(({ data, token }) => [data, token]);
  assertEquals(found.sort(), [[1n, 0n], [2n, 1n]], "sockets have inodes of their own");

  // Of the ends of a pipe and of anonymous inodes, only the number under which they were added is certain.
  for (const make of [() => makePipe()[0] as OwnedFd, makeEventfd]) {
    const file = make();
    const epoll = stack.use(createEpoll());
    const duplicate = stack.use(file.dup());
    const { fd } = file;
    addInterest(epoll.fd, fd, { events: EPOLL.IN, data: 1n });
    const args = { fd: epoll.fd, session: "test", tokenOf: (fd: number) => BigInt(fd) };
    assertEquals(entryTokens(args, never).map(({ token }) => token), [BigInt(fd)]);
    file[Symbol.dispose]();
    assertHandoverError(() => entryTokens(args, never), "ENOENT", "cannot be found");
    assertEquals(interestsOf(epoll.fd).length, 1, "asking changed nothing");
    assertEquals(isOpenFd(duplicate.fd), true);
  }
});

Deno.test("a file that is there twice keeps both entries; only one can be bound", () => {
  using stack = new DisposableStack();
  const [one, two] = makeSocketPair(1);
  const copy = stack.use(one.dup());
  for (const file of [one, two]) stack.use(file);
  const epoll = stack.use(createEpoll());
  addInterest(epoll.fd, one.fd, { events: EPOLL.IN, data: 1n });
  addInterest(epoll.fd, copy.fd, { events: EPOLL.OUT, data: 2n });
  using old = outgoing();
  old.session.preserveFd(one, 1n);
  old.session.preserveFd(epoll, 0n);
  using arrived = jump(old);
  using fresh = arrived.session.retrieveFd(0n);
  using mine = arrived.session.retrieveFd(1n);
  const interests = takeInterest(fresh);
  assertEquals(interests.map((interest) => interest.bind(fresh.fd, mine.fd)), [true, false]);
  for (const interest of interests) interest[Symbol.dispose]();
  assertEquals(shown(fresh.fd), [[EPOLL.IN | ALWAYS, 1n], [EPOLL.OUT | ALWAYS, 2n]]);
  assertEquals(waitNow(fresh.fd, 8), [{ events: EPOLL.OUT, data: 2n }]);
});

Deno.test("CarriedInterest.bind() refuses another file, and drop() takes the entry out", () => {
  using stack = new DisposableStack();
  const [one, two] = makeSocketPair(1);
  for (const file of [one, two]) stack.use(file);
  const epoll = stack.use(createEpoll());
  addInterest(epoll.fd, one.fd, { events: EPOLL.IN, data: 1n });
  using old = outgoing();
  old.session.preserveFd(one, 1n);
  old.session.preserveFd(epoll, 0n);
  using arrived = jump(old);
  using fresh = arrived.session.retrieveFd(0n);
  const [interest] = takeInterest(fresh) as [CarriedInterest];
  assert(interest.fd >= 0);
  assertThrows(() => interest.bind(fresh.fd, two.fd), TypeError, "it is not the file of token 1");
  interest.drop(fresh.fd);
  assertEquals([interest.fd, interestsOf(fresh.fd)], [-1, []]);
});

Deno.test("entries that nobody takes report until their file goes", () => {
  using stack = new DisposableStack();
  const [one, two] = makeSocketPair(1);
  stack.use(two);
  const epoll = stack.use(createEpoll());
  addInterest(epoll.fd, one.fd, { events: EPOLL.IN, data: 4n });
  const old = stack.use(outgoing());
  old.session.preserveFd(one, 1n);
  old.session.preserveFd(epoll, 0n);
  const arrived = jump(old);
  using fresh = arrived.session.retrieveFd(0n);
  const mine = arrived.session.retrieveFd(1n);
  const { tfd } = interestsOf(fresh.fd)[0]!;
  arrived.session.finish();
  assertEquals(isOpenFd(tfd), false, "the handler's own is closed");
  writeAll(two.fd, new Uint8Array(1));
  assertEquals(waitNow(fresh.fd, 8), [{ events: EPOLL.IN, data: 4n }]);
  read(mine.fd, new Uint8Array(1));
  mine[Symbol.dispose]();
  one[Symbol.dispose]();
  old[Symbol.dispose]();
  arrived[Symbol.dispose]();
  assertEquals(interestsOf(fresh.fd), []);
});

Deno.test("epollHandler refuses what became another kind, and records that are none", () => {
  using epoll = createEpoll();
  const args = outgoingArgs(epollHandler, epoll.fd);
  epollHandler.preserve(args);
  using memory = createMemfd("m");
  dupOnto(memory.fd, epoll.fd);
  assertHandoverError(() => epollHandler.freeze?.(args), "WRONG_DESCRIPTOR", "as an epoll: it is /memfd:m");
  epollHandler.unpreserve(args);
  assertEquals(args.kho.blobs(), [new Uint8Array()]);

  const entry = { data: 1, events: 1, token: 1 };
  for (
    const bad of [{}, { entries: 3 }, { entries: [{ ...entry, events: 2 ** 32 }] }, {
      entries: [{ ...entry, token: -1 }],
    }]
  ) {
    const kho = makeIncoming({ blobs: [encodeRecord(1, bad)] });
    assertHandoverError(() => epollHandler.retrieve(incomingArgs(epollHandler, kho, 1n)), "CORRUPT");
    assertHandoverError(() => epollHandler.check?.(incomingArgs(epollHandler, kho, 1n)), "CORRUPT");
    kho.commit();
  }
  const kho = makeIncoming({ blobs: [encodeRecord(2, {})] });
  assertEquals(epollHandler.check?.(incomingArgs(epollHandler, kho, 1n)), 2);
  assertHandoverError(() => epollHandler.retrieve(incomingArgs(epollHandler, kho, 1n)), "UNKNOWN_VERSION");
  kho.commit();
});

Deno.test("an epoll cannot come back when a file of it cannot, and leaves nothing open", () => {
  const kho = makeIncoming({ blobs: [encodeRecord(1, { entries: [{ data: 1, events: 1, token: 5 }] })] });
  const args = incomingArgs(epollHandler, kho, 1n);
  const gone = (): never => {
    throw new LuoError("ENOENT", "no such file");
  };
  const next = createMemfd("next");
  const { fd } = next;
  next[Symbol.dispose]();
  assertThrows(() => epollHandler.retrieve({ ...args, retrieveFd: gone }), LuoError, "no such file");
  using again = createMemfd("again");
  assertEquals(again.fd, fd);
  kho.commit();
});
