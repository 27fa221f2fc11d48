import { assert, assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./errno.ts";
import { closeFd, getCloexec, isOpenFd } from "./fd.ts";
import { openFile } from "./file.ts";
import { nextFreeFd, withSameFds } from "./helpers_test.ts";
import { dupFd, OwnedFd } from "./owned_fd.ts";

Deno.test("OwnedFd closes its descriptor at the end of the block, also after an exception", () => {
  withSameFds(() => {
    assertThrows(
      () => {
        using file = openFile("/dev/null");
        assert(isOpenFd(file.fd));
        throw new TypeError("on purpose");
      },
      TypeError,
      "on purpose",
    );
  });
});

Deno.test("OwnedFd.fd throws after disposal, and a second disposal does nothing", () => {
  const file = openFile("/dev/null");
  const number = file.fd;
  assert(!file.disposed);
  file[Symbol.dispose]();
  assert(file.disposed);
  assert(!isOpenFd(number));
  using other = openFile("/dev/null");
  assertEquals(other.fd, number);
  file[Symbol.dispose]();
  assert(isOpenFd(number), "the number belongs to somebody else now");
  for (const body of [() => file.fd, () => file.dup(), () => file.release()]) assertThrows(body, TypeError);
});

Deno.test("OwnedFd.release() gives the number away", () => {
  withSameFds(() => {
    const file = openFile("/dev/null");
    const fd = file.release();
    file[Symbol.dispose]();
    assert(file.disposed);
    assert(isOpenFd(fd));
    assertThrows(() => file.fd, TypeError);
    closeFd(fd);
  });
});

Deno.test("OwnedFd[Symbol.dispose]() does not hide that somebody else closed the descriptor", () => {
  const file = openFile("/dev/null");
  closeFd(file.fd);
  assertEquals(assertThrows(() => file[Symbol.dispose](), SysError).code, "EBADF");
  assert(file.disposed);
});

Deno.test("OwnedFd.dup() is another number of the same file, close-on-exec, at or above min", () => {
  withSameFds(() => {
    using file = openFile("/dev/null");
    using copy = file.dup();
    using high = file.dup(200);
    assert(copy.fd !== file.fd && copy.fd >= 3);
    assert(high.fd >= 200);
    assert(getCloexec(copy.fd) && getCloexec(high.fd));
    file[Symbol.dispose]();
    assert(isOpenFd(copy.fd));
  });
});

Deno.test("dupFd() says EBADF and EINVAL, and takes no number then", () => {
  const before = nextFreeFd();
  assertEquals(assertThrows(() => dupFd(0x7ffffff0), SysError).code, "EBADF");
  assertEquals(assertThrows(() => dupFd(0, 0x7ffffff0), SysError).code, "EINVAL");
  assertEquals(nextFreeFd(), before);
});

Deno.test("OwnedFd.adopt() refuses what is no descriptor number", () => {
  for (const fd of [-1, 1.5, NaN, 2 ** 31]) assertThrows(() => OwnedFd.adopt(fd), RangeError);
});
