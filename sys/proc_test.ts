import { assert, assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./errno.ts";
import { getCloexec, isOpenFd, setCloexec } from "./fd.ts";
import { openFile, seek } from "./file.ts";
import {
  makePipe,
  openTestLibc,
  runScriptForJson,
  spawnRaw,
  waitUntil,
  withSameFds,
} from "./helpers_test.ts";
import { getLimit } from "./limits.ts";
import { createMemfd } from "./memfd.ts";
import { OwnedFd } from "./owned_fd.ts";
import {
  bootId,
  childPids,
  commandLine,
  fdInfo,
  fdLink,
  inheritableFds,
  listFds,
  parseFdInfo,
  parseStat,
  peakResidentBytes,
  residentBytes,
  scanChildPids,
  startTime,
  statusField,
} from "./proc.ts";
import { getPid, waitNoHang } from "./process.ts";
import { killProcess, SIGNALS } from "./signals.ts";

Deno.test("listFds() is exactly what is open, ascending", () => {
  withSameFds(() => {
    using memfd = createMemfd("listed");
    using high = memfd.dup(3000);
    const fds = listFds();
    assert(fds.includes(memfd.fd) && fds.includes(high.fd));
    assertEquals(fds, [...new Set(fds)].sort((a, b) => a - b));
    assertEquals(fds.filter((fd) => !isOpenFd(fd)), []);
    const open = Array.from({ length: 4096 }, (_, fd) => fd).filter(isOpenFd);
    assertEquals(fds.filter((fd) => fd < 4096), open);
  });
});

Deno.test("inheritableFds() is what an exec leaves open, in small tables and in large ones", () => {
  using file = openFile("/dev/null");
  using inherited = file.dup();
  setCloexec(inherited.fd, false);
  for (const number of [undefined, 3000, Math.min(20_000, Number(getLimit("nofile").soft) - 1)]) {
    using high = file.dup(number);
    setCloexec(high.fd, false);
    const expected = listFds().filter((fd) => !getCloexec(fd));
    assert(expected.includes(inherited.fd) && expected.includes(high.fd) && !expected.includes(file.fd));
    assertEquals(inheritableFds(), expected);
  }
});

Deno.test("listFds() lists thousands", () => {
  using stack = new DisposableStack();
  const before = listFds();
  using file = openFile("/dev/null");
  const made = [file.fd];
  const room = Number(getLimit("nofile").soft) - 200;
  for (let i = 0; i < Math.min(5000, room); i++) made.push(stack.use(file.dup()).fd);
  assertEquals(listFds(), [...before, ...made].sort((a, b) => a - b));
});

Deno.test("fdLink() says what a descriptor refers to", () => {
  using memfd = createMemfd("a name");
  assertEquals(fdLink(memfd.fd), "/memfd:a name (deleted)");
  const [reader, writer] = makePipe();
  using _writer = writer;
  using _reader = reader;
  assert(/^pipe:\[\d+\]$/.test(fdLink(reader.fd)));
  assertEquals(assertThrows(() => fdLink(0x7ffffff0), SysError).code, "ENOENT");
});

Deno.test("fdInfo() reads position and flags, and what the kind adds", () => {
  using memfd = createMemfd("info", { size: 100 });
  seek(memfd.fd, 42, "set");
  const info = fdInfo(memfd.fd);
  assertEquals(info.get("pos"), "42");
  assertEquals(Number.parseInt(info.get("flags") ?? "", 8) & 3, 2);

  const libc = openTestLibc();
  try {
    using event = OwnedFd.adopt(libc.symbols.eventfd(0x5a, 0o2000000));
    assertEquals(fdInfo(event.fd).get("eventfd-count"), "5a");

    using epoll = OwnedFd.adopt(libc.symbols.epoll_create1(0o2000000));
    const interest = new Uint8Array(16);
    interest[0] = 1;
    const [reader, writer] = makePipe();
    using _writer = writer;
    using _reader = reader;
    assertEquals(libc.symbols.epoll_ctl(epoll.fd, 1, event.fd, interest), 0);
    assertEquals(libc.symbols.epoll_ctl(epoll.fd, 1, reader.fd, interest), 0);
    const targets = (fdInfo(epoll.fd).get("tfd") ?? "").split("\n").map((line) => Number.parseInt(line));
    assertEquals(targets.sort((a, b) => a - b), [event.fd, reader.fd].sort((a, b) => a - b));
  } finally {
    libc.close();
  }
  assertEquals(assertThrows(() => fdInfo(0x7ffffff0), SysError).code, "ENOENT");
});

Deno.test("fdLink() and fdInfo() know no descriptor of a number that none has, however long it is", () => {
  for (const fd of [-1, -2147483648, 2147483647, Number.MAX_SAFE_INTEGER, -1.2345678901234567e-300]) {
    for (const look of [fdLink, fdInfo]) {
      const error = assertThrows(() => look(fd), SysError, String(fd));
      assertEquals(error.code, "ENOENT");
    }
  }
});

Deno.test("parseFdInfo() keeps all lines of one name", () => {
  const text = "pos:\t0\nflags:\t02000000\nlock:\t1: FLOCK  ADVISORY  WRITE 42 00:01:5 0 EOF\n" +
    "inotify wd:2 ino:1b sdev:800001 mask:100\ninotify wd:1 ino:1a sdev:800001 mask:100\nempty:\n";
  assertEquals([...parseFdInfo(text)], [
    ["pos", "0"],
    ["flags", "02000000"],
    ["lock", "1: FLOCK  ADVISORY  WRITE 42 00:01:5 0 EOF"],
    ["inotify", "wd:2 ino:1b sdev:800001 mask:100\nwd:1 ino:1a sdev:800001 mask:100"],
    ["empty", ""],
  ]);
  assertEquals(parseFdInfo(""), new Map());
});

Deno.test("initialEnvironment() is that of the start, byte by byte, whatever was set since", async () => {
  const script = `
    if (!Deno.args.includes("stage-2")) {
      const odd = new Uint8Array([0x4f, 0x44, 0x44, 0x3d, 0xff, 0x3d, 0x80]);
      const noName = "=odd=x";
      sys.execve(Deno.execPath(), [...ARGV, "stage-2"], [odd, "PLAIN=ä", "EMPTY=", "BARE", noName]);
    }
    Deno.env.set("PLAIN", "changed");
    Deno.env.delete("EMPTY");
    say(sys.initialEnvironment());
    say(sys.initialEnvironmentBytes().map((entry) => entry.toHex()));
    say(sys.commandLine().slice(-2));
  `;
  const [pairs, bytes, argv] = await runScriptForJson(script);
  assertEquals(pairs, [["ODD", "\udcff=\udc80"], ["PLAIN", "ä"], ["EMPTY", ""], ["BARE", ""], ["=odd", "x"]]);
  assertEquals((bytes as string[])[0], "4f44443dff3d80");
  assertEquals((bytes as string[]).length, 5);
  assert((argv as string[])[0]?.endsWith("/script.ts"));
  assertEquals((argv as string[])[1], "stage-2");
});

Deno.test("commandLine() begins with the program", () => {
  assert(commandLine()[0]?.includes("deno"));
});

Deno.test("startTime() is that of the process, not of its command's name", async () => {
  assertEquals(startTime(), startTime(getPid()));
  assert(startTime() > 0n);
  const directory = Deno.makeTempDirSync({ prefix: "heirloom-sys-" });
  try {
    const program = `${directory}/a) S 1 (b\nc`;
    Deno.copyFileSync("/bin/sleep", program);
    const pid = spawnRaw([program, "600"]);
    try {
      assert(startTime(pid) >= startTime());
    } finally {
      killProcess(pid, SIGNALS.SIGKILL);
      await waitUntil(() => waitNoHang(pid) !== null, "the end of the child");
    }
    assertEquals(assertThrows(() => startTime(pid), SysError).code, "ENOENT");
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("parseStat() finds the fields behind any name", () => {
  const rest = "S 17 3 4 5 -1 4194560 7 8 9 10 11 12 13 14 20 0 6 0 987654 21 22";
  for (const name of ["deno", "a) R 1 2 (b", ")", "x\ny", ""]) {
    assertEquals(parseStat(`42 (${name}) ${rest}\n`), { parent: 17, startTime: 987654n });
  }
  for (const text of ["", "42 (deno", "42 (deno) S 17", "42 (deno) S x " + "1 ".repeat(30)]) {
    assertThrows(() => parseStat(text), TypeError);
  }
});

Deno.test("bootId() is a UUID and stays", () => {
  assert(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(bootId()));
  assertEquals(bootId(), bootId());
});

Deno.test("residentBytes() grows with memory in use, peakResidentBytes() is at least that", () => {
  const before = residentBytes();
  const memory = new Uint8Array(64 * 2 ** 20).fill(1);
  const after = residentBytes();
  assert(after >= before + 48 * 2 ** 20, `${before} and ${after} with ${memory.length}`);
  assert(peakResidentBytes() >= after - 2 ** 20);
});

Deno.test("childPids() lists raw children and those of Deno, until they are reaped", async () => {
  const raw = spawnRaw(["/bin/sleep", "600"]);
  const command = new Deno.Command("/bin/sleep", { args: ["600"] }).spawn();
  try {
    const expected = [raw, command.pid].sort((a, b) => a - b);
    assertEquals(childPids().filter((pid) => expected.includes(pid)), expected);
    assertEquals(scanChildPids().filter((pid) => expected.includes(pid)).sort((a, b) => a - b), expected);
  } finally {
    killProcess(raw, SIGNALS.SIGKILL);
    command.kill("SIGKILL");
    await command.status;
  }
  assert(childPids().includes(raw), "a child that ended stays until it is reaped");
  await waitUntil(() => waitNoHang(raw) !== null, "the end of the child");
  assert(!childPids().includes(raw));
  assert(!childPids().includes(command.pid));
});

Deno.test("statusField() reads a line, and names one that is not there", () => {
  assertEquals(Number(statusField("Pid")), getPid());
  assertThrows(() => statusField("Nonsense"), TypeError, "Nonsense");
});
