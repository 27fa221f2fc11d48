import { assert, assertEquals, assertThrows } from "@std/assert";
import { describeDescriptors, type Descriptor, descriptors } from "./descriptors.ts";
import { tempDir, waitFor } from "./wait.ts";

const CLOEXEC = 0o2000000;

const libc = Deno.dlopen("libc.so.6", {
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" }, // int memfd_create(const char *name, unsigned flags)
  eventfd: { parameters: ["u32", "i32"], result: "i32" }, // int eventfd(unsigned initval, int flags)
  timerfd_create: { parameters: ["i32", "i32"], result: "i32" }, // int timerfd_create(int clockid, int flags)
  inotify_init1: { parameters: ["i32"], result: "i32" }, // int inotify_init1(int flags)
  pidfd_open: { parameters: ["i32", "u32"], result: "i32" }, // int pidfd_open(pid_t pid, unsigned flags)
  pipe2: { parameters: ["buffer", "i32"], result: "i32" }, // int pipe2(int pipefd[2], int flags)
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" }, // int socketpair(int, int, int, int sv[2])
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" }, // int open(const char *path, int flags, mode_t mode)
  dup: { parameters: ["i32"], result: "i32" }, // int dup(int fd)
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" }, // int fcntl(int fd, int op, int arg)
  close: { parameters: ["i32"], result: "i32" }, // int close(int fd)
}).symbols;

const F_DUPFD_CLOEXEC = 1030;

const text = (value: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(`${value}\0`);

/** Looks at the descriptors that `open` opens, and closes them. */
function look(open: () => number[]): Descriptor[] {
  const fds = open();
  try {
    assert(fds.every((fd) => fd > 2), `could not be opened: ${fds}`);
    const all = descriptors(Deno.pid);
    return fds.map((fd) => all.find((each) => each.fd === fd)!);
  } finally {
    for (const fd of fds) libc.close(fd);
  }
}

function pair(call: (fds: Int32Array<ArrayBuffer>) => number): number[] {
  const fds = new Int32Array(2);
  assertEquals(call(fds), 0);
  return [...fds];
}

const KINDS: Record<string, [() => number[], string[]]> = {
  memfd: [() => [libc.memfd_create(text("kho:handover"), 1)], ["memfd kho:handover (read write)"]],
  eventfd: [() => [libc.eventfd(0, CLOEXEC)], ["eventfd"]],
  timerfd: [() => [libc.timerfd_create(1, CLOEXEC)], ["timerfd"]],
  inotify: [() => [libc.inotify_init1(CLOEXEC)], ["inotify"]],
  pidfd: [() => [libc.pidfd_open(Deno.pid, 0)], [`pidfd of ${Deno.pid}`]],
  pipe: [() => pair((fds) => libc.pipe2(fds, CLOEXEC)), ["pipe read", "pipe write"]],
  seqpacket: [
    () => pair((fds) => libc.socketpair(1, 5 | CLOEXEC, 0, fds)),
    ["unix seqpacket unnamed", "unix seqpacket unnamed"],
  ],
  device: [() => [libc.open(text("/dev/zero"), CLOEXEC, 0)], ["file /dev/zero (read)"]],
  directory: [() => [libc.open(text("/usr"), 0o200000 | CLOEXEC, 0)], ["file /usr (read)"]],
  "path only": [() => [libc.open(text("/usr"), 0o10000000 | CLOEXEC, 0)], ["file /usr (path only)"]],
};

for (const [kind, [open, expected]] of Object.entries(KINDS)) {
  Deno.test(`descriptors describes: ${kind}`, () => {
    const found = look(open);
    assertEquals(found.map((each) => each.description), expected);
    assert(found.every((each) => each.cloexec));
  });
}

Deno.test("descriptors tells files apart by path, access and whether they are unlinked", async () => {
  await using dir = tempDir();
  const path = `${dir.path}/a log`;
  using file = await Deno.open(path, { append: true, create: true });
  const describe = (): string[] => describeDescriptors(Deno.pid).filter((each) => each.includes(path));
  assertEquals(describe(), [`file ${path} (write append)`]);
  await Deno.remove(path);
  assertEquals(describe(), [`file ${path} (deleted) (write append)`]);
  await file.write(new Uint8Array(1));
});

Deno.test("descriptors tells whether execve closes one", () => {
  const [kept, closed] = look(() => {
    const fd = libc.open(text("/dev/zero"), CLOEXEC, 0);
    return [libc.dup(fd), fd];
  });
  assertEquals([kept!.cloexec, closed!.cloexec], [false, true]);
  assertEquals(kept!.flags, closed!.flags);
});

Deno.test("descriptors takes one copy of a standard stream for the runtime's, and more for what they are", async () => {
  await using dir = tempDir();
  const script = `
    const libc = Deno.dlopen("libc.so.6", { fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" } }).symbols;
    for (let count = 0; count < 3; count++) libc.fcntl(1, ${F_DUPFD_CLOEXEC}, 3);
    console.log("ready");
    setTimeout(() => {}, 60_000);`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", script],
    cwd: dir.path,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  try {
    const reader = child.stdout.getReader();
    await reader.read();
    const found = describeDescriptors(child.pid);
    assertEquals(found.filter((each) => each === "runtime copy of stdout").length, 1);
    // Stdout itself, and two or, with the runtime's own, three copies that nothing explains.
    assert(found.filter((each) => each === "pipe write").length >= 3, found.join("\n"));
    assert(found.some((each) => each.startsWith("runtime cache dep_analysis_cache_v")), found.join("\n"));
    assert(!found.some((each) => each.startsWith("file /") && each.includes("_cache_v")), found.join("\n"));
    await reader.cancel();
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
});

Deno.test("describeDescriptors is sorted and keeps equal ones", () => {
  const fds = [...pair((fds) => libc.pipe2(fds, CLOEXEC)), ...pair((fds) => libc.pipe2(fds, CLOEXEC))];
  const before = describeDescriptors(Deno.pid);
  for (const fd of fds) libc.close(fd);
  const after = describeDescriptors(Deno.pid);
  assertEquals(before, [...before].sort());
  assertEquals(before.length, after.length + 4);
});

Deno.test("descriptors of a zombie are none, and of nobody an error", async () => {
  const child = new Deno.Command("sh", { args: ["-c", "sleep 0 & exec sleep 100"], stdin: "null" }).spawn();
  try {
    const zombie = await waitFor(async () => {
      const list = await Deno.readTextFile(`/proc/${child.pid}/task/${child.pid}/children`);
      const pid = Number.parseInt(list, 10);
      return pid > 0 && /\) Z /.test(await Deno.readTextFile(`/proc/${pid}/stat`)) ? pid : null;
    }, { what: "a zombie" });
    assertEquals(descriptors(zombie), []);
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
  assertThrows(() => descriptors(2 ** 22 + 1), Deno.errors.NotFound, "there is none");
});
