import { assert, assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./errno.ts";
import {
  closeFd,
  closeOnExecFrom,
  dupOnto,
  getCloexec,
  getFlags,
  isOpenFd,
  setCloexec,
  setFlags,
  setNonblocking,
} from "./fd.ts";
import { makePipe, nextFreeFd, withSameFds } from "./helpers_test.ts";
import { openFile } from "./file.ts";
import { createMemfd } from "./memfd.ts";
import { dupFd } from "./owned_fd.ts";
import { fdLink } from "./proc.ts";

const NOT_OPEN = 0x7ffffff0;
const O_NONBLOCK = 0o4000;
const O_APPEND = 0o2000;

function codeOf(body: () => unknown): string {
  return assertThrows(body, SysError).code;
}

Deno.test("closeFd() closes, and the number comes back", () => {
  const before = nextFreeFd();
  const fd = openFile("/dev/null").release();
  assertEquals(fd, before);
  assert(isOpenFd(fd));
  closeFd(fd);
  assert(!isOpenFd(fd));
  assertEquals(nextFreeFd(), before);
  assertEquals(codeOf(() => closeFd(fd)), "EBADF");
});

Deno.test("fd functions say EBADF for a number that is not open", () => {
  assert(!isOpenFd(NOT_OPEN));
  assert(!isOpenFd(-1));
  for (
    const body of [
      () => closeFd(NOT_OPEN),
      () => getCloexec(NOT_OPEN),
      () => setCloexec(NOT_OPEN, true),
      () => getFlags(NOT_OPEN),
      () => setFlags(NOT_OPEN, 0),
      () => setNonblocking(NOT_OPEN, true),
    ]
  ) assertEquals(codeOf(body), "EBADF");
});

Deno.test("fd functions refuse what is no number, instead of taking it for 0", () => {
  for (const fd of [NaN, 1.5, undefined as unknown as number]) {
    assertThrows(() => closeFd(fd), TypeError);
    assertThrows(() => isOpenFd(fd), TypeError);
  }
});

Deno.test("setCloexec() changes the flag of the number, not of its duplicate", () => {
  using file = openFile("/dev/null");
  using copy = file.dup();
  assert(getCloexec(file.fd));
  setCloexec(file.fd, false);
  assert(!getCloexec(file.fd));
  assert(getCloexec(copy.fd));
  setCloexec(file.fd, true);
  assert(getCloexec(file.fd));
});

Deno.test("setFlags() and setNonblocking() change what all duplicates share", () => {
  const [reader, writer] = makePipe();
  using _reader = reader;
  using _writer = writer;
  using copy = dupFd(writer.fd);
  setNonblocking(writer.fd, true);
  assertEquals(getFlags(copy.fd) & O_NONBLOCK, O_NONBLOCK);
  setFlags(writer.fd, O_APPEND | O_NONBLOCK);
  setNonblocking(copy.fd, false);
  assertEquals(getFlags(writer.fd) & (O_APPEND | O_NONBLOCK), O_APPEND);
});

Deno.test("closeOnExecFrom() marks the descriptors of its range only, and closes none", () => {
  withSameFds(() => {
    using first = openFile("/dev/null");
    using second = first.dup(first.fd + 1);
    using third = first.dup(second.fd + 1);
    for (const { fd } of [first, second, third]) setCloexec(fd, false);
    closeOnExecFrom(second.fd, second.fd);
    assertEquals([first, second, third].map(({ fd }) => getCloexec(fd)), [false, true, false]);
    closeOnExecFrom(first.fd);
    assertEquals([first, second, third].map(({ fd }) => getCloexec(fd)), [true, true, true]);
  });
});

Deno.test("closeOnExecFrom() refuses what is no range", () => {
  assertEquals(codeOf(() => closeOnExecFrom(10, 9)), "EINVAL");
  for (const bound of [-1, 1.5, NaN, 2 ** 32]) assertThrows(() => closeOnExecFrom(bound), RangeError);
  assertThrows(() => closeOnExecFrom(0, -1), RangeError);
});

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
  assertEquals(codeOf(() => dupOnto(0x7ffffff0, 900)), "EBADF");
  assertEquals(codeOf(() => dupOnto(source.fd, source.fd)), "EINVAL");
  assertEquals(codeOf(() => dupOnto(source.fd, 0x7ffffff0)), "EBADF");
});
