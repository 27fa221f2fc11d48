import { assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./errno.ts";
import { runScriptForJson, spawnRaw, waitUntil } from "./helpers_test.ts";
import { decodeWaitStatus, type ExitStatus, getParentPid, getPid, getUid, waitNoHang } from "./process.ts";
import { killProcess, SIGNALS } from "./signals.ts";

async function reap(pid: number): Promise<ExitStatus> {
  let status: ExitStatus | null = null;
  await waitUntil(() => (status = waitNoHang(pid)) !== null, `the end of pid ${pid}`);
  return status as unknown as ExitStatus;
}

Deno.test("getPid(), getParentPid() and getUid() say what the kernel says", async () => {
  const status = Deno.readTextFileSync("/proc/self/status");
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]);
  assertEquals([getPid(), getParentPid(), getUid()], [field("Pid"), field("PPid"), field("Uid")]);
  const [parent] = await runScriptForJson("say(sys.getParentPid());");
  assertEquals(parent, getPid());
});

Deno.test("waitNoHang() gives the exit code once, then ECHILD", async () => {
  const pid = spawnRaw(["/bin/sh", "-c", "exit 7"]);
  assertEquals(await reap(pid), { status: 7 << 8, code: 7, signal: null });
  assertEquals(assertThrows(() => waitNoHang(pid), SysError).code, "ECHILD");
});

Deno.test("waitNoHang() answers null while the child runs, and the signal that ended it", async () => {
  const pid = spawnRaw(["/bin/sleep", "600"]);
  try {
    assertEquals(waitNoHang(pid), null);
  } finally {
    killProcess(pid, SIGNALS.SIGKILL);
  }
  assertEquals(await reap(pid), { status: 9, code: null, signal: 9 });
});

Deno.test("waitNoHang() leaves the children of Deno.Command alone", async () => {
  const raw = spawnRaw(["/bin/true"]);
  const { code } = await new Deno.Command("/bin/sh", { args: ["-c", "exit 3"] }).output();
  assertEquals(code, 3);
  assertEquals((await reap(raw)).code, 0);
});

Deno.test("waitNoHang() refuses groups, all children, and who is none", () => {
  for (const pid of [-1, 0, -5, 1.5, NaN]) assertThrows(() => waitNoHang(pid), RangeError);
  assertEquals(assertThrows(() => waitNoHang(getPid()), SysError).code, "ECHILD");
});

Deno.test("decodeWaitStatus() tells an exit from a signal, with or without a core", () => {
  assertEquals(decodeWaitStatus(0), { status: 0, code: 0, signal: null });
  assertEquals(decodeWaitStatus(0xff00), { status: 0xff00, code: 255, signal: null });
  assertEquals(decodeWaitStatus(0x8b), { status: 0x8b, code: null, signal: 11 });
});
