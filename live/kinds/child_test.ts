import { assert, assertEquals, assertThrows } from "@std/assert";

import { asOrdinaryUser, nextFreeFd, noOrdinaryUser, runScriptForJson } from "../../sys/helpers_test.ts";
import {
  childPids,
  getLimit,
  listFds,
  openFile,
  type OwnedFd,
  readLink,
  setLimit,
  SysError,
} from "../../sys/mod.ts";
import { createPipe, makeFifo } from "../../sys/pipe.ts";
import { waitFor } from "../../testing/wait.ts";
import { assertLuoError, nextSide } from "../helpers_test.ts";
import { type ChildOptions, openChild } from "./child.ts";
import type { LiveChild } from "./child_process.ts";
import type { ChildStatus } from "./child_status.ts";
import { FakeLife } from "./helpers_test.ts";

function namesOf({ resources }: FakeLife): string[] {
  return resources.names().map(({ name }) => name).sort();
}

/** What a child wrote and how it ended. */
interface Log {
  out: string;
  err: string;
  ends: ChildStatus[];
}

function spawn(
  app: FakeLife,
  script: string,
  changes: Partial<ChildOptions> = {},
): { child: LiveChild; log: Log } {
  const log: Log = { out: "", err: "", ends: [] };
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const child = openChild(app, "worker", {
    command: ["sh", "-c", script],
    stdout: (bytes) => void (log.out += text(bytes)),
    stderr: (bytes) => void (log.err += text(bytes)),
    exit: (status) => void log.ends.push(status),
    ...changes,
  });
  return { child, log };
}

/** The test of one application; in the end nothing is left of it. */
function test(name: string, body: (app: FakeLife) => Promise<void>): void {
  Deno.test(name, async () => {
    const children = childPids();
    const app = new FakeLife();
    app.ready();
    const free = nextFreeFd();
    await body(app);
    await waitFor(() => app.ports.length === 0, { what: "everything to be given up" });
    assertEquals(namesOf(app), []);
    await waitFor(() => childPids().join() === children.join(), { what: "no child to be left" });
    await waitFor(() => nextFreeFd() <= free + 1, { what: "all descriptors to be closed" });
  });
}

const code = (code: number): ChildStatus => ({ success: code === 0, code, signal: null });

test("openChild() starts a command; its output comes before its end, and its end once", async (app) => {
  const { child, log } = spawn(app, "echo one; echo two >&2; echo three; exit 7");
  assertEquals([child.name, child.isNew, child.running, child.status], ["worker", true, true, null]);
  assert(child.pid > 0);
  assertEquals(namesOf(app), ["worker", "worker#stderr", "worker#stdout"]);
  let atEnd = "";
  void child.exited.then(() => void (atEnd = log.out + log.err));
  assertEquals(await child.exited, code(7));
  await waitFor(() => atEnd !== "", { what: "the end" });
  assertEquals([log.out, log.err, atEnd], ["one\nthree\n", "two\n", "one\nthree\ntwo\n"]);
  assertEquals([log.ends, child.running, child.status], [[code(7)], false, code(7)]);
  assertEquals(child.kill(), false);
});

test("openChild() tells of a signal as Deno.Command does", async (app) => {
  const { child } = spawn(app, "exec sleep 600", { stdout: "null" });
  assertThrows(() => child.kill("SIGBREAK"), TypeError);
  assertEquals(child.kill("SIGKILL"), true);
  assertEquals(await child.exited, { success: false, code: 137, signal: "SIGKILL" });
});

test("A name is free when the exit handler is called: a worker is started anew there", async (app) => {
  const pids: number[] = [];
  const start = (): void => {
    const { child } = spawn(app, "exit 1", { exit: () => void (pids.length < 3 ? start() : 0) });
    pids.push(child.pid);
  };
  start();
  await waitFor(() => pids.length === 3 && app.ports.length === 0, { what: "three starts" });
  assertEquals(new Set(pids).size, 3);
});

test("write() takes what there is room for, drain() says when there is more, closeInput() ends it", async (app) => {
  let drained = 0;
  const { child, log } = spawn(app, "kill -STOP $$; exec wc -c", {
    stdin: "piped",
    drain: () => void drained++,
  });
  const block = new Uint8Array(300_000);
  let taken = child.write(block);
  assertEquals([taken, child.write(block)], [65_536, 0]);
  await waitFor(() => stateOf(child.pid) === "T", { what: "the child to stop" });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(drained, 0);
  child.kill("SIGCONT");
  for (let calls = 0; taken < block.length; calls = drained) {
    await waitFor(() => drained > calls, { what: "room" });
    taken += child.write(block.subarray(taken));
  }
  child.closeInput();
  child.closeInput();
  assertEquals(assertThrows(() => child.write(block), SysError).code, "EPIPE");
  await child.exited;
  assertEquals([log.out.trim(), log.ends], ["300000", [code(0)]]);
});

