import { assert, assertEquals, assertThrows } from "@std/assert";

import { SysError } from "./errno.ts";
import { getCloexec, getFlags, setNonblocking } from "./fd.ts";
import { openFile, read, write } from "./file.ts";
import { makePipe, withSameFds } from "./helpers_test.ts";
import { POLLHUP, POLLIN, pollNow } from "./poll.ts";
import { reapIfEnded } from "./process.ts";
import { spawnProcess } from "./spawn.ts";
import {
  decodeWindowSize,
  encodeWindowSize,
  getWindowSize,
  lookAtTerminal,
  openTerminal,
  sessionOf,
  setWindowSize,
  slavePath,
} from "./terminal.ts";
import { waitFor } from "../testing/wait.ts";

const SIZE = { columns: 100, rows: 30 };
const TEXT = new TextEncoder();

/** Everything that comes out of a master until its other end is closed by everyone. */
async function readToEnd(fd: number): Promise<string> {
  const bytes = new Uint8Array(4096);
  let said = "";
  await waitFor(() => {
    for (;;) {
      try {
        said += new TextDecoder().decode(bytes.subarray(0, read(fd, bytes)));
      } catch (error) {
        const { code } = error as SysError;
        if (code === "EAGAIN" || code === "EIO") return code === "EIO";
        throw error;
      }
    }
  }, { what: "the end of the terminal", timeoutMs: 30_000, intervalMs: 1 });
  return said;
}

Deno.test("openTerminal() gives a nonblocking master of the size that was asked for, and its slave can be opened", () => {
  withSameFds(() => {
    using master = openTerminal(SIZE);
    assertEquals([getCloexec(master.fd), (getFlags(master.fd) & 0o4000) !== 0], [true, true]);
    assertEquals(getWindowSize(master.fd), SIZE);
    using slave = openFile(slavePath(master.fd), { read: true, write: true });
    assertEquals(getWindowSize(slave.fd), SIZE);
    setWindowSize(slave.fd, { columns: 1, rows: 65535 });
    assertEquals(getWindowSize(master.fd), { columns: 1, rows: 65535 });
    write(master.fd, TEXT.encode("line\r"));
    const bytes = new Uint8Array(10);
    assertEquals(new TextDecoder().decode(bytes.subarray(0, read(slave.fd, bytes))), "line\n");
  });
});

Deno.test("lookAtTerminal() tells both ends of a pty from each other, and each pty from every other", () => {
  using master = openTerminal(SIZE);
  using slave = openFile(slavePath(master.fd));
  using other = openTerminal(SIZE);
  const [one, two, three] = [master, slave, other].map(({ fd }) => lookAtTerminal(fd));
  if (one === null || typeof one !== "object" || two === null || typeof two !== "object") {
    throw new Error("none");
  }
  if (three === null || typeof three !== "object") throw new Error("none");
  assertEquals(`/dev/pts/${one.index}`, slavePath(master.fd));
  assertEquals([one.locked, one.packet, one.size], [false, false, SIZE]);
  assertEquals([two.index, two.locked, two.packet], [null, null, null]);
  assertEquals([two.device, two.settings, two.size], [one.device, one.settings, one.size]);
  assert(three.device !== one.device && three.index !== one.index);
});

Deno.test("lookAtTerminal() gives null for what is no terminal, and says of one that it was hung up", () => {
  const [reader, writer] = makePipe();
  using _reader = reader;
  using _writer = writer;
  using none = openFile("/dev/null");
  using file = openFile("/proc/self/stat");
  assertEquals([reader, none, file].map(({ fd }) => lookAtTerminal(fd)), [null, null, null]);
  const master = openTerminal(SIZE);
  using slave = openFile(slavePath(master.fd));
  master[Symbol.dispose]();
  assertEquals(lookAtTerminal(slave.fd), "hung up");
  assertThrows(() => lookAtTerminal(9999), SysError, "EBADF");
  assertThrows(() => slavePath(none.fd), SysError, "ENOTTY");
});

