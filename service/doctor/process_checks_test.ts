import { assertEquals, assertMatch } from "@std/assert";
import { sampleFd } from "../../control/helpers_test.ts";
import { checkDescriptors } from "./descriptors.ts";
import { checkExecution, type ExecutionFacts, gatherExecution } from "./execution.ts";
import { assertLevel } from "./helpers_test.ts";
import { checkNamespaces, gatherNamespaces, type NamespaceFacts } from "./namespaces.ts";
import { checkRuntime, gatherRuntime, type RuntimeFacts } from "./runtime.ts";
import { judgeState, lookAt } from "./subject.ts";

Deno.test("checkExecution() judges whether a process can replace itself", async () => {
  const good: ExecutionFacts = { execve: null, tellsExit: true, seccomp: 0, isService: true };
  for (const id of ["execve", "pidfd_info", "seccomp"]) assertLevel(checkExecution(good), id, "ok");
  assertLevel(checkExecution({ ...good, execve: "execve: EACCES" }), "execve", "problem");
  assertLevel(checkExecution({ ...good, tellsExit: false }), "pidfd_info", "note");
  assertLevel(checkExecution({ ...good, seccomp: 2 }), "seccomp", "note");
  assertLevel(checkExecution({ ...good, seccomp: 2, isService: false }), "seccomp", "ok");
  const here = await gatherExecution(lookAt("self", false));
  assertEquals([here.execve, typeof here.tellsExit, here.isService], [null, "boolean", false]);
});

Deno.test("checkRuntime() judges version, file and cache", async () => {
  const cache = { path: "/c", exists: true, mode: 0o700, uid: 0, refused: null, freeBytes: null };
  const good: RuntimeFacts = { version: "2.9.6", path: "/d", file: "same", cache };
  for (const id of ["runtime_version", "runtime_file", "deno_dir"]) assertLevel(checkRuntime(good), id, "ok");
  assertLevel(checkRuntime({ ...good, version: "2.9.7" }), "runtime_version", "note");
  assertLevel(checkRuntime({ ...good, file: "replaced" }), "runtime_file", "note");
  assertLevel(checkRuntime({ ...good, file: "gone" }), "runtime_file", "warning");
  assertLevel(checkRuntime({ ...good, cache: { ...cache, refused: "EROFS" } }), "deno_dir", "warning");
  assertEquals(checkRuntime({ version: null, path: null, file: "same", cache: null }), []);
  const here = await gatherRuntime(lookAt("self", false));
  assertEquals([here.version, here.path, here.file], [Deno.version.deno, Deno.execPath(), "same"]);
});

Deno.test("checkNamespaces() judges /proc and PID 1", () => {
  const proc = { id: 22, path: "/proc", type: "proc", options: ["rw", "hidepid=invisible"] };
  const good: NamespaceFacts = { pids: [4711], proc, isReadable: true };
  assertLevel(checkNamespaces(good), "pid_1", "ok");
  assertMatch(assertLevel(checkNamespaces(good), "proc", "ok"), /hidepid/);
  assertLevel(checkNamespaces({ ...good, pids: [4711, 1] }), "pid_1", "warning");
  assertLevel(checkNamespaces({ ...good, pids: [1] }), "pid_1", "warning");
  assertLevel(checkNamespaces({ ...good, pids: [4711, 7] }), "pid_namespace", "note");
  assertLevel(checkNamespaces({ ...good, proc: null }), "proc", "problem");
  assertLevel(checkNamespaces({ ...good, proc: { ...proc, options: ["subset=pid"] } }), "proc", "problem");
  assertLevel(checkNamespaces({ ...good, isReadable: false }), "proc", "problem");
  const here = gatherNamespaces(lookAt("self", false));
  assertEquals([here.pids, here.proc?.type, here.isReadable], [null, "proc", true]);
});

Deno.test("judgeState() says why no update can begin now", () => {
  const of = (
    state: Parameters<typeof judgeState>[0]["state"],
  ) => [judgeState({ state, pid: 7, generation: 1 })];
  for (const state of ["serving", "updating"] as const) assertLevel(of(state), "service", "ok");
  assertMatch(assertLevel(of("starting"), "service", "note"), /starting, pid 7, generation 1: .*ready\(\)/);
  for (const state of ["probation", "stopping"] as const) assertLevel(of(state), "service", "note");
});

Deno.test("checkDescriptors() names what the next update would close", () => {
  assertLevel(checkDescriptors([sampleFd({ class: "runtime" })], "serving"), "descriptors", "ok");
  assertLevel(checkDescriptors(undefined, "serving"), "descriptors", "note");
  assertMatch(
    assertLevel(checkDescriptors([sampleFd({ fd: 9 })], "serving"), "descriptors", "note"),
    /1 descriptor is .*: 9 a pipe /,
  );
  const many = Array.from({ length: 10 }, (_, fd) => sampleFd({ fd }));
  assertMatch(
    assertLevel(checkDescriptors(many, "updating"), "descriptors", "note"),
    /10 .*update is under way.*and 2 more/,
  );
});