test("write() to a child that reads nothing any more is EPIPE, and its input is no pipe otherwise", async (app) => {
  const { child } = spawn(app, "exec <&-; exec sleep 600", { stdin: "piped" });
  const broken = (): boolean => {
    try {
      child.write(new Uint8Array(1));
      return false;
    } catch (error) {
      assert(error instanceof SysError && error.code === "EPIPE", String(error));
      return true;
    }
  };
  await waitFor(broken, { what: "EPIPE" });
  child.kill("SIGKILL");
  await child.exited;
  const other = spawn(app, "read x; exit 3").child;
  assertEquals(assertThrows(() => other.write(new Uint8Array(1)), SysError).code, "EPIPE");
  other.closeInput();
  // Its input is /dev/null.
  assertEquals(await other.exited, code(3));
});

test("A child has the variables of the application and those that are added, or these only", async (app) => {
  Deno.env.set("HEIRLOOM_HANDOVER", "v1:3:00:update");
  Deno.env.set("CHILD_TEST", "ours");
  const show = "env | grep -E '^(A|CHILD_TEST|HEIRLOOM_HANDOVER)=' | sort";
  try {
    const first = spawn(app, show, { env: { A: "ä" } });
    await first.child.exited;
    assertEquals(first.log.out, "A=ä\nCHILD_TEST=ours\n");
    const second = spawn(app, "/usr/bin/env", {
      command: ["/usr/bin/env"],
      env: { B: "only=this" },
      clearEnv: true,
    });
    await second.child.exited;
    assertEquals(second.log.out, "B=only=this\n");
  } finally {
    Deno.env.delete("CHILD_TEST");
    Deno.env.delete("HEIRLOOM_HANDOVER");
  }
});

