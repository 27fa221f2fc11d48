import { assertEquals, assertThrows } from "@std/assert";

import { makePipe, makeSocketPair } from "../sys/helpers_test.ts";
import { createMemfd, fstat, openFile, OwnedFd, SysError } from "../sys/mod.ts";
import { call } from "../sys/symbols.ts";
import { tempDir } from "../testing/wait.ts";
import { assertHandoverError } from "./helpers_test.ts";
import { identify, verifyIdentity } from "./identity.ts";

Deno.test("verifyIdentity() accepts what identify() described", () => {
  const [reader, writer] = makePipe();
  const [one, other] = makeSocketPair();
  using stack = new DisposableStack();
  for (const owned of [reader, writer, one, other, createMemfd("test"), openFile("/dev/null")]) {
    stack.use(owned);
    const record = identify(owned.fd, "preserved");
    assertEquals(record.cookie === undefined, fstat(owned.fd).kind !== "socket");
    verifyIdentity(record);
  }
});

Deno.test("verifyIdentity() refuses a closed descriptor", () => {
  const memory = createMemfd("test");
  const record = identify(memory.fd, "preserved");
  memory[Symbol.dispose]();
  assertHandoverError(
    () => verifyIdentity(record),
    "WRONG_DESCRIPTOR",
    `Cannot take over fd ${record.fd}: it is closed (EBADF)`,
  );
});

Deno.test("verifyIdentity() refuses another file under the same number", () => {
  using memory = createMemfd("test");
  using other = createMemfd("test");
  using device = openFile("/dev/null");
  const record = identify(memory.fd, "preserved");
  for (const { fd } of [other, device]) {
    assertHandoverError(() => verifyIdentity({ ...record, fd }), "WRONG_DESCRIPTOR", "it is another one (");
  }
});

Deno.test("verifyIdentity() refuses another type behind the same inode number", () => {
  using memory = createMemfd("test");
  const record = identify(memory.fd, "preserved");
  const mode = (record.mode & 0o7777) | 0o140000;
  assertHandoverError(
    () => verifyIdentity({ ...record, mode }),
    "WRONG_DESCRIPTOR",
    "it is another one (file",
  );
});

Deno.test("verifyIdentity() knows a socket by its cookie where everything else is equal", () => {
  const [one, other] = makeSocketPair();
  using _one = one;
  using _other = other;
  const record = identify(one.fd, "preserved");
  const cookie = (record.cookie ?? 0n) + 1n;
  assertHandoverError(
    () => verifyIdentity({ ...record, cookie }),
    "WRONG_DESCRIPTOR",
    "it is another socket",
  );
  const swapped = { ...identify(other.fd, "preserved"), fd: one.fd };
  assertHandoverError(() => verifyIdentity(swapped), "WRONG_DESCRIPTOR", "it is another one (socket");
});

Deno.test("verifyIdentity() knows the kinds of anonymous inodes apart, which share one number", () => {
  using count = OwnedFd.adopt(call.eventfd(0, 0o2000000));
  using set = OwnedFd.adopt(call.epoll_create1(0o2000000));
  const record = identify(count.fd, "preserved");
  assertEquals(record.link, "anon_inode:[eventfd]");
  verifyIdentity(record);
  assertHandoverError(
    () => verifyIdentity({ ...record, fd: set.fd }),
    "WRONG_DESCRIPTOR",
    "it is another one (anon_inode:[eventpoll] instead of anon_inode:[eventfd])",
  );
});

Deno.test("verifyIdentity() does not mind other permission bits", async () => {
  await using directory = tempDir("heirloom-kho-");
  const path = `${directory.path}/file`;
  using file = openFile(path, { write: true, create: true });
  const record = identify(file.fd, "preserved");
  Deno.chmodSync(path, 0o400);
  verifyIdentity(record);
});

Deno.test("identify() of a closed descriptor is EBADF", () => {
  const memory = createMemfd("test");
  const { fd } = memory;
  memory[Symbol.dispose]();
  assertEquals(assertThrows(() => identify(fd, "preserved"), SysError).code, "EBADF");
});
