import { assertMatch } from "@std/assert";
import type { ProbeName } from "../../sys/probe.ts";
import { assertLevel } from "./helpers_test.ts";
import { checkKernel, gatherKernel, type KernelFacts } from "./kernel.ts";

const PROBES: Record<ProbeName, null> = {
  close_range: null,
  pidfd: null,
  memfd: null,
  noexec_seal: null,
  dup_query: null,
  kcmp: null,
  scm_rights: null,
  eventfd: null,
  eventfd_info: null,
  timerfd: null,
  inotify: null,
  epoll: null,
};
const GOOD: KernelFacts = { release: "6.1.0-13-amd64", arch: "x86_64", probes: PROBES, memfdNoexec: 0 };

const check = (changes: Partial<KernelFacts> = {}) => checkKernel({ ...GOOD, ...changes });
const failing = (...names: ProbeName[]) =>
  check({ probes: { ...PROBES, ...Object.fromEntries(names.map((name) => [name, "x: EPERM"])) } });

Deno.test("checkKernel() judges the release by its numbers", () => {
  for (const release of ["5.11.0", "5.15", "6.1.0-13-amd64", "10.0"]) {
    assertLevel(check({ release }), "kernel", "ok");
  }
  for (const release of ["5.10.9", "4.19", "3.99.1"]) assertLevel(check({ release }), "kernel", "problem");
  assertLevel(check({ release: null }), "kernel", "warning");
});

Deno.test("checkKernel() knows two architectures", () => {
  assertLevel(check(), "architecture", "ok");
  assertLevel(check({ arch: "aarch64" }), "architecture", "ok");
  assertLevel(check({ arch: "riscv64" }), "architecture", "problem");
});

for (const name of ["close_range", "pidfd", "memfd", "scm_rights"] as const) {
  Deno.test(`checkKernel() has a problem without ${name}`, () => {
    assertLevel(check(), name, "ok");
    assertMatch(assertLevel(failing(name), name, "problem"), /EPERM/);
  });
}

for (const name of ["eventfd", "timerfd", "inotify", "epoll"] as const) {
  Deno.test(`checkKernel() warns without ${name}`, () => {
    assertLevel(check(), name, "ok");
    assertMatch(assertLevel(failing(name), name, "warning"), /EPERM/);
  });
}

Deno.test("checkKernel() needs one way to recognize duplicates", () => {
  assertMatch(assertLevel(check(), "duplicates", "ok"), /F_DUPFD_QUERY/);
  assertMatch(assertLevel(failing("dup_query"), "duplicates", "ok"), /kcmp/);
  assertLevel(failing("dup_query", "kcmp"), "duplicates", "warning");
});

Deno.test("checkKernel() notes what fdinfo and memfds of an old kernel lack", () => {
  assertLevel(check(), "eventfd_info", "ok");
  assertLevel(failing("eventfd_info"), "eventfd_info", "note");
  assertLevel(check(), "memfd_noexec", "ok");
  assertLevel(failing("noexec_seal"), "memfd_noexec", "note");
  assertLevel(check({ memfdNoexec: 2 }), "memfd_noexec", "problem");
});

Deno.test("gatherKernel() finds this machine good enough for the tests", () => {
  const findings = checkKernel(gatherKernel());
  for (const id of ["kernel", "architecture", "memfd", "duplicates"]) assertLevel(findings, id, "ok");
});
