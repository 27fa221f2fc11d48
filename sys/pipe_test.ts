import { assertEquals, assertThrows } from "@std/assert";

import { tempDir } from "../testing/wait.ts";
import { SysError } from "./errno.ts";
import { getCloexec, getFlags } from "./fd.ts";
import { O_DIRECT } from "./arch.ts";
import { openFile, read, write } from "./file.ts";
import { withSameFds } from "./helpers_test.ts";
import {
  bytesWaiting,
  createPipe,
  isAnonymousPipe,
  makeFifo,
  openFifo,
  pipeAccess,
  pipeCapacity,
  reopenPipe,
  setPipeCapacity,
} from "./pipe.ts";
import { POLLHUP, POLLIN, pollNow } from "./poll.ts";
import { sameOpenFile } from "./same_file.ts";

const O_NONBLOCK = 0o4000;

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function textOf(fd: number, size = 100): string {
  const buffer = new Uint8Array(size);
  return new TextDecoder().decode(buffer.subarray(0, read(fd, buffer)));
}

function codeOf(body: () => unknown): string {
  return assertThrows(body, SysError).code;
}

Deno.test("createPipe() makes two blocking ends, close-on-exec, without a path", () => {
  withSameFds(() => {
    const ends = createPipe();
    using reader = ends.read;
    using writer = ends.write;
    write(writer.fd, bytes("hello"));
    assertEquals([bytesWaiting(reader.fd), bytesWaiting(writer.fd)], [5, 5]);
    assertEquals(textOf(reader.fd), "hello");
    assertEquals(bytesWaiting(reader.fd), 0);
    assertEquals([reader, writer].map(({ fd }) => getCloexec(fd)), [true, true]);
    assertEquals([reader, writer].map(({ fd }) => getFlags(fd) & (O_NONBLOCK | O_DIRECT)), [0, 0]);
    assertEquals([reader, writer].map(({ fd }) => isAnonymousPipe(fd)), [true, true]);
    assertEquals(pipeAccess(reader.fd), { read: true, write: false });
    assertEquals(pipeAccess(writer.fd), { read: false, write: true });
  });
});

Deno.test("createPipe() in packet mode keeps writes apart, also through a description that was opened again", () => {
  withSameFds(() => {
    const ends = createPipe({ packets: true });
    using reader = ends.read;
    using writer = ends.write;
    using again = reopenPipe(writer.fd, { read: false, write: true });
    for (const { fd } of [writer, again, writer]) write(fd, bytes(`from ${fd}`));
    assertEquals(
      [0, 1, 2].map(() => textOf(reader.fd)),
      [writer, again, writer].map(({ fd }) => `from ${fd}`),
    );
  });
});

Deno.test("reopenPipe() gives a nonblocking description of the same pipe and leaves the first one as it is", () => {
  withSameFds(() => {
    const ends = createPipe();
    using reader = ends.read;
    using writer = ends.write;
    using again = reopenPipe(reader.fd, { read: true, write: false });
    assertEquals(sameOpenFile(reader.fd, again.fd), false);
    assertEquals([getFlags(reader.fd) & O_NONBLOCK, getFlags(again.fd) & O_NONBLOCK], [0, O_NONBLOCK]);
    assertEquals(getCloexec(again.fd), true);
    assertEquals(codeOf(() => read(again.fd, new Uint8Array(1))), "EAGAIN");
    write(writer.fd, bytes("x"));
    assertEquals(textOf(again.fd), "x");
    writer[Symbol.dispose]();
    assertEquals(textOf(again.fd), "", "the end");
    using late = reopenPipe(reader.fd, { read: true, write: false });
    assertEquals(pollNow([late.fd], POLLIN), [POLLHUP], "who comes after the end sees it");
  });
});

Deno.test("setPipeCapacity() is told from both ends, and refuses what the kernel refuses", () => {
  const ends = createPipe();
  using reader = ends.read;
  using writer = ends.write;
  const size = setPipeCapacity(reader.fd, 20_000);
  assertEquals(size >= 20_000, true);
  assertEquals(pipeCapacity(writer.fd), size);
  write(writer.fd, new Uint8Array(size));
  assertEquals(codeOf(() => setPipeCapacity(writer.fd, 1)), "EBUSY");
  for (const wrong of [0, -1, 0.5, NaN, 2 ** 31]) {
    assertThrows(() => setPipeCapacity(reader.fd, wrong), RangeError, String(wrong));
  }
  using file = openFile("/dev/null");
  assertEquals(codeOf(() => pipeCapacity(file.fd)), "EBADF");
  assertEquals(codeOf(() => bytesWaiting(file.fd)), "ENOTTY");
});

Deno.test("openFifo() never waits for the other end", async () => {
  await using directory = tempDir();
  const path = `${directory.path}/fifo`;
  makeFifo(path, 0o600);
  assertEquals((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
  assertEquals(codeOf(() => makeFifo(path)), "EEXIST");
  assertEquals(codeOf(() => openFifo(path, { read: false, write: true })), "ENXIO");
  assertEquals(codeOf(() => openFifo(`${path}2`, { read: true, write: false })), "ENOENT");
  using both = openFifo(path, { read: true, write: true });
  assertEquals(pipeAccess(both.fd), { read: true, write: true });
  assertEquals([isAnonymousPipe(both.fd), getCloexec(both.fd)], [false, true]);
  using writer = openFifo(path, { read: false, write: true });
  write(writer.fd, bytes("hello"));
  assertEquals(textOf(both.fd), "hello");
  assertEquals(codeOf(() => read(both.fd, new Uint8Array(1))), "EAGAIN", "it is its own writer");
});

Deno.test("reopenPipe() of a FIFO that is unlinked leads to it, and forgets writers that are gone", async () => {
  await using directory = tempDir();
  const path = `${directory.path}/fifo`;
  makeFifo(path);
  using reader = openFifo(path, { read: true, write: false });
  openFifo(path, { read: false, write: true })[Symbol.dispose]();
  assertEquals(pollNow([reader.fd], POLLIN), [POLLHUP]);
  using fresh = reopenPipe(reader.fd, { read: true, write: false });
  assertEquals(pollNow([fresh.fd], POLLIN), [0]);
  using writer = openFifo(path, { read: false, write: true });
  Deno.removeSync(path);
  write(writer.fd, bytes("still"));
  using last = reopenPipe(reader.fd, { read: true, write: true });
  assertEquals(textOf(last.fd), "still");
});
