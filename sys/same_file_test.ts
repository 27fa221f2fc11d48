import { assert, assertEquals, assertThrows } from "@std/assert";

import { SysError } from "./errno.ts";
import { createMemfd } from "./memfd.ts";
import { openFile } from "./file.ts";
import { dupFd } from "./owned_fd.ts";
import { compareOpenFiles, sameOpenFile } from "./same_file.ts";

Deno.test("sameOpenFile tells a duplicate from a second opening", () => {
  using memory = createMemfd("same");
  using copy = memory.dup();
  using again = openFile(`/proc/self/fd/${memory.fd}`, { read: true });
  assert(sameOpenFile(memory.fd, copy.fd));
  assertEquals(sameOpenFile(memory.fd, again.fd), false);
});

Deno.test("compareOpenFiles puts descriptors into one order, in which duplicates are equal", () => {
  using owned = new DisposableStack();
  const files = Array.from({ length: 20 }, (_, index) => owned.use(createMemfd(`ordered-${index}`)).fd);
  const copy = owned.use(dupFd(files[7]!)).fd;
  if (compareOpenFiles(files[7]!, copy) === null) {
    return console.log("not compared: kcmp(2) is not allowed here");
  }
  assertEquals(compareOpenFiles(files[7]!, copy), 0);
  const sorted = files.toSorted((a, b) => compareOpenFiles(a, b)!);
  sorted.forEach((one, index) => {
    sorted.forEach((other, at) => {
      assertEquals(Math.sign(compareOpenFiles(one, other)!), Math.sign(index - at));
    });
  });
});

Deno.test("compareOpenFiles does not tell of a closed descriptor", () => {
  using memory = createMemfd("closed");
  const closed = createMemfd("closed");
  const { fd } = closed;
  closed[Symbol.dispose]();
  assertEquals(compareOpenFiles(memory.fd, fd), null);
});

Deno.test("sameOpenFile refuses closed descriptors", () => {
  using memory = createMemfd("same");
  const gone = memory.dup();
  const number = gone.fd;
  gone[Symbol.dispose]();
  const error = assertThrows(() => sameOpenFile(memory.fd, number), SysError) as SysError;
  assertEquals(error.code, "EBADF");
});
