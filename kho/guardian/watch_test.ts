import { assert, assertEquals } from "@std/assert";

import { openPidfd, poll, POLLIN } from "../../sys/guard.ts";
import { SysError } from "../../sys/mod.ts";
import { assertNoRecovery, assertRecovered, CRASH, play, until } from "./scene_test.ts";

const HANGS: [name: string, body: string][] = [
  ["spins", `for (;;);`],
  ["is stopped", `sys.killProcess(Deno.pid, 19); await sleep(60_000);`],
  ["waits for ever", `await sleep(60_000);`],
];

for (const [name, body] of HANGS) {
  Deno.test(`a guardian ends a service that ${name} past its deadline, and brings everything back`, async () => {
    const scene = await play(`
      await guarded({ withinMs: 300 });
      ${body}
    `);
    assertEquals(scene.service.signal, "SIGKILL");
    assertRecovered(scene, "it ran past its deadline in phase booting");
  });
}

Deno.test("a guardian leaves a service alone until its deadline", async () => {
  const scene = await play(`
    await guarded({ withinMs: 700 });
    for (let i = 0; ; i++) {
      say(i);
      await sleep(100);
    }
  `);
  assert(scene.said.length >= 5, `${scene.said.length}`);
  assertRecovered(scene, "it ran past its deadline in phase booting");
});

Deno.test("connections wait in the backlog while the guardian acts", async () => {
  let connection: Deno.TcpConn | undefined;
  const scene = await play(`await guarded(); put("dead", 1); sys.killProcess(Deno.pid, 9);`, {
    outside: async ({ port }, directory) => {
      await until(() => isThere(`${directory}/dead`), "the service's death", 10_000);
      connection = await Deno.connect({ hostname: "127.0.0.1", port });
    },
  });
  assertRecovered(scene, "it was killed by SIGKILL in phase booting");
  connection?.close();
});

Deno.test("a guardian goes on watching across the jump", async () => {
  const scene = await play(`
    if (Deno.args.length > 1) {
      journal.append("probation");
      ${CRASH}
    }
    const guardian = await guarded();
    say(Deno.pid);
    jump({
      image: { ...image, argv: [...image.argv.slice(0, -2), DIRECTORY + "/service.js", DIRECTORY, "jumped"] },
      announcement: { fd: segment.fd, nonce, role: "update" },
      crossing: [...crossing, guardian.fd],
    });
  `);
  assertEquals(scene.said, [true, scene.facts.pid]);
  assertEquals(scene.service.signal, "SIGSEGV");
  assertRecovered(scene, "it was killed by SIGSEGV in phase booting");
});

Deno.test("a service that dies after its commit is not brought back", async () => {
  const scene = await play(`
    const guardian = await guarded();
    say(guardOf(guardian).release());
    sys.killProcess(Deno.pid, 9);
  `);
  assertEquals(scene.said, [true, "released"]);
  assertNoRecovery(scene, 0);
});

Deno.test("a commit is no commit when nobody is left to be told", async () => {
  const scene = await play(
    `
      const guardian = await guarded();
      sys.killProcess(guardian.pid, 19);
      sys.write(guardian.fd, new TextEncoder().encode("COMMIT"));
      put("dead", 1);
      sys.killProcess(Deno.pid, 9);
    `,
    {
      outside: async ({ guardian, pid }, directory) => {
        await until(() => isThere(`${directory}/dead`), "the service's last word", 10_000);
        waitForEnd(pid);
        Deno.kill(guardian, "SIGCONT");
      },
    },
  );
  assertRecovered(scene, "it was killed by SIGKILL in phase booting");
});

Deno.test("a commit counts even when the deadline passes before the guardian has looked", async () => {
  const scene = await play(`
    const guardian = await guarded({ withinMs: 700 });
    sys.killProcess(guardian.pid, 19);
    new Deno.Command("/bin/sh", { args: ["-c", "sleep 1.2; kill -CONT " + guardian.pid] }).spawn();
    const guard = guardOf(guardian);
    say(guard.release());
    await guard.reap();
    say(sys.childPids().includes(guardian.pid));
  `);
  assertEquals([scene.said, scene.service.code, scene.report], [[true, "released", false], 0, null]);
});

Deno.test("a guardian goes on watching when the service has closed its socket", async () => {
  const scene = await play(`
    const guardian = await guarded({ withinMs: 400 });
    sys.closeFd(guardian.fd);
    await sleep(60_000);
  `);
  assertRecovered(scene, "it ran past its deadline in phase booting");
});

Deno.test("a guardian takes no processor time while it watches", async () => {
  const scene = await play(`
    const guardian = await guarded();
    sys.closeFd(guardian.fd);
    await sleep(100);
    const ticks = () => Deno.readTextFileSync("/proc/" + guardian.pid + "/stat").split(") ")[1].split(" ").slice(11, 13).map(Number);
    const [user, system] = ticks();
    await sleep(500);
    const [laterUser, laterSystem] = ticks();
    say(laterUser + laterSystem - user - system);
    sys.killProcess(guardian.pid, 9);
  `);
  assert(Number(scene.said[1]) <= 5, `${scene.said[1]} ticks of 10 ms`);
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`a guardian dies of ${signal}, as a service that is stopped wants it`, async () => {
    const scene = await play(`
      const guardian = await guarded();
      Deno.kill(guardian.pid, "${signal}");
      while (guardian.alive()) await sleep(1);
      say(guardian.alive());
    `);
    assertEquals([scene.said, scene.report], [[true, false], null]);
  });
}

async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    return false;
  }
}

/** Waits until all of a process has ended, its last thread included. */
function waitForEnd(pid: number): void {
  try {
    using process = openPidfd(pid);
    const [events = 0] = poll([{ fd: process.fd, events: POLLIN }], 10_000);
    assert((events & POLLIN) !== 0, "it did not end in 10 s");
  } catch (error) {
    // Reaped already.
    if (!(error instanceof SysError && error.code === "ESRCH")) throw error;
  }
}
