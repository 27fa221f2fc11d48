/**
 * What the tests of this folder share. It has no tests itself; the name keeps it out of the published package.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { check } from "./errno.ts";
import { OwnedFd } from "./owned_fd.ts";
import type { ExitStatus } from "./process.ts";
import { openFile } from "./file.ts";
import { SysError } from "./errno.ts";

/** C functions that only tests need. */
export const libcForTests = {
  accept4: { parameters: ["i32", "pointer", "pointer", "i32"], result: "i32" }, // int accept4(int fd, struct sockaddr *, socklen_t *, int flags)
  epoll_create1: { parameters: ["i32"], result: "i32" }, // int epoll_create1(int flags)
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" }, // int epoll_ctl(int epfd, int op, int fd, struct epoll_event *)
  eventfd: { parameters: ["u32", "i32"], result: "i32" }, // int eventfd(unsigned initval, int flags)
  inet_ntop: { parameters: ["i32", "buffer", "buffer", "u32"], result: "pointer" }, // const char *inet_ntop(int af, const void *src, char *dst, socklen_t size)
  inet_pton: { parameters: ["i32", "buffer", "buffer"], result: "i32" }, // int inet_pton(int af, const char *src, void *dst)
  pipe2: { parameters: ["buffer", "i32"], result: "i32" }, // int pipe2(int fds[2], int flags)
  posix_spawn: {
    parameters: ["buffer", "buffer", "pointer", "pointer", "buffer", "buffer"],
    result: "i32",
  }, // int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const argv[], char *const envp[])
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" }, // int socketpair(int domain, int type, int protocol, int fds[2])
} as const satisfies Deno.ForeignLibraryInterface;

const C_CLOEXEC = 0o2000000;

/** Opens the C functions that only tests need; to be closed by the caller. */
export function openTestLibc(): Deno.DynamicLibrary<typeof libcForTests> {
  return Deno.dlopen("libc.so.6", libcForTests);
}

/** The number that the next descriptor will get. */
export function nextFreeFd(): number {
  using file = openFile("/dev/null");
  return file.fd;
}

/** Runs `body` and asserts that it left no descriptor behind and closed none. */
export function withSameFds<T>(body: () => T): T {
  const before = nextFreeFd();
  const result = body();
  assertEquals(nextFreeFd(), before, "next free descriptor number");
  return result;
}

/** A pipe: reading end first. */
export function makePipe(): [OwnedFd, OwnedFd] {
  return makePair((fds, libc) => check(libc.symbols.pipe2(fds, C_CLOEXEC), "pipe2"));
}

/** A pair of connected unix sockets. `type` is 1 for stream, 2 for datagram, 5 for seqpacket. */
export function makeSocketPair(type = 1): [OwnedFd, OwnedFd] {
  return makePair((fds, libc) => check(libc.symbols.socketpair(1, type | C_CLOEXEC, 0, fds), "socketpair"));
}

function makePair(
  fill: (fds: Int32Array<ArrayBuffer>, libc: Deno.DynamicLibrary<typeof libcForTests>) => void,
): [OwnedFd, OwnedFd] {
  const libc = openTestLibc();
  try {
    const fds = new Int32Array(2);
    fill(fds, libc);
    return [OwnedFd.adopt(fds[0] ?? -1), OwnedFd.adopt(fds[1] ?? -1)];
  } finally {
    libc.close();
  }
}

/** Starts a program as a raw child, which Deno does not know and will not reap. */
export function spawnRaw(argv: [string, ...string[]]): number {
  const libc = openTestLibc();
  try {
    const strings = argv.map((argument) => new TextEncoder().encode(`${argument}\0`));
    // Buffers of their own: memory that does not move while C holds pointers to it.
    const kept = strings.map((string) => new Uint8Array(string.buffer.slice(0, string.length)));
    const pointers = new BigUint64Array(kept.length + 1);
    kept.forEach((bytes, index) =>
      pointers[index] = BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)))
    );
    const pid = new Int32Array(1);
    const errno = libc.symbols.posix_spawn(
      pid,
      strings[0] ?? null,
      null,
      null,
      pointers,
      new BigUint64Array(1),
    );
    if (errno !== 0 || kept.length !== argv.length) throw new SysError("posix_spawn", errno);
    return pid[0] ?? -1;
  } finally {
    libc.close();
  }
}

/** What a script wrote, line by line, and how it ended. */
export interface ScriptResult {
  lines: string[];
  code: number;
  stderr: string;
}

/** How to run a script otherwise than as this user in this cache. */
export interface ScriptRunner {
  /** A program that runs another one, with its first arguments; the runtime and its arguments follow. */
  prefix: readonly [string, ...string[]];
  /** Further variables. */
  env?: Record<string, string>;
}

