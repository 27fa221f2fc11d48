import { assertEquals, assertMatch } from "@std/assert";
import { assertLevel } from "./helpers_test.ts";
import { checkUnit, gatherUnit, parseSpan, type UnitFacts, unitPath } from "./systemd.ts";
import { lookAt } from "./subject.ts";

const SHIPPED = {
  Type: "exec",
  NotifyAccess: "all",
  KillMode: "control-group",
  FileDescriptorStoreMax: "0",
  WatchdogUSec: "0",
  OOMPolicy: "continue",
  LimitNOFILE: "65536",
  MemoryDenyWriteExecute: "no",
  TimeoutStopUSec: "45s",
  Restart: "on-failure",
  RuntimeDirectory: "heirloom",
  RuntimeDirectoryPreserve: "yes",
  StateDirectory: "heirloom",
};

const check = (properties: Record<string, string> = {}, facts: Partial<UnitFacts> = {}) =>
  checkUnit({
    unit: "app.service",
    hasSocket: true,
    properties: new Map(Object.entries({ ...SHIPPED, ...properties })),
    pauseMs: 100,
    ...facts,
  });

Deno.test("checkUnit() has nothing to say against the shipped unit", () => {
  assertEquals(check().filter(({ level }) => level !== "ok"), []);
});

/** A property, what it may not be, the finding, and how bad that is. */
const BAD = [
  ["NotifyAccess", "main", "notify_access", "warning"],
  ["NotifyAccess", "none", "notify_access", "warning"],
  ["NotifyAccess", "exec", "notify_access", "warning"],
  ["Type", "notify", "unit_type", "note"],
  ["Type", "forking", "unit_type", "warning"],
  ["KillMode", "process", "kill_mode", "warning"],
  ["KillMode", "none", "kill_mode", "warning"],
  ["OOMPolicy", "stop", "oom_policy", "warning"],
  ["MemoryDenyWriteExecute", "yes", "memory_deny_write_execute", "problem"],
  ["TimeoutStopUSec", "30s", "timeout_stop", "warning"],
  ["WatchdogUSec", "300ms", "watchdog", "warning"],
  ["WatchdogUSec", "30s", "watchdog", "note"],
  ["LimitNOFILE", "1024", "limit_nofile", "note"],
  ["FileDescriptorStoreMax", "16", "fd_store", "note"],
  ["Restart", "no", "restart", "note"],
  ["StateDirectory", "", "unit_state", "note"],
  ["RuntimeDirectoryPreserve", "no", "unit_runtime", "note"],
] as const;

for (const [name, value, id, level] of BAD) {
  Deno.test(`checkUnit() has a ${level} for ${name}=${value}`, () => {
    assertLevel(check({ [name]: value }), id, level);
  });
}

Deno.test("checkUnit() takes what does as well", () => {
  assertLevel(check({ KillMode: "mixed" }), "kill_mode", "ok");
  assertLevel(check({ TimeoutStopUSec: "infinity" }), "timeout_stop", "ok");
  assertLevel(check({ TimeoutStopUSec: "1min 30s" }), "timeout_stop", "ok");
  assertLevel(check({ LimitNOFILE: "infinity" }), "limit_nofile", "ok");
  assertEquals(
    check({ RuntimeDirectory: "", RuntimeDirectoryPreserve: "no" }).find(({ id }) => id === "unit_runtime"),
    undefined,
  );
});

Deno.test("checkUnit() warns when the service was started before NotifyAccess= was set", () => {
  assertMatch(assertLevel(check({}, { hasSocket: false }), "notify_access", "warning"), /anew/);
});

Deno.test("checkUnit() says what it can without systemctl, and without systemd", () => {
  const silent = check({}, { properties: null });
  assertEquals(silent.map(({ id, level }) => [id, level]), [["systemd", "note"]]);
  const mute = check({}, { properties: null, hasSocket: false });
  assertLevel(mute, "notify_access", "warning");
  assertLevel(check({}, { unit: null }), "systemd", "ok");
});

Deno.test("unitPath() finds the unit in either hierarchy", () => {
  assertEquals(unitPath("0::/system.slice/app.service\n"), "/system.slice/app.service");
  assertEquals(
    unitPath(
      "1:name=systemd:/user.slice/user@5.service/app.slice/a.service\n0::/user.slice/user@5.service\n",
    ),
    "/user.slice/user@5.service/app.slice/a.service",
  );
  assertEquals(unitPath("0::/user.slice/session-3.scope\n"), null);
});

Deno.test("parseSpan() reads the times of systemctl", () => {
  const times = {
    "0": 0,
    "45s": 45_000,
    "1min 30s": 90_000,
    "1h 500ms": 3_600_500,
    "infinity": null,
    "1.5s": 1500,
  };
  for (const [text, ms] of Object.entries(times)) assertEquals(parseSpan(text), ms, text);
});

Deno.test("gatherUnit() knows that a test is no service", async () => {
  assertEquals((await gatherUnit(lookAt("self", false), null)).unit, null);
});
