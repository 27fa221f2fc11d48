import { assert, assertEquals, assertGreater, assertThrows } from "@std/assert";
import { createMemfd, Mapping } from "../sys/mod.ts";
import {
  attributes,
  children,
  isRunning,
  peakResidentBytes,
  processes,
  processInfo,
  residentBytes,
  sampleResident,
  startTicks,
  threads,
} from "./process.ts";
import { tempDir, waitFor } from "./wait.ts";

/** A PID that the kernel never gives out: the largest possible limit is 2^22. */
const NOBODY = 2 ** 22 + 1;

interface Child extends AsyncDisposable {
  readonly pid: number;
  end(): Promise<void>;
}

function start(command: string, args: string[], options: Partial<Deno.CommandOptions> = {}): Child {
  const child = new Deno.Command(command, { args, stdin: "null", stdout: "null", stderr: "null", ...options })
    .spawn();
  const end = async (): Promise<void> => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await child.status;
  };
  return { pid: child.pid, end, [Symbol.asyncDispose]: end };
}

Deno.test("processInfo tells what /proc says, whatever the command is called", async () => {
  await using dir = tempDir();
  const name = `${dir.path}/a) R 1 (b`;
  await Deno.copyFile("/bin/sleep", name);
  await using child = start(name, ["100"]);
  await waitFor(() => processInfo(child.pid).command === "a) R 1 (b", { what: "the child to be executed" });
  const info = processInfo(child.pid);
  assertEquals([info.pid, info.parent], [child.pid, Deno.pid]);
  assertGreater(info.startTicks, processInfo(Deno.pid).startTicks);
  assertEquals(startTicks(child.pid), info.startTicks);
});

Deno.test("children finds descendants of descendants, and zombies", async () => {
  // The shell's own child ends at once, and the shell, now another program, never waits for it.
  await using child = start("sh", ["-c", "sleep 0 & sleep 100 & exec sleep 200"]);
  const found = await waitFor(() => {
    const family = children(child.pid);
    return family.length === 2 && family.some((each) => each.state === "Z") ? family : null;
  }, { what: "a zombie and a sleeper" });
  assertEquals(found.map((each) => [each.parent, each.command]), [[child.pid, "sleep"], [
    child.pid,
    "sleep",
  ]]);
  const above = children(Deno.pid).map((each) => each.pid);
  assert([child.pid, ...found.map((each) => each.pid)].every((pid) => above.includes(pid)));
  const sleeper = found.find((each) => each.state !== "Z")!;
  assert(isRunning(sleeper));
  assert(!isRunning(found.find((each) => each.state === "Z")!));
  Deno.kill(sleeper.pid, "SIGKILL");
  await waitFor(() => !isRunning(sleeper), { what: "the sleeper to end" });
});

Deno.test("children of nobody are none", () => {
  assertEquals(children(NOBODY), []);
});

Deno.test("isRunning knows a process by its start", async () => {
  const child = start("sleep", ["100"]);
  const info = processInfo(child.pid);
  assert(isRunning(info));
  assert(!isRunning({ ...info, startTicks: info.startTicks - 1 }));
  await child.end();
  assert(!isRunning(info));
});

Deno.test("processes has this one", () => {
  assert(processes().some((each) => each.pid === Deno.pid && each.parent === Deno.ppid));
});

Deno.test("residentBytes and its peak follow what a process touches", async () => {
  const size = 64 * 1024 * 1024;
  const script = `
    let bytes = new Uint8Array(${size}).fill(1);
    console.log(bytes.length); bytes = null;
    Deno.stdin.readSync(new Uint8Array(1));`;
  await using child = start(Deno.execPath(), ["eval", script], { stdin: "piped" });
  await waitFor(() => peakResidentBytes(child.pid) > size, { what: "the child to touch its memory" });
  // In this order: the child may still be growing.
  const now = residentBytes(child.pid);
  assertGreater(now, 10 * 1024 * 1024);
  assert(peakResidentBytes(child.pid) >= now);
});

Deno.test("sampleResident keeps the largest sample", async () => {
  const size = 48 * 1024 * 1024;
  using memory = createMemfd("sampled", { size });
  using mapping = Mapping.map(memory.fd, size, { writable: true });
  using sampler = sampleResident(Deno.pid, 5);
  const before = residentBytes(Deno.pid);
  // Not memory of the engine: to get that, it may give back as much that other tests have used.
  mapping.bytes.fill(1);
  const { peak, samples } = sampler.stop();
  assertGreater(peak, before + size / 2);
  assertEquals(samples, 2);
  assertEquals(sampler.stop(), { peak, samples });
  await using child = start("sleep", ["100"]);
  const alone = sampleResident(child.pid, 5);
  const together = sampleResident(Deno.pid, 5, { descendants: true });
  assertGreater(together.stop().peak, alone.stop().peak);
});

Deno.test("sampleResident goes on when its process ends", async () => {
  const child = start("sleep", ["100"]);
  await waitFor(() => residentBytes(child.pid) > 0, { what: "the child to be there" });
  const sampler = sampleResident(child.pid, 1);
  await child.end();
  assertGreater(sampler.stop().peak, 0);
});

Deno.test("threads counts", async () => {
  await using child = start("sleep", ["100"]);
  assertEquals(threads(child.pid), 1);
  assertGreater(threads(Deno.pid), 1);
});

Deno.test("attributes has what execve keeps", async () => {
  await using dir = tempDir();
  const env = {
    HOME: "/",
    A: "1=2",
    HEIRLOOM_HANDOVER: "v1:3:00:update",
    HEIRLOOM_PREFLIGHT: "1",
    HEIRLOOM_SOCKET: "/s",
  };
  const script = "umask 0027; ulimit -S -n 99; trap '' HUP; exec sleep 100";
  await using child = start("sh", ["-c", script], { cwd: dir.path, env, clearEnv: true });
  await waitFor(() => processInfo(child.pid).command === "sleep", { what: "the shell to become sleep" });
  const found = attributes(child.pid);
  assertEquals(found["parent"], String(Deno.pid));
  assertEquals(found["umask"], "0027");
  assertEquals(found["directory"], dir.path);
  assertEquals(found["limit open files"]?.split(" to ")[0], "99");
  assertEquals(BigInt(`0x${found["ignored signals"]}`) & 1n, 1n);
  assertEquals(BigInt(`0x${found["blocked signals"]}`), 0n);
  assertEquals([found["variable A"], found["variable HEIRLOOM_SOCKET"]], ["1=2", "/s"]);
  assertEquals([found["variable HEIRLOOM_HANDOVER"], found["variable HEIRLOOM_PREFLIGHT"]], [
    undefined,
    undefined,
  ]);
  assertEquals(found["group"], attributes(Deno.pid)["group"]);
});

for (const look of [processInfo, residentBytes, peakResidentBytes, threads, startTicks, attributes]) {
  Deno.test(`${look.name} says that there is no such process`, () => {
    assertThrows(() => look(NOBODY), Deno.errors.NotFound, `Cannot look at process ${NOBODY}: there is none`);
  });
}
