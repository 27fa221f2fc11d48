import { assert, assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./errno.ts";
import { openFile, pread, pwrite, readFile } from "./file.ts";
import { makePipe, withSameFds } from "./helpers_test.ts";
import { addSeals, createMemfd, SEALS } from "./memfd.ts";
import { Mapping } from "./mmap.ts";

function byteAt(fd: number, offset: number): number | undefined {
  const byte = new Uint8Array(1);
  return pread(fd, byte, offset) === 1 ? byte[0] : undefined;
}

/** How many mappings of a memfd of this name the process has. */
function mappingsOf(name: string): number {
  const text = new TextDecoder().decode(readFile("/proc/self/maps"));
  return text.split("\n").filter((line) => line.includes(`/memfd:${name}`)).length;
}

Deno.test("Mapping.map() writable shares the bytes with the file and with other mappings", () => {
  using memfd = createMemfd("shared", { size: 10_000 });
  using one = Mapping.map(memfd.fd, 10_000, { writable: true });
  using two = Mapping.map(memfd.fd, 5000, { writable: true });
  assertEquals([one.length, one.bytes.length, two.length], [10_000, 10_000, 5000]);
  one.bytes[4097] = 42;
  assertEquals([two.bytes[4097], byteAt(memfd.fd, 4097)], [42, 42]);
  pwrite(memfd.fd, new Uint8Array([43]), 9999);
  assertEquals(one.bytes[9999], 43);
  assert(one.bytes === one.bytes);
});

Deno.test("Mapping.map() not writable reads the file and keeps writes to itself", () => {
  using memfd = createMemfd("private", { size: 8192 });
  using mapping = Mapping.map(memfd.fd, 8192, { writable: false });
  pwrite(memfd.fd, new Uint8Array([1]), 0);
  assertEquals(mapping.bytes[0], 1);
  mapping.bytes[0] = 99;
  assertEquals([mapping.bytes[0], byteAt(memfd.fd, 0)], [99, 1]);
});

Deno.test("Mapping.map() not writable works on sealed memory and on a read-only descriptor", () => {
  using memfd = createMemfd("sealed", { size: 4096 });
  pwrite(memfd.fd, new Uint8Array([5]), 0);
  addSeals(memfd.fd, SEALS.SEAL | SEALS.SHRINK | SEALS.GROW | SEALS.WRITE);
  using sealed = Mapping.map(memfd.fd, 4096, { writable: false });
  sealed.bytes[0]! += 1;
  assertEquals([sealed.bytes[0], byteAt(memfd.fd, 0)], [6, 5]);

  using readOnly = openFile(`/proc/self/fd/${memfd.fd}`);
  using mapping = Mapping.map(readOnly.fd, 4096, { writable: false });
  assertEquals(mapping.bytes[0], 5);
});

Deno.test("Mapping outlives its descriptor and holds none", () => {
  withSameFds(() => {
    const memfd = createMemfd("outlived", { size: 4096 });
    using mapping = Mapping.map(memfd.fd, 4096, { writable: true });
    memfd[Symbol.dispose]();
    mapping.bytes[0] = 1;
    assertEquals(mapping.bytes[0], 1);
  });
});

Deno.test("Mapping[Symbol.dispose]() unmaps, and leaves old views empty and harmless", () => {
  using memfd = createMemfd("disposed-of", { size: 8192 });
  const mapping = Mapping.map(memfd.fd, 8192, { writable: true });
  const view = mapping.bytes;
  const part = view.subarray(4096, 4100);
  const words = new DataView(view.buffer);
  view.fill(1);
  assertEquals(mappingsOf("disposed-of"), 1);

  mapping[Symbol.dispose]();
  assertEquals(mappingsOf("disposed-of"), 0);
  assertEquals([view.length, part.length, view.buffer.byteLength], [0, 0, 0]);
  assertEquals([view[0], part[0]], [undefined, undefined]);
  view[0] = 9;
  part[0] = 9;
  assertThrows(() => words.getUint8(0), TypeError);
  assertThrows(() => mapping.bytes, TypeError, "disposed");
  assertThrows(() => mapping.releasePages(), TypeError, "disposed");
  mapping[Symbol.dispose]();
  assertEquals(byteAt(memfd.fd, 0), 1);
});

Deno.test("Mapping[Symbol.dispose]() never unmaps what a new mapping has at the same address", () => {
  using memfd = createMemfd("again", { size: 4096 });
  for (let i = 0; i < 2000; i++) {
    const first = Mapping.map(memfd.fd, 4096, { writable: true });
    first[Symbol.dispose]();
    using second = Mapping.map(memfd.fd, 4096, { writable: true });
    first[Symbol.dispose]();
    second.bytes[0] = i;
    assertEquals(second.bytes[0], i & 0xff);
  }
  assertEquals(mappingsOf("again"), 0);
});

Deno.test("Mapping[Symbol.dispose]() keeps memory readable that somebody else has taken", () => {
  using memfd = createMemfd("taken", { size: 4096 });
  const mapping = Mapping.map(memfd.fd, 4096, { writable: true });
  mapping.bytes[0] = 1;
  const taken = new Uint8Array(mapping.bytes.buffer.transfer());
  assertEquals(taken[0], 1);
  mapping[Symbol.dispose]();
  assertEquals(mappingsOf("taken"), 0);
  assertEquals([taken.length, taken[0]], [4096, 0]);
  taken[0] = 2;
  assertEquals([taken[0], byteAt(memfd.fd, 0)], [2, 1]);
});

Deno.test("Mapping.map() of length 0 is empty and maps nothing", () => {
  using memfd = createMemfd("nothing");
  for (const writable of [true, false]) {
    using mapping = Mapping.map(memfd.fd, 0, { writable });
    assertEquals([mapping.length, mapping.bytes.length], [0, 0]);
    mapping.releasePages();
  }
  assertEquals(mappingsOf("nothing"), 0);
});

Deno.test("Mapping.releasePages() gives the pages back and keeps the content", () => {
  using memfd = createMemfd("released", { size: 2 ** 22 });
  using mapping = Mapping.map(memfd.fd, 2 ** 22, { writable: true });
  mapping.bytes.fill(3);
  assertEquals(residentKilobytes("released"), 4096);
  mapping.releasePages();
  assertEquals(residentKilobytes("released"), 0);
  assert(mapping.bytes.every((byte) => byte === 3));
});

Deno.test("Mapping.releasePages() leaves what was written to a private mapping", () => {
  using memfd = createMemfd("private", { size: 4096 });
  using mapping = Mapping.map(memfd.fd, 4096, { writable: false });
  mapping.bytes[0] = 9;
  mapping.releasePages();
  assertEquals(mapping.bytes[0], 9);
});

/** The `Rss:` line of the mapping in `/proc/self/smaps`. */
function residentKilobytes(name: string): number {
  const text = new TextDecoder().decode(readFile("/proc/self/smaps"));
  const section = text.slice(text.indexOf(`/memfd:${name}`));
  return Number(/^Rss:\s+(\d+) kB$/m.exec(section)?.[1]);
}

Deno.test("Mapping.map() maps more than 4 GiB", () => {
  const length = 2 ** 32 + 4096;
  using memfd = createMemfd("large", { size: length });
  using mapping = Mapping.map(memfd.fd, length, { writable: true });
  assertEquals(mapping.bytes.length, length);
  mapping.bytes[length - 1] = 8;
  assertEquals(byteAt(memfd.fd, length - 1), 8);
});

Deno.test("Mapping.map() refuses a length that is none, or beyond the end of the file", () => {
  using memfd = createMemfd("short", { size: 5000 });
  for (const length of [-1, 0.5, NaN, 2 ** 53]) {
    assertThrows(() => Mapping.map(memfd.fd, length, { writable: true }), RangeError);
  }
  const error = assertThrows(() => Mapping.map(memfd.fd, 5001, { writable: false }), RangeError);
  assertEquals(error.message, `Cannot map 5001 bytes of fd ${memfd.fd}: the file has 5000`);
});

Deno.test("Mapping.map() says what the kernel refuses", () => {
  withSameFds(() => {
    const codeOf = (fd: number, writable: boolean): string =>
      assertThrows(() => Mapping.map(fd, 4096, { writable }), SysError).code;
    assertEquals(codeOf(0x7ffffff0, true), "EBADF");
    const [reader, writer] = makePipe();
    using _reader = reader;
    using _writer = writer;
    assertEquals(codeOf(reader.fd, false), "ENODEV");
    using memfd = createMemfd("half", { size: 4096 });
    using readOnly = openFile(`/proc/self/fd/${memfd.fd}`);
    assertEquals(codeOf(readOnly.fd, true), "EACCES");
    using writeOnly = openFile(`/proc/self/fd/${memfd.fd}`, { write: true });
    assertEquals(codeOf(writeOnly.fd, false), "EACCES");
  });
});