test("A child leads a group of its own, works in its directory, and finds its program in its own PATH", async (app) => {
  const group = "read -r _ _ _ _ group _ </proc/$$/stat; test $group = $$ && echo own || echo ours; pwd";
  const own = spawn(app, group, { group: true, cwd: "/usr" });
  await own.child.exited;
  assertEquals(own.log.out, "own\n/usr\n");
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${directory}/my-program`, "#!/bin/sh\necho mine\n", { mode: 0o755 });
    const found = spawn(app, "", { command: ["my-program"], env: { PATH: `/nowhere:${directory}` } });
    await found.child.exited;
    const relative = spawn(app, "", { command: ["./my-program"], cwd: directory });
    await relative.child.exited;
    const here = spawn(app, "", { command: ["my-program"], cwd: directory, env: { PATH: "/nowhere:" } });
    await here.child.exited;
    assertEquals([found.log.out, relative.log.out, here.log.out], ["mine\n", "mine\n", "mine\n"]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

test("A borrowed descriptor stays the application's; a child gets 0 to 2 and no other", async (app) => {
  const pipe = createPipe();
  using reading = pipe.read;
  {
    using writing = pipe.write;
    const { child } = spawn(app, "ls -l /proc/$$/fd", { stdout: writing.fd });
    await child.exited;
    assertEquals(readLink(`/proc/self/fd/${writing.fd}`).startsWith("pipe:"), true);
  }
  const text = new TextDecoder().decode(Deno.readFileSync(`/proc/self/fd/${reading.fd}`));
  assertEquals([...text.matchAll(/ (\d+) -> /g)].map(([, fd]) => fd), ["0", "1", "2"]);
});

test("close() gives a child up: it goes on without us, and is reaped when it ends", async (app) => {
  const { child, log } = spawn(app, "cat >/dev/null; sleep 0.05; exit 5", { stdin: "piped", stdout: "null" });
  await child.close();
  await child.close();
  // The name is free, and what is left is held under a name that no application can have.
  assertEquals(namesOf(app).map((name) => name.replace(/\d+$/, "")), ["@child#"]);
  assertEquals(await child.exited, code(5));
  assertEquals(log.ends, []);
});

test("A process that a child left behind may hold its pipe: the end is told, and reading goes on", async (app) => {
  const directory = await Deno.makeTempDir();
  try {
    const fifo = `${directory}/fifo`;
    makeFifo(fifo);
    const { child, log } = spawn(app, `(read line <${fifo}; echo late) & echo early; exit 4`, {
      stderr: "null",
    });
    assertEquals(await child.exited, code(4));
    assertEquals([log.out, log.ends], ["early\n", [code(4)]]);
    // What is held for the next build says that the end was told.
    assertEquals(namesOf(app), ["worker", "worker#ended", "worker#stdout"]);
    assertEquals([child.running, child.status, child.kill()], [false, code(4), false]);
    Deno.writeTextFileSync(fifo, "go\n");
    await waitFor(() => app.ports.length === 0, { what: "the end of the pipe" });
    assertEquals([log.out, log.ends], ["early\nlate\n", [code(4)]]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

test("openChild() refuses what cannot be started, and leaves nothing", async (app) => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${directory}/plain`, "no program", { mode: 0o644 });
    await Deno.writeTextFile(`${directory}/odd`, "no program", { mode: 0o755 });
    await Deno.writeTextFile(`${directory}/orphan`, "#!/does/not/exist\n", { mode: 0o755 });
    const fds = listFds();
    const children = childPids();
    const refused = (changes: Partial<ChildOptions>): string =>
      assertThrows(() => spawn(app, "exit 0", { stdin: "piped", ...changes }), SysError).code;
    // A PATH of its own: one that leads through a directory of somebody else's is EACCES, as for execvp(3).
    const env = { PATH: "/usr/bin:/bin" };
    assertEquals(refused({ command: ["does-not-exist-anywhere"], env }), "ENOENT");
    assertEquals(refused({ command: ["/does/not/exist"] }), "ENOENT");
    assertEquals(refused({ command: ["sh"], env: { PATH: "" }, cwd: directory }), "ENOENT");
    assertEquals(refused({ command: [`${directory}/plain`] }), "EACCES");
    assertEquals(refused({ command: ["plain"], env: { PATH: directory } }), "EACCES");
    assertEquals(refused({ command: [directory] }), "EACCES");
    assertEquals(refused({ command: [`${directory}/plain/x`] }), "ENOTDIR");
    assertEquals(refused({ command: [`${directory}/odd`] }), "ENOEXEC");
    assertEquals(refused({ command: [`${directory}/orphan`] }), "ENOENT");
    assertEquals(refused({ cwd: "/does/not/exist" }), "ENOENT");
    assertEquals(refused({ cwd: `${directory}/plain` }), "ENOTDIR");
    assertEquals(refused({ stdin: 0x7fffff }), "EBADF");
    const wrong = (changes: Partial<ChildOptions>): unknown =>
      assertThrows(() => spawn(app, "exit 0", changes), TypeError);
    for (const command of [[], [""], ["sh", "a\0b"]]) wrong({ command });
    for (const env of [{ "": "x" }, { "A=B": "x" }, { A: "x\0y" }, { "A\0": "x" }]) wrong({ env });
    wrong({ cwd: "/\0" });
    assertThrows(() => spawn(app, "exit 0", { stdout: 1.5 }), RangeError);
    assertThrows(() => spawn(app, "exit 0", { stderr: -1 }), RangeError);
    assertLuoError(() => openChild(app, "a#b", { command: ["true"] }), "EINVAL");
    assertEquals([namesOf(app), app.ports.length], [[], 0]);
    assertEquals([listFds(), childPids()], [fds, children]);
    const { child } = spawn(app, "exit 0");
    assertLuoError(() => spawn(app, "exit 0"), "EEXIST");
    await child.exited;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

test("openChild() that runs out of descriptors leaves neither a process nor a name, wherever that happens", async (app) => {
  const limit = getLimit("nofile");
  const fds = listFds();
  const children = childPids();
  const failures: unknown[] = [];
  setLimit("nofile", { soft: BigInt(Math.max(...fds) + 30), hard: limit.hard });
  try {
    for (let room = 0; room < 30; room++) {
      const filled = fillDescriptors();
      for (const fd of filled.splice(0, room)) fd[Symbol.dispose]();
      let child: LiveChild | null = null;
      try {
        child = spawn(app, "exit 0", { stdin: "piped" }).child;
      } catch (error) {
        failures.push((error as { code?: string }).code);
      }
      for (const fd of filled) fd[Symbol.dispose]();
      if (child !== null) {
        assertEquals(await child.exited, code(0));
        break;
      }
      assertEquals([namesOf(app), app.ports.length], [[], 0]);
      await waitFor(() => childPids().join() === children.join(), { what: "no child to be left" });
      // What an earlier test had open may be closed only now.
      assertEquals(listFds().filter((fd) => !fds.includes(fd)), []);
    }
  } finally {
    setLimit("nofile", limit);
  }
  assert(failures.length > 8 && failures.length < 30, String(failures.length));
  assertEquals(failures, failures.map(() => "EMFILE"));
});

Deno.test({
  name: "live.spawn() at the limit of processes is EAGAIN and leaves nothing, also with live update off",
  ignore: noOrdinaryUser() !== null,
  async fn() {
    await using runner = await asOrdinaryUser();
    const script = `
      import { open } from "${new URL("../../mod.ts", import.meta.url).href}";
      const live = await open({ enabled: false });
      const limit = sys.getLimit("nproc");
      const start = (name) => live.spawn(name, { command: ["sh", "-c", "echo $((3 + 4))"], stdin: "piped", stdout: (bytes) => say(bytes.length) });
      // The runtime ends itself when it cannot start a thread: what it loads is loaded, and threads of its own are idle.
      const first = await start("first");
      await live.ready();
      await first.exited;
      await Promise.all(Array.from({ length: 16 }, () => Deno.stat("/")));
      const fds = sys.listFds().join();
      sys.setLimit("nproc", { soft: 1n, hard: limit.hard });
      await start("worker").catch(({ name, code }) => say([name, code]));
      say([sys.childPids(), sys.listFds().join() === fds]);
      sys.setLimit("nproc", limit);
      say(await (await start("worker")).exited);
    `;
    assertEquals(await runScriptForJson(script, { HEIRLOOM: "off" }, runner), [
      2,
      ["SysError", "EAGAIN"],
      [[], true],
      2,
      { success: true, code: 0, signal: null },
    ]);
  },
});

test("Children of Deno.Command and listeners of SIGCHLD are not concerned", async (app) => {
  let signals = 0;
  const listener = (): void => void signals++;
  Deno.addSignalListener("SIGCHLD", listener);
  try {
    const script = "exit 9";
    const theirs = new Deno.Command("sh", { args: ["-c", script], stdout: "null" }).spawn();
    const { child } = spawn(app, script);
    assertEquals([(await child.exited).code, (await theirs.status).code], [9, 9]);
    const both = await Promise.all([
      new Deno.Command("sh", { args: ["-c", script] }).output(),
      ...Array.from({ length: 5 }, () => {
        const { child } = spawn(app, "exit 3", { stdout: "null", stderr: "null" });
        return child.close().then(() => child.exited);
      }),
    ]);
    assertEquals(both.map(({ code }) => code), [9, 3, 3, 3, 3, 3]);
    await waitFor(() => signals > 0, { what: "SIGCHLD" });
  } finally {
    Deno.removeSignalListener("SIGCHLD", listener);
  }
});

test("A handler that throws is reported like a listener, and nothing is skipped", async (app) => {
  const errors: string[] = [];
  const listener = (event: ErrorEvent): void => {
    event.preventDefault();
    errors.push((event.error as Error).message);
  };
  addEventListener("error", listener);
  try {
    const ends: ChildStatus[] = [];
    const { child } = spawn(app, "echo one; exit 2", {
      stdout() {
        throw new Error("bad output");
      },
      exit(status) {
        ends.push(status);
        throw new Error("bad end");
      },
    });
    await child.exited;
    await waitFor(() => errors.length === 2, { what: "two errors" });
    assertEquals([errors, ends], [["bad output", "bad end"], [code(2)]]);
  } finally {
    removeEventListener("error", listener);
  }
});

test("An update waits for what handlers have begun with the last output and the end", async (app) => {
  const output = Promise.withResolvers<void>();
  const end = Promise.withResolvers<void>();
  const { child } = spawn(app, "echo one; exit 0", { stdout: () => output.promise, exit: () => end.promise });
  await child.exited;
  const owing = (): number => app.ports.reduce((sum, { connections }) => sum + connections.owing, 0);
  assertEquals(owing(), 2);
  output.resolve();
  await waitFor(() => owing() === 1, { what: "the output handler" });
  end.resolve();
});

Deno.test("A child that another build takes back is not started again, and is the same; without its handlers it goes on", async () => {
  const first = new FakeLife();
  const { child } = spawn(first, "read line; echo $line; read line; exit 6", { stdin: "piped" });
  assertEquals([child.pid > 0, child.write(new TextEncoder().encode("one\n"))], [true, 4]);
  const second = new FakeLife(nextSide(first.side));
  let drained = 0;
  const taken = spawn(second, "exit 99", { stdin: "piped", stdout: "null", drain: () => void drained++ });
  assertEquals([taken.child.pid, taken.child.isNew, taken.child.running], [child.pid, false, true]);
  // It may be that this build does not stay: nothing that it writes is written yet.
  assertEquals(taken.child.write(new Uint8Array([10])), 0);
  second.ready();
  await waitFor(() => drained === 1, { what: "room" });
  assertEquals(taken.child.write(new Uint8Array([10])), 1);
  assertEquals(await taken.child.exited, code(6));
  assertEquals([taken.log.ends, namesOf(second)], [[code(6)], []]);
});

/** Takes every number that is left. */
function fillDescriptors(): OwnedFd[] {
  const filled: OwnedFd[] = [];
  for (;;) {
    try {
      filled.push(openFile("/dev/null"));
    } catch {
      return filled;
    }
  }
}

function stateOf(pid: number): string | undefined {
  return Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]?.[0];
}
