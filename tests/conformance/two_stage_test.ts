/**
 * The kernel's two-stage kexec tests, ported by meaning: real processes, and an `execve` for the kexec. What is in them
 * stands in `_two_stage_bodies.ts`; here they are run and looked at from outside: one process, both stages, a good end.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";

import { raiseNofile } from "./_kernel_kit.ts";
import { type ProgramResult, runProgram } from "./_kernel_process.ts";
import type { StageLine } from "./_two_stage_app.ts";

const FIRST = new URL("./_two_stage_first.ts", import.meta.url).pathname;
const SECOND = new URL("./_two_stage_second.ts", import.meta.url).pathname;

/** Runs one of the two modules. */
function runApp(entry: string, test: string, count: number, next: string): Promise<ProgramResult> {
  return runProgram(["--no-config", entry, test, String(count), next]);
}

/** Name of the test, sessions and files that it preserves besides its state, and the count for a stress test. */
const RUNS: readonly (readonly [name: string, sessions: number, files: number, count?: number])[] = [
  ["luo_kexec_simple", 1, 1],
  ["luo_multi_session", 4, 3],
  ["luo_stress_sessions", 2000, 0, 2000],
  ["luo_stress_files", 1, 500, 500],
  ["luo_stress_files", 1, 5000, 5000],
  ["luo_memfd", 3, 3],
];

for (const [name, sessions, files, count = 0] of RUNS) {
  const size = count === 0 ? "" : `, ${count} of them`;
  Deno.test(`two stages: ${name}${size}`, async () => {
    using room = raiseNofile(count);
    if (room === null) return;
    const { pid, code, lines, stderr } = await runApp(FIRST, name, count, SECOND);
    assertEquals({ code, stderr }, { code: 0, stderr: "" });
    const expected: StageLine[] = [
      { stage: 1, pid, number: 0, sessions: sessions + 1, files: files + 1, memfds: files + 1 },
      { stage: 2, pid, number: 1, sessions: 0, files: 0, memfds: 0 },
    ];
    assertEquals(lines, expected);
  });
}

Deno.test("two stages: stage 2 asked for where nothing was handed over is a failure", async () => {
  const { code, lines, stderr } = await runApp(SECOND, "luo_kexec_simple", 0, SECOND);
  assertEquals({ code, lines }, { code: 1, lines: [] });
  assertMatch(stderr, /stage 2 is asked for, this is stage 1/);
});

Deno.test("two stages: stage 1 asked for after the update is a failure", async () => {
  const { pid, code, lines, stderr } = await runApp(FIRST, "luo_kexec_simple", 0, FIRST);
  assertEquals(code, 1);
  assertEquals((lines as StageLine[]).map((line) => [line.stage, line.pid]), [[1, pid]]);
  assertMatch(stderr, /stage 1 is asked for, this is stage 2/);
  assert(!stderr.includes("returning to the previous build"), "a build that committed stays");
});
