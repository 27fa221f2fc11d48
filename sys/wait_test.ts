import { assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./errno.ts";
import { ENDINGS, spawnRaw, waitUntil } from "./helpers_test.ts";
import { createMemfd } from "./memfd.ts";
import { openPidfd } from "./pidfd.ts";
import { childPids } from "./proc.ts";
import type { ExitStatus } from "./process.ts";
import { decodeChildInfo, statusOf, waitPidfd } from "./wait.ts";

async function endOf(fd: number): Promise<ExitStatus> {
  let status: ExitStatus | null = null;
  await waitUntil(() => (status = waitPidfd(fd)) !== null, "the end of a child");
  return status as ExitStatus | null ?? { status: -1, code: null, signal: null };
}

Deno.test("waitPidfd() reaps this child, once, and tells how it ended", async () => {
  for (const [script, status] of ENDINGS) {
    const other = spawnRaw(["/bin/sh", "-c", "exit 3"]);
    const pid = spawnRaw(["/bin/sh", "-c", script]);
    using child = openPidfd(pid);
    using second = openPidfd(other);
    assertEquals(await endOf(child.fd), status, script);
    assertEquals([childPids().includes(pid), childPids().includes(other)], [false, true]);
    assertEquals(assertThrows(() => waitPidfd(child.fd), SysError).code, "ECHILD");
    assertEquals((await endOf(second.fd)).code, 3);
  }
});

Deno.test("waitPidfd() is null while the child runs, and ECHILD for what is none of ours", async () => {
  const pid = spawnRaw(["/bin/sleep", "600"]);
  using child = openPidfd(pid);
  assertEquals(waitPidfd(child.fd), null);
  Deno.kill(pid, "SIGSTOP");
  assertEquals(waitPidfd(child.fd), null);
  Deno.kill(pid, "SIGKILL");
  assertEquals((await endOf(child.fd)).signal, 9);
  using here = openPidfd(Deno.pid);
  assertEquals(assertThrows(() => waitPidfd(here.fd), SysError).code, "ECHILD");
  using memory = createMemfd("none");
  assertThrows(() => waitPidfd(memory.fd), SysError);
});

Deno.test("decodeChildInfo() reads a siginfo_t where the kernel writes it", () => {
  const bytes = new Uint8Array(200);
  const view = new DataView(bytes.buffer, 72);
  [17, 0, 3].forEach((value, index) => view.setInt32(index * 4, value, true));
  [4711, 1000, 11].forEach((value, index) => view.setInt32(16 + index * 4, value, true));
  const info = decodeChildInfo(bytes.subarray(72));
  assertEquals(info, { reason: 3, pid: 4711, value: 11 });
  // What waitpid(2) gives for a core dump.
  assertEquals(statusOf(info), { status: 0x8b, code: null, signal: 11 });
  assertEquals(statusOf({ pid: 0, reason: 0, value: 0 }), null);
});
