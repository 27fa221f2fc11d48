import { assert, assertEquals } from "@std/assert";
import { AppProcess } from "./app_process.ts";
import { isRunning, processInfo } from "./process.ts";
import { tempDir, waitFor } from "./wait.ts";

const PATH = Deno.env.get("PATH") ?? "";

/** Starts a shell script as an app in a directory of its own. */
async function withApp(script: string, test: (app: AppProcess) => Promise<void>): Promise<void> {
  await using dir = tempDir();
  const app = AppProcess.start(["sh", "-c", script], {
    cwd: dir.path,
    env: { PATH, MARK: dir.path },
    mark: "MARK",
  });
  try {
    await test(app);
  } finally {
    await app.end(app.pid);
  }
  assertEquals(app.family(), []);
}

const family = (app: AppProcess, commands: string[]) =>
  waitFor(() => {
    const found = app.family();
    return found.map((each) => each.command).sort().join() === commands.join() ? found : null;
  }, { what: `a family of ${commands}` });

Deno.test("AppProcess collects output and the exit code", async () => {
  await withApp("echo out; echo err >&2; exit 3", async (app) => {
    assertEquals(await app.exited, { code: 3, signal: null, stdout: "out\n", stderr: "err\n" });
  });
});

Deno.test("AppProcess.end sends SIGTERM first", async () => {
  await withApp("trap 'echo ended; exit 5' TERM; echo ready; while :; do sleep 0.01; done", async (app) => {
    await waitFor(() => app.output().stdout !== "", { what: "the script to be ready" });
    await app.end(app.pid);
    assertEquals((await app.exited).stdout, "ready\nended\n");
    assertEquals((await app.exited).code, 5);
  });
});

Deno.test("AppProcess.end ends who does not listen, and who outlives the service", async () => {
  // A child that left the session, is nobody's child any more and ignores SIGTERM, like a guardian that hangs.
  const orphan = "setsid sh -c 'trap \"\" TERM; exec sleep 1000' & sleep 0.2; exec sleep 2000";
  await withApp(orphan, async (app) => {
    const found = await family(app, ["sleep", "sleep"]);
    Deno.kill(app.pid, "SIGKILL");
    const exit = await app.exited;
    assertEquals([exit.code, exit.signal], [137, "SIGKILL"]);
    const left = found.find((each) => each.pid !== app.pid)!;
    assertEquals(app.family(), [processInfo(left.pid)]);
    await app.end(app.pid);
    assert(!isRunning(left));
  });
});

Deno.test("AppProcess.family has only its own", async () => {
  await withApp("exec sleep 1000", async (first) => {
    await withApp("exec sleep 1000", async (second) => {
      const [one] = await family(first, ["sleep"]);
      const [two] = await family(second, ["sleep"]);
      assertEquals([one?.pid, two?.pid], [first.pid, second.pid]);
      await second.end(second.pid);
      assertEquals(first.family().length, 1);
    });
  });
});