/** What takes the rights of root away from a command, where the tests have them. */
const LESS: readonly string[] = Deno.uid() === 0
  ? ["/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
  : [];

/**
 * Can a test be run as an ordinary user? Not where root has put everything out of the reach of others.
 *
 * @returns null, or why not; that is printed as well
 */
export function noOrdinaryUser(): string | null {
  if (LESS.length === 0) return null;
  const [program = "", ...args] = LESS;
  const files = [new URL("mod.ts", import.meta.url).pathname, Deno.execPath()];
  const test = 'for file; do test -r "$file" || exit 1; done';
  let reason = "";
  try {
    const look = new Deno.Command(program, { args: [...args, "/bin/sh", "-c", test, "sh", ...files] });
    if (look.outputSync().success) return null;
    reason = `an ordinary user cannot read ${files.join(" or ")}`;
  } catch {
    reason = `${program} is not here`;
  }
  console.log(`ignored: ${reason}`);
  return reason;
}

/** Runs scripts without the rights of root, which ordinary users do not have either. */
export async function asOrdinaryUser(): Promise<ScriptRunner & AsyncDisposable> {
  const cache = await Deno.makeTempDir({ prefix: "heirloom-sys-cache-" });
  const [first = Deno.execPath(), ...rest] = [...LESS, Deno.execPath()];
  const prefix: [string, ...string[]] = [first, ...rest];
  await Deno.chmod(cache, 0o777);
  return {
    prefix,
    env: { DENO_DIR: cache },
    [Symbol.asyncDispose]: () => Deno.remove(cache, { recursive: true }),
  };
}

/**
 * Runs TypeScript in a Deno of its own, where it may do to the process what a test runner would not survive. `sys` is
 * imported under that name; `say(value)` writes one line of JSON.
 */
export async function runScript(
  body: string,
  env: Record<string, string> = {},
  runner: ScriptRunner = { prefix: [Deno.execPath()] },
): Promise<ScriptResult> {
  const directory = Deno.makeTempDirSync({ prefix: "heirloom-sys-" });
  try {
    Deno.chmodSync(directory, 0o777);
    const file = `${directory}/script.ts`;
    Deno.writeTextFileSync(
      file,
      `import * as sys from ${JSON.stringify(import.meta.resolve("./mod.ts"))};
const DIRECTORY = ${JSON.stringify(directory)};
const ARGV = [Deno.execPath(), "run", "-A", "--no-check", "--no-config", ${JSON.stringify(file)}];
function say(value: unknown): void {
  const text = JSON.stringify(value, (_, v) => typeof v === "bigint" ? String(v) : v);
  sys.writeAll(1, new TextEncoder().encode(text + "\\n"));
}
${body}
`,
    );
    const [program, ...first] = runner.prefix;
    const { code, stdout, stderr } = await new Deno.Command(program, {
      args: [...first, "run", "-A", "--no-check", "--no-config", file],
      env: { ...runner.env, ...env },
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    const lines = decoder.decode(stdout).split("\n").filter((line) => line !== "");
    return { lines, code, stderr: decoder.decode(stderr) };
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/** Runs a script that must end well, and reads its lines as JSON. */
export async function runScriptForJson(
  body: string,
  env: Record<string, string> = {},
  runner?: ScriptRunner,
): Promise<unknown[]> {
  const { lines, code, stderr } = await runScript(body, env, runner);
  assertEquals(code, 0, stderr);
  return lines.map((line) => JSON.parse(line));
}

/** Waits until something holds; a deadline turns a hang into a failure. */
export async function waitUntil(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`Cannot go on: ${what} did not happen in 20 s`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const HUGE_PAGES = "/proc/sys/vm/nr_hugepages";

/** Bytes of the huge pages of {@linkcode reserveHugePages}. */
export const HUGE_PAGE_BYTES = 2 ** 21;

/**
 * Can a test set huge pages of 2 MB aside?
 *
 * @returns null, or why not; that is printed as well
 */
export function noHugePages(): string | null {
  let reason = "this kernel has no huge pages of 2 MB by default";
  try {
    if (/^Hugepagesize:\s*2048 kB$/m.test(Deno.readTextFileSync("/proc/meminfo"))) {
      Deno.openSync(HUGE_PAGES, { write: true }).close();
      return null;
    }
  } catch (error) {
    reason = `huge pages cannot be set aside: ${error instanceof Error ? error.message : error}`;
  }
  console.log(`ignored: ${reason}`);
  return reason;
}

/**
 * Sets huge pages aside, for one test at a time on this machine, and gives them back.
 *
 * @param count how many pages
 * @returns null, with the reason printed, where memory is too scattered
 */
export async function reserveHugePages(count: number): Promise<AsyncDisposable | null> {
  await using undo = new AsyncDisposableStack();
  const lock = undo.use(await Deno.open("/tmp/heirloom-huge-pages.lock", { write: true, create: true }));
  await lock.lock(true);
  const before = Deno.readTextFileSync(HUGE_PAGES);
  undo.defer(() => Deno.writeTextFileSync(HUGE_PAGES, before));
  const wanted = Number(before) + count;
  Deno.writeTextFileSync(HUGE_PAGES, String(wanted));
  if (Number(Deno.readTextFileSync(HUGE_PAGES)) < wanted) {
    console.log(`ignored: the kernel cannot find ${count} huge pages`);
    return null;
  }
  const all = undo.move();
  return { [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** A name of shared memory that nobody uses; removed in the end, if it is there. */
export function shmName(): Disposable & { name: string; path: string } {
  const name = `/heirloom-test-${crypto.randomUUID()}`;
  const path = `/dev/shm${name}`;
  return {
    name,
    path,
    [Symbol.dispose]() {
      try {
        Deno.removeSync(path, { recursive: true });
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    },
  };
}

/** How a shell can end: what it is told to do, and its status as waitpid(2) gives it. */
export const ENDINGS: readonly (readonly [script: string, status: ExitStatus])[] = [
  ["exit 7", { status: 7 << 8, code: 7, signal: null }],
  ["exit 0", { status: 0, code: 0, signal: null }],
  ["kill -TERM $$", { status: 15, code: null, signal: 15 }],
];
