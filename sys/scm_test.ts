import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { SysError } from "./errno.ts";
import { getCloexec, isOpenFd } from "./fd.ts";
import { openFile } from "./file.ts";
import { asOrdinaryUser, nextFreeFd, noOrdinaryUser, runScriptForJson, withSameFds } from "./helpers_test.ts";
import { fdLink } from "./proc.ts";
import { createMemfd } from "./memfd.ts";
import type { OwnedFd } from "./owned_fd.ts";
import { MAX_FDS_PER_MESSAGE, receiveFds, sendFds, socketPair } from "./scm.ts";
import { fstat } from "./stat.ts";

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const GUARD = JSON.stringify(import.meta.resolve("./guard.ts"));

/** The error that `body` throws, by its code. */
function codeOf(body: () => unknown): string {
  return assertThrows(body, SysError).code;
}

Deno.test("socketPair() gives two connected ends, close-on-exec", () => {
  withSameFds(() => {
    const [a, b] = socketPair();
    using _ends = stackOf([a, b]);
    assertEquals([getCloexec(a.fd), getCloexec(b.fd)], [true, true]);
    sendFds(a.fd, text("to b"), []);
    sendFds(b.fd, text("to a"), []);
    assertEquals(receiveFds(a.fd)?.bytes, text("to a"));
    assertEquals(receiveFds(b.fd)?.bytes, text("to b"));
  });
});

Deno.test("receiveFds() gives each message by itself, in order, with the same open files", () => {
  withSameFds(() => {
    const [a, b] = socketPair();
    using memory = createMemfd("sent");
    using _ends = stackOf([a, b]);
    sendFds(a.fd, text("none"), []);
    sendFds(a.fd, text("twice"), [memory.fd, 0, memory.fd]);
    assertEquals(receiveFds(b.fd, { wait: true }), {
      bytes: text("none") as Uint8Array<ArrayBuffer>,
      fds: [],
    });
    const message = receiveFds(b.fd);
    using _fds = stackOf(message?.fds ?? []);
    assertEquals(message?.bytes, text("twice"));
    const inodes = message?.fds.map(({ fd }) => [fstat(fd).dev, fstat(fd).ino]);
    assertEquals(inodes, [memory.fd, 0, memory.fd].map((fd) => [fstat(fd).dev, fstat(fd).ino]));
    assertEquals(message?.fds.map(({ fd }) => getCloexec(fd)), [true, true, true]);
    assertEquals(new Set([memory.fd, ...message?.fds.map(({ fd }) => fd) ?? []]).size, 4);
  });
});

Deno.test("sendFds() sends up to 253 descriptors, and refuses more and none of it", () => {
  withSameFds(() => {
    const [a, b] = socketPair();
    using _ends = stackOf([a, b]);
    sendFds(a.fd, text("full"), Array.from({ length: MAX_FDS_PER_MESSAGE }, () => 0));
    assertThrows(() => sendFds(a.fd, text("over"), Array.from({ length: 254 }, () => 0)), RangeError);
    assertThrows(() => sendFds(a.fd, new Uint8Array(), [0]), RangeError);
    assertEquals(codeOf(() => sendFds(a.fd, text("bad"), [0, 0x7ffffff0])), "EBADF");
    const message = receiveFds(b.fd);
    using _fds = stackOf(message?.fds ?? []);
    assertEquals(message?.fds.length, 253);
    assertEquals(codeOf(() => receiveFds(b.fd)), "EAGAIN");
  });
});

Deno.test("receiveFds() gives what a sender left before it went, then null; sendFds() then says EPIPE", () => {
  withSameFds(() => {
    const [a, b] = socketPair();
    using _end = b;
    using memory = createMemfd("left behind");
    sendFds(b.fd, text("never read"), [memory.fd]);
    sendFds(a.fd, text("last"), [memory.fd]);
    a[Symbol.dispose]();
    const message = receiveFds(b.fd, { wait: true });
    using _fds = stackOf(message?.fds ?? []);
    assertEquals(message?.bytes, text("last"));
    assertEquals(fstat(message?.fds[0]?.fd ?? -1).ino, fstat(memory.fd).ino);
    assertEquals([receiveFds(b.fd, { wait: true }), receiveFds(b.fd)], [null, null]);
    assertEquals(codeOf(() => sendFds(b.fd, text("to nobody"), [])), "EPIPE");
  });
});

