import { assert, assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./errno.ts";
import { getCloexec, getFlags, setNonblocking } from "./fd.ts";
import {
  openFile,
  pread,
  pwrite,
  read,
  readFile,
  readLink,
  seek,
  sync,
  truncate,
  write,
  writeAll,
} from "./file.ts";
import { makePipe, nextFreeFd, withSameFds } from "./helpers_test.ts";

const O_ACCMODE = 3;
const O_APPEND = 0o2000;

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function readText(fd: number, length = 100): string {
  const bytes = new Uint8Array(length);
  return new TextDecoder().decode(bytes.subarray(0, read(fd, bytes)));
}

function codeOf(body: () => unknown): string {
  return assertThrows(body, SysError).code;
}

/** Runs `body` with the path of a file that does not exist yet. */
function withPath(body: (path: string) => void): void {
  const directory = Deno.makeTempDirSync({ prefix: "heirloom-sys-" });
  try {
    withSameFds(() => body(`${directory}/file`));
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

Deno.test("openFile() opens for reading unless told otherwise, close-on-exec", () => {
  withPath((path) => {
    Deno.writeTextFileSync(path, "content");
    using file = openFile(path);
    assert(getCloexec(file.fd));
    assertEquals(getFlags(file.fd) & O_ACCMODE, 0);
    assertEquals(readText(file.fd), "content");
    assertEquals(readText(file.fd), "");
    assertEquals(codeOf(() => write(file.fd, bytesOf("x"))), "EBADF");
  });
});

Deno.test("openFile() takes the access mode from read, write and append", () => {
  withPath((path) => {
    const modes: [Parameters<typeof openFile>[1], number][] = [
      [{ write: true, create: true }, 1],
      [{ append: true }, 1 | O_APPEND],
      [{ read: true, write: true }, 2],
      [{ read: true, append: true }, 2 | O_APPEND],
      [{ read: true }, 0],
    ];
    for (const [options, flags] of modes) {
      using file = openFile(path, options);
      assertEquals(getFlags(file.fd) & (O_ACCMODE | O_APPEND), flags);
    }
  });
});

Deno.test("openFile() creates, exclusively, with a mode, and truncates", () => {
  withPath((path) => {
    assertEquals(codeOf(() => openFile(path)), "ENOENT");
    {
      using file = openFile(path, { write: true, create: true, exclusive: true, mode: 0o600 });
      writeAll(file.fd, bytesOf("old"));
    }
    assertEquals((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
    assertEquals(codeOf(() => openFile(path, { write: true, create: true, exclusive: true })), "EEXIST");
    using _file = openFile(path, { write: true, truncate: true });
    assertEquals(Deno.readTextFileSync(path), "");
  });
});

Deno.test("openFile() opens directories and bare places", () => {
  withPath((path) => {
    Deno.writeTextFileSync(path, "content");
    assertEquals(codeOf(() => openFile(path, { directory: true })), "ENOTDIR");
    using _directory = openFile(path.slice(0, -5), { directory: true });
    using place = openFile(path, { path: true });
    assertEquals(codeOf(() => readText(place.fd)), "EBADF");
  });
});

Deno.test("openFile() names the path that it cannot open, and refuses a NUL", () => {
  const error = assertThrows(() => openFile("/does/not/exist"), SysError);
  assertEquals(error.message, 'Cannot open "/does/not/exist": ENOENT (no such file or directory)');
  assertThrows(() => openFile("/dev/null\0x"), TypeError);
});

Deno.test("openFile() opens a path that is not UTF-8", () => {
  withPath((path) => {
    const odd = `${path}\udcff`;
    {
      using file = openFile(odd, { write: true, create: true });
      writeAll(file.fd, bytesOf("odd"));
      assertEquals(readLink(`/proc/self/fd/${file.fd}`), odd);
    }
    assertEquals(readFile(odd), bytesOf("odd"));
  });
});

Deno.test("pread() and pwrite() leave the position alone", () => {
  withPath((path) => {
    using file = openFile(path, { read: true, write: true, create: true });
    writeAll(file.fd, bytesOf("0123456789"));
    assertEquals(pwrite(file.fd, bytesOf("ab"), 3), 2);
    const bytes = new Uint8Array(4);
    assertEquals(pread(file.fd, bytes, 2), 4);
    assertEquals(bytes, bytesOf("2ab5"));
    assertEquals(pread(file.fd, bytes, 9), 1);
    assertEquals(pread(file.fd, bytes, 10), 0);
    assertEquals(seek(file.fd, 0, "cur"), 10);
  });
});

Deno.test("read() and write() keep to the view that they are given", () => {
  withPath((path) => {
    using file = openFile(path, { read: true, write: true, create: true });
    const backing = bytesOf("secretPUBLICsecret");
    assertEquals(write(file.fd, backing.subarray(6, 12)), 6);
    assertEquals(seek(file.fd, 0, "set"), 0);
    const target = new Uint8Array(10).fill(1);
    assertEquals(read(file.fd, target.subarray(2, 5)), 3);
    assertEquals(target, new Uint8Array([1, 1, 80, 85, 66, 1, 1, 1, 1, 1]));
    assertEquals(read(file.fd, new Uint8Array(0)), 0);
    assertEquals(write(file.fd, new Uint8Array(0)), 0);
  });
});

Deno.test("seek() counts from the start, the position and the end, beyond 4 GiB too", () => {
  withPath((path) => {
    using file = openFile(path, { read: true, write: true, create: true });
    const far = 5 * 2 ** 30;
    truncate(file.fd, far);
    assertEquals(seek(file.fd, 0, "end"), far);
    assertEquals(seek(file.fd, -10, "cur"), far - 10);
    assertEquals(seek(file.fd, -far, "end"), 0);
    assertEquals(pwrite(file.fd, bytesOf("x"), far), 1);
    assertEquals(seek(file.fd, 0, "end"), far + 1);
    assertEquals(codeOf(() => seek(file.fd, -1, "set")), "EINVAL");
  });
});

Deno.test("file functions refuse offsets and sizes that are no safe integers", () => {
  withPath((path) => {
    using file = openFile(path, { read: true, write: true, create: true });
    const byte = new Uint8Array(1);
    for (const value of [NaN, 0.5, 2 ** 53, Infinity]) {
      assertThrows(() => seek(file.fd, value, "set"), RangeError);
    }
    for (const value of [-1, NaN, 0.5, 2 ** 53]) {
      assertThrows(() => pread(file.fd, byte, value), RangeError);
      assertThrows(() => pwrite(file.fd, byte, value), RangeError);
      assertThrows(() => truncate(file.fd, value), RangeError);
    }
    assertEquals(Deno.statSync(path).size, 0);
  });
});

Deno.test("truncate() grows with zeros and shrinks", () => {
  withPath((path) => {
    using file = openFile(path, { write: true, create: true });
    writeAll(file.fd, bytesOf("abc"));
    truncate(file.fd, 5);
    assertEquals(Deno.readFileSync(path), bytesOf("abc\0\0"));
    truncate(file.fd, 1);
    assertEquals(Deno.readTextFileSync(path), "a");
  });
});

Deno.test("sync() accepts a file and refuses a pipe", () => {
  withPath((path) => {
    using file = openFile(path, { write: true, create: true });
    sync(file.fd);
    sync(file.fd, true);
    const [reader, writer] = makePipe();
    using _reader = reader;
    using _writer = writer;
    assertEquals(codeOf(() => sync(writer.fd)), "EINVAL");
    assertEquals(codeOf(() => sync(writer.fd, true)), "EINVAL");
    assertEquals(codeOf(() => seek(writer.fd, 0, "cur")), "ESPIPE");
    assertEquals(codeOf(() => pread(reader.fd, new Uint8Array(1), 0)), "ESPIPE");
  });
});

Deno.test("read() and write() of a pipe that is not ready say EAGAIN", () => {
  const [reader, writer] = makePipe();
  using _reader = reader;
  using _writer = writer;
  setNonblocking(reader.fd, true);
  setNonblocking(writer.fd, true);
  assertEquals(codeOf(() => read(reader.fd, new Uint8Array(1))), "EAGAIN");
  assertEquals(codeOf(() => writeAll(writer.fd, new Uint8Array(2 ** 20))), "EAGAIN");
});

Deno.test("writeAll() goes on after a short write", () => {
  withPath((path) => {
    using file = openFile(path, { write: true, create: true });
    const bytes = crypto.getRandomValues(new Uint8Array(65536));
    writeAll(file.fd, bytes);
    assertEquals(Deno.readFileSync(path), bytes);
  });
  const [reader, writer] = makePipe();
  using _writer = writer;
  reader[Symbol.dispose]();
  assertEquals(codeOf(() => writeAll(writer.fd, bytesOf("x"))), "EPIPE");
});

Deno.test("readFile() reads files of any size, of /proc too", () => {
  withPath((path) => {
    for (const length of [0, 1, 4095, 4096, 4097, 200_000]) {
      const bytes = new Uint8Array(length).map((_, index) => index);
      Deno.writeFileSync(path, bytes);
      assertEquals(readFile(path), bytes);
    }
    assert(readFile("/proc/self/status").length > 100);
  });
  const before = nextFreeFd();
  assertEquals(codeOf(() => readFile("/proc")), "EISDIR");
  assertEquals(nextFreeFd(), before);
});

Deno.test("readLink() reads targets of any length and refuses what is no link", () => {
  withPath((path) => {
    for (const length of [1, 255, 256, 257, 4000]) {
      Deno.symlinkSync("x".repeat(length), path);
      assertEquals(readLink(path), "x".repeat(length));
      Deno.removeSync(path);
    }
    Deno.writeTextFileSync(path, "");
    assertEquals(codeOf(() => readLink(path)), "EINVAL");
  });
});
