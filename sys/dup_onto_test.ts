import { assertEquals, assertThrows } from "@std/assert";
import { dupOnto } from "./dup_onto.ts";
import { SysError } from "./errno.ts";
import { getCloexec } from "./fd.ts";
import { createMemfd } from "./memfd.ts";
import { fdLink } from "./proc.ts";

Deno.test("dupOnto() puts the same open file onto a number, free or taken, close-on-exec", () => {
  using source = createMemfd("source");
  using taken = createMemfd("taken");
  dupOnto(source.fd, taken.fd);
  assertEquals([fdLink(taken.fd), getCloexec(taken.fd)], ["/memfd:source (deleted)", true]);
  using free = createMemfd("free").dup(900);
  dupOnto(source.fd, free.fd);
  assertEquals(fdLink(900), "/memfd:source (deleted)");
});

Deno.test("dupOnto() refuses a closed descriptor, its own number and numbers beyond the limit", () => {
  using source = createMemfd("source");
  const codeOf = (body: () => void): string => assertThrows(body, SysError).code;
  assertEquals(codeOf(() => dupOnto(0x7ffffff0, 900)), "EBADF");
  assertEquals(codeOf(() => dupOnto(source.fd, source.fd)), "EINVAL");
  assertEquals(codeOf(() => dupOnto(source.fd, 0x7ffffff0)), "EBADF");
});