Deno.test("spawnProcess() with a terminal makes it the controlling terminal of a session of its own", async () => {
  using master = openTerminal(SIZE);
  const path = slavePath(master.fd);
  assertEquals(sessionOf(master.fd), null);
  const pid = spawnProcess({
    path: "/bin/sh",
    argv: ["sh", "-c", 'read go; tty; stty size; echo "$$"; ls /proc/self/fd; echo over </dev/tty >/dev/tty'],
    env: ["PATH=/usr/bin:/bin"],
    fds: [],
    terminal: path,
  });
  assertEquals(sessionOf(master.fd), pid);
  write(master.fd, TEXT.encode("\r"));
  const said = await readToEnd(master.fd);
  // The last number is the descriptor of ls itself: nothing else was handed to it.
  assertEquals(said.trim().split(/\s+/), [path, "30", "100", String(pid), "0", "1", "2", "3", "over"]);
  assertEquals(sessionOf(master.fd), null);
  assertEquals(pollNow([master.fd], POLLIN).map((bits) => (bits & POLLHUP) !== 0), [true]);
  const end = await waitFor(() => reapIfEnded(pid), { what: "the child", timeoutMs: 30_000, intervalMs: 1 });
  assertEquals(end, { status: 0, code: 0, signal: null });
});

Deno.test("spawnProcess() with a terminal lets Ctrl-C end a program, also where this process ignores it", async () => {
  using master = openTerminal(SIZE);
  const libc = Deno.dlopen("libc.so.6", { signal: { parameters: ["i32", "usize"], result: "usize" } });
  const before = libc.symbols.signal(2, 1n);
  let pid: number;
  try {
    pid = spawnProcess({
      path: "/bin/sleep",
      argv: ["sleep", "1000"],
      env: [],
      fds: [],
      terminal: slavePath(master.fd),
    });
  } finally {
    libc.symbols.signal(2, BigInt(before));
    libc.close();
  }
  write(master.fd, TEXT.encode("\x03"));
  const end = await waitFor(() => reapIfEnded(pid), { what: "the child", timeoutMs: 30_000, intervalMs: 1 });
  assertEquals(end, { status: 2, code: null, signal: 2 });
});

Deno.test("spawnProcess() says that there is no such terminal, and starts nothing", () => {
  const options = { path: "/bin/true", argv: ["true"], env: [], fds: [], terminal: "/dev/pts/none" };
  assertThrows(() => spawnProcess(options), SysError, "ENOENT");
});

Deno.test("a terminal holds what nobody reads, and its writer waits", async () => {
  using master = openTerminal(SIZE);
  using slave = openFile(slavePath(master.fd), { read: true, write: true });
  setNonblocking(slave.fd, true);
  let written = 0;
  await waitFor(() => {
    try {
      written += write(slave.fd, new Uint8Array(500).fill(65));
      return false;
    } catch (error) {
      return (error as SysError).code === "EAGAIN";
    }
  }, { what: "a full terminal", intervalMs: 0, timeoutMs: 30_000 });
  assert(written >= 4096, `${written} bytes`);
  slave[Symbol.dispose]();
  assertEquals((await readToEnd(master.fd)).length, written);
});

Deno.test("encodeWindowSize() writes struct winsize, and decodeWindowSize() reads it", () => {
  assertEquals(encodeWindowSize({ columns: 0x0102, rows: 0x0304 }), new Uint8Array([4, 3, 2, 1, 0, 0, 0, 0]));
  assertEquals(decodeWindowSize(new Uint8Array([4, 3, 2, 1, 9, 9, 9, 9])), { columns: 0x0102, rows: 0x0304 });
  for (const columns of [-1, 65536, 1.5, NaN]) {
    assertThrows(() => encodeWindowSize({ columns, rows: 1 }), RangeError, `${columns} columns`);
  }
});
