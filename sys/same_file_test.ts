import { assert, assertEquals, assertThrows } from "@std/assert";

import { SysError } from "./errno.ts";
import { createMemfd } from "./memfd.ts";
import { openFile } from "./file.ts";
import { sameOpenFile } from "./same_file.ts";

Deno.test("sameOpenFile tells a duplicate from a second opening", () => {
  using memory = createMemfd("same");
  using copy = memory.dup();
  using again = openFile(`/proc/self/fd/${memory.fd}`, { read: true });
  assert(sameOpenFile(memory.fd, copy.fd));
  assertEquals(sameOpenFile(memory.fd, again.fd), false);
});

Deno.test("sameOpenFile refuses closed descriptors", () => {
  using memory = createMemfd("same");
  const gone = memory.dup();
  const number = gone.fd;
  gone[Symbol.dispose]();
  const error = assertThrows(() => sameOpenFile(memory.fd, number), SysError) as SysError;
  assertEquals(error.code, "EBADF");
});
