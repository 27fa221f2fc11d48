import { assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./errno.ts";
import { addCount, createEventfd, decodeCount, encodeCount, MAX_COUNT, takeCount } from "./eventfd.ts";
import { getCloexec, getFlags } from "./fd.ts";
import { withSameFds } from "./helpers_test.ts";
import { openFile } from "./file.ts";
import { fdInfo } from "./proc.ts";

const O_NONBLOCK = 0o4000;

Deno.test("encodeCount() and decodeCount() are 8 bytes, the lowest first", () => {
  assertEquals(encodeCount(0x0102_0304_0506_0708n).toHex(), "0807060504030201");
  assertEquals(decodeCount(Uint8Array.fromHex("feffffffffffffff")), MAX_COUNT);
});

Deno.test("createEventfd() makes a nonblocking, close-on-exec eventfd of the mode that was asked for", () => {
  withSameFds(() => {
    for (const semaphore of [false, true]) {
      using eventfd = createEventfd({ semaphore });
      assertEquals([getCloexec(eventfd.fd), getFlags(eventfd.fd) & O_NONBLOCK], [true, O_NONBLOCK]);
      assertEquals(addCount(eventfd.fd, 3n), true);
      assertEquals(fdInfo(eventfd.fd).get("eventfd-count")?.trim(), "3");
      const taken = [0, 1, 2, 3].map(() => takeCount(eventfd.fd));
      assertEquals(taken, semaphore ? [1n, 1n, 1n, null] : [3n, null, null, null]);
    }
  });
});

Deno.test("addCount() adds nothing where there is no room, and takes no number that no counter holds", () => {
  using eventfd = createEventfd();
  assertEquals(addCount(eventfd.fd, MAX_COUNT), true);
  assertEquals(addCount(eventfd.fd, 0n), true);
  assertEquals(addCount(eventfd.fd, 1n), false);
  assertEquals(takeCount(eventfd.fd), MAX_COUNT);
  assertThrows(() => addCount(eventfd.fd, MAX_COUNT + 1n), RangeError, "not a number from 0");
  assertThrows(() => addCount(eventfd.fd, -1n), RangeError);
  assertEquals(takeCount(eventfd.fd), null);
});

Deno.test("addCount() and takeCount() say what is wrong with a descriptor", () => {
  const closed = createEventfd();
  const { fd } = closed;
  closed[Symbol.dispose]();
  assertEquals(assertThrows(() => addCount(fd, 1n), SysError).code, "EBADF");
  assertEquals(assertThrows(() => takeCount(fd), SysError).code, "EBADF");
  using file = openFile("/dev/full", { write: true });
  assertEquals(assertThrows(() => addCount(file.fd, 1n), SysError).code, "ENOSPC");
});