Deno.test("receiveFds() refuses a message larger than its capacity, and closes what came with it", () => {
  withSameFds(() => {
    const [a, b] = socketPair();
    using _ends = stackOf([a, b]);
    sendFds(a.fd, new Uint8Array(5000).fill(7), [0, 0]);
    sendFds(a.fd, new Uint8Array(5000).fill(7), []);
    assertEquals(codeOf(() => receiveFds(b.fd)), "EMSGSIZE");
    assertEquals(receiveFds(b.fd, { capacity: 5000 })?.bytes, new Uint8Array(5000).fill(7));
  });
});

Deno.test("sendFds() says EAGAIN when the queue is full, and sends again when it was read", () => {
  const [a, b] = socketPair();
  using _ends = stackOf([a, b]);
  let sent = 0;
  const code = codeOf(() => {
    for (; sent < 100_000; sent++) sendFds(a.fd, new Uint8Array(4000), []);
  });
  assertEquals(code, "EAGAIN");
  assert(sent > 10, `${sent} messages`);
  for (let i = 0; i < sent; i++) assertEquals(receiveFds(b.fd)?.bytes.length, 4000);
  sendFds(a.fd, text("again"), []);
});

Deno.test("receiveFds() without room in the table says EMFILE and keeps nothing of the message", async () => {
  const script = `
    const { socketPair, sendFds, receiveFds } = await import(${GUARD});
    const [a, b] = socketPair();
    const before = sys.listFds();
    sendFds(a.fd, new Uint8Array(1), Array.from({ length: 100 }, () => 0));
    sendFds(a.fd, new Uint8Array([9]), [0]);
    const { soft, hard } = sys.getLimit("nofile");
    // Counted from the lowest free number: there may be open ones anywhere above.
    let free = 3;
    while (before.includes(free)) free++;
    sys.setLimit("nofile", { soft: BigInt(free + 20), hard });
    try {
      receiveFds(b.fd);
    } catch (error) {
      say((error as sys.SysError).message);
    }
    sys.setLimit("nofile", { soft, hard });
    say(sys.listFds().join() === before.join());
    const next = receiveFds(b.fd);
    say([next.bytes[0], next.fds.length]);
  `;
  const [message, same, next] = await runScriptForJson(script);
  assertMatch(String(message), /^Cannot recvmsg fd \d+: EMFILE /);
  assertEquals([same, next], [true, [9, 1]]);
});

Deno.test({
  name: "sendFds() of an ordinary user says ETOOMANYREFS until something is read",
  ignore: noOrdinaryUser() !== null,
  fn: refusesTooMany,
});

async function refusesTooMany(): Promise<void> {
  const script = `
    const { socketPair, sendFds, receiveFds } = await import(${GUARD});
    const [a, b] = socketPair();
    sys.setLimit("nofile", { soft: 400n, hard: sys.getLimit("nofile").hard });
    const fds = Array.from({ length: 200 }, () => 0);
    let sent = 0;
    try {
      for (; sent < 20; sent++) sendFds(a.fd, new Uint8Array(1), fds);
    } catch (error) {
      say((error as sys.SysError).code);
    }
    for (const fd of receiveFds(b.fd).fds) fd[Symbol.dispose]();
    for (const fd of receiveFds(b.fd).fds) fd[Symbol.dispose]();
    sendFds(a.fd, new Uint8Array(1), fds);
    say(sent >= 2);
  `;
  await using user = await asOrdinaryUser();
  assertEquals(await runScriptForJson(script, {}, user), ["ETOOMANYREFS", true]);
}

Deno.test("receiveFds() keeps numbers apart from those that are in use", () => {
  const [a, b] = socketPair();
  using _ends = stackOf([a, b]);
  using file = openFile("/dev/null");
  sendFds(a.fd, text("x"), [file.fd]);
  const free = nextFreeFd();
  const message = receiveFds(b.fd);
  using _fds = stackOf(message?.fds ?? []);
  assertEquals(message?.fds.map(({ fd }) => fd), [free]);
  assertEquals([isOpenFd(free), fdLink(free)], [true, "/dev/null"]);
});

function stackOf(fds: OwnedFd[]): DisposableStack {
  const stack = new DisposableStack();
  for (const fd of fds) stack.use(fd);
  return stack;
}
