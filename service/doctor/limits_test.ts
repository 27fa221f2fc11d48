import { assertEquals, assertMatch } from "@std/assert";
import { sampleFd, STATUS } from "../../control/helpers_test.ts";
import { assertLevel } from "./helpers_test.ts";
import { checkLimits, gatherLimits, heldBy, type LimitFacts, neededDescriptors } from "./limits.ts";
import type { ProcessLimits } from "./proc_text.ts";
import { lookAt } from "./subject.ts";

const NONE = { soft: null, hard: null };
const LIMITS: ProcessLimits = { nofile: { soft: 20_000, hard: 20_000 }, fsize: NONE, as: NONE, nproc: NONE };
const GOOD: LimitFacts = {
  limits: LIMITS,
  held: { fds: 40, files: 4, connections: 2 },
  threads: 50,
  virtualBytes: 2 ** 31,
  watches: 65_536,
  instances: 128,
  pipePages: 16_384,
};

const check = (changes: Partial<LimitFacts> = {}) => checkLimits({ ...GOOD, ...changes });
const withLimit = (name: keyof ProcessLimits, soft: number | null, changes: Partial<LimitFacts> = {}) =>
  check({ ...changes, limits: { ...LIMITS, [name]: { soft, hard: soft } } });

Deno.test("neededDescriptors() is the sum that an update makes", () => {
  assertEquals(neededDescriptors({ fds: 40, files: 4, connections: 2 }), 42 + 64);
  assertEquals(neededDescriptors({ fds: 40, files: 100, connections: 10 }), 220 + 64);
});

Deno.test("checkLimits() holds descriptors against what an update needs", () => {
  assertLevel(check(), "nofile", "ok");
  assertLevel(withLimit("nofile", null), "nofile", "ok");
  assertLevel(withLimit("nofile", 212), "nofile", "ok");
  assertLevel(withLimit("nofile", 211), "nofile", "warning");
  assertLevel(withLimit("nofile", 106), "nofile", "warning");
  assertMatch(
    assertLevel(withLimit("nofile", 105), "nofile", "problem"),
    /needs 106, .* is 105 .*LimitNOFILE/,
  );
});

Deno.test("checkLimits() knows little of descriptors without a service", () => {
  assertLevel(check({ held: null }), "nofile", "ok");
  assertLevel(withLimit("nofile", 1023, { held: null }), "nofile", "warning");
});

Deno.test("checkLimits() looks at the size of files and the address space", () => {
  assertLevel(check(), "fsize", "ok");
  assertLevel(withLimit("fsize", 2 ** 30), "fsize", "note");
  assertLevel(withLimit("fsize", 2 ** 20), "fsize", "warning");
  assertLevel(check(), "address_space", "ok");
  assertLevel(withLimit("as", 2 ** 33), "address_space", "note");
  assertLevel(withLimit("as", 2 ** 31), "address_space", "warning");
  assertLevel(withLimit("as", 2 ** 33, { virtualBytes: null }), "address_space", "warning");
});

Deno.test("checkLimits() counts threads of the user, but not for root", () => {
  assertLevel(withLimit("nproc", 90), "nproc", "ok");
  assertLevel(withLimit("nproc", 89), "nproc", "problem");
  assertLevel(withLimit("nproc", 1, { threads: null }), "nproc", "ok");
});

Deno.test("checkLimits() notes small limits of the kernel for each user", () => {
  for (const id of ["inotify_watches", "inotify_instances", "pipe_pages"]) assertLevel(check(), id, "ok");
  const small = check({ watches: 100, instances: 8, pipePages: 16 });
  for (const id of ["inotify_watches", "inotify_instances", "pipe_pages"]) assertLevel(small, id, "note");
  assertLevel(check({ pipePages: 0 }), "pipe_pages", "ok");
  assertEquals(check({ limits: null, watches: null, instances: null, pipePages: null }), []);
});

Deno.test("heldBy() counts descriptors, files and connections", () => {
  const files = [{ token: "1", compatible: "listener-v1", fd: 3, name: "web" }];
  const status = {
    ...STATUS,
    sessions: [
      { name: "heirloom", direction: "outgoing" as const, files },
      { name: "old", direction: "incoming" as const, files },
    ],
    fds: [
      sampleFd(),
      sampleFd({ class: "preserved", name: "web", compatible: "stream-v1" }),
      sampleFd({ class: "preserved", name: "talk", compatible: "stream-v1", token: "7" }),
    ],
  };
  assertEquals(heldBy({ socket: "/s", status, history: [] }), { fds: 3, files: 1, connections: 1 });
});

Deno.test("gatherLimits() reads those of this process", () => {
  const { limits, held, watches } = gatherLimits(lookAt("self", false), null);
  assertEquals(held, null);
  assertEquals(typeof limits?.nofile.soft, "number");
  assertEquals(watches === null || watches > 0, true);
});
