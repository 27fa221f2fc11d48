import { assert, assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./errno.ts";
import { getCloexec } from "./fd.ts";
import { ENDINGS, runScriptForJson, spawnRaw, waitUntil } from "./helpers_test.ts";
import { exitStatusOf, openPidfd, pidOf, signalPidfd } from "./pidfd.ts";
import { poll, POLLIN } from "./poll.ts";
import { waitNoHang } from "./process.ts";
import { SIGNALS } from "./signals.ts";

/** Waits for the end of a process without reaping it. */
function waitForEnd(fd: number): void {
  const [events] = poll([{ fd, events: POLLIN }], 20_000);
  assert(((events ?? 0) & POLLIN) !== 0, "it did not end in 20 s");
}

async function reap(pid: number): Promise<void> {
  await waitUntil(() => waitNoHang(pid) !== null, `the end of pid ${pid}`);
}

Deno.test("openPidfd() names a process until it was reaped; signalPidfd() reaches it", async () => {
  const pid = spawnRaw(["/bin/sleep", "600"]);
  using child = openPidfd(pid);
  assertEquals([getCloexec(child.fd), pidOf(child.fd), exitStatusOf(child.fd)], [true, pid, null]);
  assertEquals(poll([{ fd: child.fd, events: POLLIN }], 0), [0]);
  signalPidfd(child.fd, 0);
  signalPidfd(child.fd, SIGNALS.SIGKILL);
  waitForEnd(child.fd);
  assertEquals(pidOf(child.fd), pid);
  await reap(pid);
  assertEquals(pidOf(child.fd), null);
  assertEquals(assertThrows(() => signalPidfd(child.fd, SIGNALS.SIGKILL), SysError).code, "ESRCH");
  assertEquals(assertThrows(() => openPidfd(pid), SysError).code, "ESRCH");
  assertThrows(() => openPidfd(0), SysError);
});

Deno.test("exitStatusOf() tells how a process ended, before it was reaped", async () => {
  for (const [script, status] of ENDINGS) {
    const pid = spawnRaw(["/bin/sh", "-c", script]);
    using child = openPidfd(pid);
    waitForEnd(child.fd);
    assertEquals(exitStatusOf(child.fd), status, script);
    await reap(pid);
    // Linux 6.15 knows it even then.
    assert([JSON.stringify(status), "null"].includes(JSON.stringify(exitStatusOf(child.fd))));
  }
});

Deno.test("exitStatusOf() is null for what is no pidfd", () => {
  using here = openPidfd(Deno.pid);
  assertEquals(exitStatusOf(here.fd), null);
  assertEquals(exitStatusOf(0), null);
});

Deno.test("pendingSignalsOf() tells what is held, also when the process was killed, until it is reaped", async () => {
  const script = `
    const { openPidfd, pendingSignalsOf, poll, POLLIN, signalPidfd } = await import(${
    JSON.stringify(import.meta.resolve("./guard.ts"))
  });
    if (Deno.args[0] === "child") {
      sys.blockForExec();
      sys.execve("/bin/sleep", ["sleep", "600"], []);
    }
    const child = new Deno.Command(Deno.execPath(), { args: ["run", "-A", "--no-check", "--no-config", ARGV.at(-1), "child"] }).spawn();
    while (!Deno.readTextFileSync("/proc/" + child.pid + "/comm").startsWith("sleep")) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const fd = openPidfd(child.pid).fd;
    say(pendingSignalsOf(fd));
    signalPidfd(fd, 15);
    signalPidfd(fd, 2);
    signalPidfd(fd, 2);
    say(pendingSignalsOf(fd));
    signalPidfd(fd, 9);
    poll([{ fd, events: POLLIN }], -1);
    say(pendingSignalsOf(fd).filter((signal) => signal !== 9));
    await child.status;
    say(pendingSignalsOf(fd));
  `;
  assertEquals(await runScriptForJson(script), [[], [2, 15], [2, 15], []]);
});
