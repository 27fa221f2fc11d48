import { assertEquals, assertThrows } from "@std/assert";
import { O_NOFOLLOW } from "./arch.ts";
import { SysError } from "./errno.ts";
import { openFile } from "./file.ts";
import { makePipe, makeSocketPair, openTestLibc } from "./helpers_test.ts";
import { createMemfd } from "./memfd.ts";
import { OwnedFd } from "./owned_fd.ts";
import {
  decodeStat,
  decodeStatfs,
  encodeStat,
  type FileStat,
  filesystemType,
  fstat,
  fstatfs,
  HUGETLBFS_MAGIC,
  PROC_SUPER_MAGIC,
  TMPFS_MAGIC,
} from "./stat.ts";
import { call } from "./symbols.ts";
import { cString } from "./text.ts";

const EXAMPLE: FileStat = {
  dev: 0x0102030405060708n,
  ino: 0x1112131415161718n,
  mode: 0o100644,
  nlink: 0x21222324n,
  rdev: 0x3132333435363738n,
  size: 0x0a0b0c0d0e0f,
  kind: "file",
};

const HEAD = "0807060504030201" + "1817161514131211";
const EXAMPLE_X86_64 = HEAD + "2423222100000000" + // nlink, 64 bits
  "a4810000" + "00000000" + "00000000" + "00000000" + // mode, uid, gid, padding
  "3837363534333231" + "0f0e0d0c0b0a0000" + // rdev, size
  "00".repeat(88);
const EXAMPLE_AARCH64 = HEAD + "a4810000" + "24232221" + // mode, nlink
  "00000000" + "00000000" + // uid, gid
  "3837363534333231" + "0000000000000000" + "0f0e0d0c0b0a0000" + // rdev, padding, size
  "00".repeat(72);

Deno.test("encodeStat() lays the structure out as each architecture does", () => {
  assertEquals(encodeStat(EXAMPLE, "x86_64").toHex(), EXAMPLE_X86_64);
  assertEquals(encodeStat(EXAMPLE, "aarch64").toHex(), EXAMPLE_AARCH64);
  assertEquals([EXAMPLE_X86_64.length / 2, EXAMPLE_AARCH64.length / 2], [144, 128]);
});

Deno.test("decodeStat() reads the structure of each architecture, wherever it lies", () => {
  for (const [hex, arch] of [[EXAMPLE_X86_64, "x86_64"], [EXAMPLE_AARCH64, "aarch64"]] as const) {
    const bytes = Uint8Array.fromHex("ff" + hex);
    assertEquals(decodeStat(bytes.subarray(1), arch), EXAMPLE);
  }
});

Deno.test("decodeStat() refuses the structure of the other architecture", () => {
  assertThrows(() => decodeStat(encodeStat(EXAMPLE, "x86_64"), "aarch64"), RangeError, "144 bytes, not 128");
  assertThrows(() => decodeStat(encodeStat(EXAMPLE, "aarch64"), "x86_64"), RangeError, "128 bytes, not 144");
});

Deno.test("fstat() says what Deno.statSync() says", () => {
  const path = Deno.makeTempFileSync();
  try {
    Deno.writeTextFileSync(path, "12345");
    Deno.linkSync(path, `${path}-2`);
    using file = openFile(path);
    const expected = Deno.statSync(path);
    const actual = fstat(file.fd);
    assertEquals(actual.ino, BigInt(expected.ino ?? 0));
    assertEquals(actual.dev, BigInt(expected.dev));
    assertEquals([actual.mode, actual.size, actual.nlink], [expected.mode ?? 0, 5, 2n]);
    Deno.removeSync(`${path}-2`);
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test("fstat() tells the kinds apart", () => {
  const libc = openTestLibc();
  using stack = new DisposableStack();
  stack.defer(() => libc.close());
  const [reader, writer] = makePipe();
  const [left, right] = makeSocketPair();
  for (const fd of [reader, writer, left, right]) stack.use(fd);
  const kinds: [OwnedFd, string][] = [
    [createMemfd("kind"), "file"],
    [openFile("/", { directory: true }), "directory"],
    [openFile("/dev/null"), "chardev"],
    [reader.dup(), "fifo"],
    [left.dup(), "socket"],
    [OwnedFd.adopt(libc.symbols.eventfd(0, 0o2000000)), "anon"],
    [OwnedFd.adopt(libc.symbols.epoll_create1(0o2000000)), "anon"],
    [OwnedFd.adopt(call.open(cString("/proc/self"), O_NOFOLLOW | 0o12000000, 0)), "symlink"],
  ];
  for (const [fd, kind] of kinds) assertEquals(fstat(stack.use(fd).fd).kind, kind);
  assertEquals(decodeStat(encodeStat({ ...EXAMPLE, mode: 0o060660 }, "x86_64"), "x86_64").kind, "blockdev");
});

Deno.test("fstat() shows the device of a character device and the link count of an unlinked file", () => {
  using nothing = openFile("/dev/null");
  assertEquals(fstat(nothing.fd).rdev, 0x103n);
  using memfd = createMemfd("unlinked", { size: 5 * 2 ** 30 });
  assertEquals([fstat(memfd.fd).nlink, fstat(memfd.fd).size], [0n, 5 * 2 ** 30]);
});

Deno.test("fstat() and filesystemType() say EBADF", () => {
  assertEquals(assertThrows(() => fstat(0x7ffffff0), SysError).code, "EBADF");
  assertEquals(assertThrows(() => filesystemType(0x7ffffff0), SysError).code, "EBADF");
});

Deno.test("decodeStatfs() reads the structure, wherever it lies", () => {
  const hex = "ff" + "f658849500000000" + "0000200000000000" + "00".repeat(104); // f_type, f_bsize, the rest
  assertEquals(decodeStatfs(Uint8Array.fromHex(hex).subarray(1)), {
    type: HUGETLBFS_MAGIC,
    blockBytes: 2 ** 21,
  });
  assertThrows(() => decodeStatfs(new Uint8Array(121)), RangeError, "121 bytes, not 120");
});

Deno.test("filesystemType() tells tmpfs and procfs", () => {
  using memfd = createMemfd("type");
  assertEquals(filesystemType(memfd.fd), TMPFS_MAGIC);
  assertEquals(fstatfs(memfd.fd), { type: TMPFS_MAGIC, blockBytes: 4096 });
  using status = openFile("/proc/self/status");
  assertEquals(filesystemType(status.fd), PROC_SUPER_MAGIC);
});

Deno.test({
  name: "filesystemType() tells hugetlbfs",
  ignore: !/\bhugetlbfs\b/.test(Deno.readTextFileSync("/proc/filesystems")),
  fn() {
    const flags = 1 | 4; // MFD_CLOEXEC, MFD_HUGETLB
    using memfd = OwnedFd.adopt(call.memfd_create(cString("huge"), flags));
    assertEquals(filesystemType(memfd.fd), HUGETLBFS_MAGIC);
  },
});
