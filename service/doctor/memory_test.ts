import { assertEquals, assertMatch } from "@std/assert";
import { assertLevel } from "./helpers_test.ts";
import { checkMemory, gatherMemory, groupsOf, type MemoryFacts } from "./memory.ts";
import { lookAt } from "./subject.ts";

const MIB = 2 ** 20;
const GOOD: MemoryFacts = {
  resident: 100 * MIB,
  available: 1000 * MIB,
  group: { room: 500 * MIB, limit: 600 * MIB, path: "/sys/fs/cgroup/x" },
};
const check = (changes: Partial<MemoryFacts> = {}) => checkMemory({ ...GOOD, ...changes });

Deno.test("checkMemory() holds what is free against the service and its guardian", () => {
  assertLevel(check(), "memory", "ok");
  assertLevel(check({ available: 164 * MIB }), "memory", "ok");
  assertLevel(check({ available: 164 * MIB - 1 }), "memory", "warning");
  assertLevel(check({ available: 64 * MIB - 1 }), "memory", "problem");
});

Deno.test("checkMemory() looks at the tightest control group", () => {
  assertLevel(check(), "group_memory", "ok");
  const of = (room: number) => check({ group: { room, limit: 600 * MIB, path: "/g" } });
  assertMatch(
    assertLevel(of(100 * MIB), "group_memory", "warning"),
    /100\.0 MiB of 600\.0 MiB left.*MemoryMax/,
  );
  assertLevel(of(MIB), "group_memory", "problem");
  assertEquals(check({ group: null, available: null }), []);
});

Deno.test("groupsOf() gives the groups that know of memory, with all above them", () => {
  assertEquals(groupsOf("0::/system.slice/app.service\n"), [
    "/sys/fs/cgroup",
    "/sys/fs/cgroup/system.slice",
    "/sys/fs/cgroup/system.slice/app.service",
  ]);
  assertEquals(groupsOf("9:cpu,cpuacct:/x\n4:memory:/a b\n1:name=systemd:/y\n"), [
    "/sys/fs/cgroup/memory",
    "/sys/fs/cgroup/memory/a b",
  ]);
  assertEquals(groupsOf("rubbish"), []);
});

Deno.test("gatherMemory() reads what this machine has", () => {
  const { available, resident } = gatherMemory(lookAt("self", true));
  assertEquals([(available ?? 0) > 0, (resident ?? 0) > 10 * MIB], [true, true]);
});
