/**
 * Derived scenarios of what is refused, with their numbers in section 8.5 of the reference: a handover that cannot be read,
 * arguments that are none, a process that is killed.
 *
 * @module
 */
import { assertEquals, assertThrows } from "@std/assert";

import { memfdHandler } from "../../handlers/mod.ts";
import { assertLuoError } from "../../luo/helpers_test.ts";
import { Device, type FileHandler, type Flb, LuoError, registerFlb, registerHandler } from "../../mod.ts";
import { descriptors, processes } from "../../testing/mod.ts";
import { rebootForeign } from "./_kernel_foreign.ts";
import { memfdOf, openMemfds } from "./_kernel_kit.ts";
import { coldEnvironment } from "./_kernel_process.ts";
import { acrossUpdates } from "./_kernel_stages.ts";
import { KernelTracer, registerTracer, traced } from "./_kernel_tracer.ts";

const across = acrossUpdates(import.meta.url);

await across("derived 14: without the handler of a file the device is EIO, at every opening", [
  () => {
    const tracer = registerTracer();
    using device = Device.open();
    using file = traced();
    device.createSession("web").preserveFd(file, 1n);
    assertEquals(tracer.takeCalls(), ["preserve web/1"]);
  },
  () => {
    const errors = [0, 1].map(() => assertThrows(() => Device.open(), LuoError, "kernel-traced-v1"));
    for (const { code, session, token, handler } of errors) {
      assertEquals([code, session, token, handler], ["EIO", "web", 1n, "kernel-traced-v1"]);
    }
    // Too late: what was read once is not read again.
    registerHandler(new KernelTracer());
    assertLuoError(() => Device.open(), "EIO", "kernel-traced-v1");
  },
]);

// The kernel panics at such a root of LUO, and takes such a root of KHO for a cold boot. Here both are refused for ever.
for (const part of ["luo", "kho"] as const) {
  await across(`derived 14: an unknown version of the root "${part}" is EIO, at every opening`, [
    () => {
      using device = Device.open();
      using memory = memfdOf("kept", "kernel-kept");
      device.createSession("web").preserveFd(memory, 1n);
      return () => rebootForeign(part);
    },
    () => {
      for (let round = 0; round < 2; round++) {
        assertLuoError(() => Device.open(), "EIO", `"${part}-v?"`);
      }
      // Refused, and not lost: who can read it could still be started.
      assertEquals(openMemfds(), ["kernel-kept"]);
    },
  ]);
}

/** What no program in TypeScript can write by accident. */
const NO_NAMES: readonly unknown[] = [undefined, null, 5, 5n, true, {}, ["web"]];

Deno.test("derived 15: arguments of another type than they should have are refused with an errno", () => {
  using device = Device.open();
  using session = device.createSession("web");
  using memory = memfdOf("memory");
  for (const name of NO_NAMES) {
    assertLuoError(() => device.createSession(name as string), "EINVAL");
  }
  for (const token of [undefined, null, 1, "1", true, {}, -1n, 1n << 64n]) {
    assertLuoError(() => session.preserveFd(memory, token as bigint), "EINVAL");
    assertLuoError(() => session.unpreserveFd(token as bigint), "ENOENT");
  }
  for (const fd of [undefined, null, "3", 3n, {}, NaN, 1.5, 2 ** 32]) {
    assertLuoError(() => session.preserveFd(fd as number, 1n), "EBADF");
  }
  assertEquals([device.sessions().length, session.files()], [1, []]);
});

Deno.test("derived 15: a handler or an FLB without one of its callbacks is EINVAL", () => {
  const callbacks = ["canPreserve", "preserve", "unpreserve", "retrieve", "finish"];
  const complete = Object.fromEntries(callbacks.map((name) => [name, () => {}]));
  const bad: object[] = [
    {},
    { ...complete },
    { ...complete, compatible: "" },
    { ...complete, compatible: "x".repeat(48) },
    ...callbacks.map((name) => ({ ...complete, compatible: "kernel-bad-v1", [name]: undefined })),
  ];
  for (const handler of bad) assertLuoError(() => registerHandler(handler as FileHandler), "EINVAL");
  // An FLB has no canPreserve.
  const flbs = bad.filter((flb) => !("canPreserve" in flb) || (flb as FileHandler).canPreserve !== undefined);
  for (const flb of flbs) assertLuoError(() => registerFlb(memfdHandler, flb as Flb), "EINVAL");
  const flb = { ...complete, compatible: "kernel-flb-v1" } as unknown as Flb;
  assertLuoError(() => registerFlb(new KernelTracer(), flb), "EINVAL", "not registered");
});

Deno.test("derived 17: what a process preserved is gone when it is killed before its reboot", async () => {
  const name = `kernel-holder-${crypto.randomUUID()}`;
  const program = new URL("./_kernel_holder.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", program, name],
    clearEnv: true,
    env: coldEnvironment(),
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  try {
    const { value } = await child.stdout.getReader().read();
    assertEquals(new TextDecoder().decode(value), "ready\n");
    // The holder closed its own descriptor: the one that is left is LUO's.
    assertEquals(holders(name), [child.pid]);
  } finally {
    child.kill("SIGKILL");
    await Promise.allSettled([child.stdin.close(), child.status]);
  }
  assertEquals(holders(name), []);
});

/** The processes that have a memfd of that name open, each as often as it has. */
function holders(name: string): number[] {
  return processes().flatMap(({ pid }) =>
    linksOf(pid).filter((link) => link === `/memfd:${name} (deleted)`).map(() => pid)
  );
}

function linksOf(pid: number): string[] {
  try {
    return descriptors(pid).map(({ link }) => link);
  } catch {
    // Ended meanwhile, or another user's.
    return [];
  }
}
