import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { check, checkRetrying, ERRNO, errnoName, errnoOf, SysError } from "./errno.ts";
import { ERRNO_TEXT } from "./errno_table.ts";
import { call } from "./symbols.ts";

Deno.test("ERRNO holds every error number of Linux but the two that are not used", () => {
  const numbers = Object.values(ERRNO).sort((a, b) => a - b);
  const all = Array.from({ length: 133 }, (_, index) => index + 1);
  assertEquals(numbers, all.filter((number) => number !== 41 && number !== 58));
  assertEquals([ERRNO.EPERM, ERRNO.EAGAIN, ERRNO.EDEADLK, ERRNO.EOPNOTSUPP, ERRNO.EHWPOISON], [
    1,
    11,
    35,
    95,
    133,
  ]);
});

Deno.test("ERRNO_TEXT has a text for each error", () => {
  assertEquals(Object.keys(ERRNO_TEXT), Object.keys(ERRNO));
  for (const text of Object.values(ERRNO_TEXT)) assert(/^[^\s].*[^\s.]$/.test(text), text);
});

Deno.test("errnoName() and errnoOf() are inverse", () => {
  for (const [name, number] of Object.entries(ERRNO)) {
    assertEquals(errnoName(number), name);
    assertEquals(errnoOf(name), number);
  }
});

Deno.test("errnoOf() knows the second names", () => {
  assertEquals(errnoOf("EWOULDBLOCK"), ERRNO.EAGAIN);
  assertEquals(errnoOf("EDEADLOCK"), ERRNO.EDEADLK);
  assertEquals(errnoOf("ENOTSUP"), ERRNO.EOPNOTSUPP);
});

Deno.test("errnoName() of a number without a name can be read back", () => {
  assertEquals(errnoName(524), "E524");
  assertEquals(errnoOf("E524"), 524);
});

Deno.test("errnoOf() refuses what is no error", () => {
  for (const name of ["", "EBOGUS", "ebadf", "toString", "__proto__", "E0", "E2BIGGER", "E12345"]) {
    assertThrows(() => errnoOf(name), RangeError, `"${name}"`);
  }
});

Deno.test("SysError names the call, its subject and the reason", () => {
  const error = new SysError("fcntl", 9, "fd 7");
  assertEquals(error.message, "Cannot fcntl fd 7: EBADF (bad file descriptor)");
  assertEquals([error.name, error.code, error.errno, error.syscall], ["SysError", "EBADF", 9, "fcntl"]);
  assertInstanceOf(error, Error);
  assertEquals(new SysError("mmap", 12).message, "Cannot mmap: ENOMEM (cannot allocate memory)");
  assertEquals(new SysError("ioctl", 515).message, "Cannot ioctl: E515 (unknown error)");
});

Deno.test("check() hands success through and throws what errno says", () => {
  assertEquals(check(0, "close"), 0);
  assertEquals(check(42, "open"), 42);
  const error = assertThrows(() => check(call.close(0x7ffffff0), "close", 0x7ffffff0), SysError);
  assertEquals(error.message, "Cannot close fd 2147483632: EBADF (bad file descriptor)");
});

Deno.test("checkRetrying() makes an interrupted call again and stops at any other error", () => {
  const address = call.__errno_location();
  if (address === null) throw new TypeError("Cannot find errno");
  const cell = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(address, 4));
  function failWith(errno: number): number {
    cell[0] = errno;
    return -1;
  }
  let calls = 0;
  assertEquals(checkRetrying(() => ++calls < 5 ? failWith(ERRNO.EINTR) : calls, "read", 0), 5);
  calls = 0;
  const error = assertThrows(
    () => checkRetrying(() => failWith(++calls < 3 ? ERRNO.EINTR : ERRNO.EIO), "read", 0),
    SysError,
  );
  assertEquals([error.code, calls], ["EIO", 3]);
});
