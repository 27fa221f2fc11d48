import { assert, assertEquals } from "@std/assert";
import { children, heirloomRoot, tempDir, waitFor } from "../testing/mod.ts";
import type { DemoReport } from "./demo/types.ts";

/** The demonstration through the command line, with a directory for temporary files of its own. */
function startDemo(dir: string, ...flags: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `${heirloomRoot()}/main.ts`, "demo", ...flags],
    env: { TMPDIR: dir, NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

Deno.test("demo holds all it promises, and leaves nothing behind", async () => {
  await using dir = tempDir();
  const { code, stdout, stderr } = await startDemo(dir.path, "--json").output();
  const text = new TextDecoder().decode(stdout);
  assertEquals(code, 0, text + new TextDecoder().decode(stderr));
  const report = JSON.parse(text) as DemoReport;
  assert(report.ok);
  assertEquals(report.checks.filter(({ held }) => !held), []);
  assertEquals(report.updates.map(({ outcome }) => outcome), [
    "committed",
    "committed",
    "committed",
    "rolled-back",
  ]);
  assertEquals(report.requests.failed, 0);
  assertEquals([...Deno.readDirSync(dir.path)], []);
});

Deno.test("demo cleans up when it is interrupted", async () => {
  await using dir = tempDir();
  const demo = startDemo(dir.path);
  const family = (): number[] => children(demo.pid).map(({ pid }) => pid);
  // The program and the service.
  await waitFor(() => family().length >= 2 && [...Deno.readDirSync(dir.path)].length >= 2, {
    what: "the demo to start its service",
    timeoutMs: 30_000,
  });
  const started = family();
  demo.kill("SIGINT");
  const { code } = await demo.output();
  assertEquals(code, 130);
  assertEquals(started.filter((pid) => isThere(pid)), []);
  assertEquals([...Deno.readDirSync(dir.path)], []);
});

function isThere(pid: number): boolean {
  try {
    Deno.statSync(`/proc/${pid}`);
    return true;
  } catch {
    return false;
  }
}
