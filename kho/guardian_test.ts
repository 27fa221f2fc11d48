import { assert, assertEquals } from "@std/assert";

import { noOrdinaryUser } from "../sys/helpers_test.ts";
import { asOrdinaryUser, assertNoRecovery, assertRecovered, play } from "./guardian/scene_test.ts";

Deno.test("Guardian.start() and armed() say what is wrong, and nothing is left", async () => {
  const scene = await play(`
    const before = sys.listFds().join();
    try {
      start({ runtime: DIRECTORY + "/none" });
    } catch (error) {
      say(error.code);
    }
    async function attempt(source, ms) {
      Deno.writeTextFileSync(DIRECTORY + "/odd.js", source);
      using guardian = start({ program: DIRECTORY + "/odd.js" });
      tell(guardian);
      await guardian.armed(ms).catch((error) => say(error.message));
    }
    await attempt("Deno.exit(5)", 10_000);
    await attempt("Deno.kill(Deno.pid, 'SIGKILL')", 10_000);
    await attempt("await new Promise((resolve) => setTimeout(resolve, 60_000))", 150);
    say([sys.childPids(), sys.listFds().join() === before]);
  `);
  assertEquals(scene.said, [
    "ENOENT",
    "Cannot start the guardian: it ended with status 5",
    "Cannot start the guardian: it was killed by signal 9",
    "Cannot start the guardian: it was not ready within 150 ms",
    [[], true],
  ]);
});

Deno.test("Guardian[Symbol.dispose]() leaves no process, no zombie and no descriptor", async () => {
  const scene = await play(`
    const before = sys.listFds().join();
    for (const armed of [false, true]) {
      using guardian = start();
      if (armed) {
        await guardian.armed(10_000);
        say(guardian.entrust(plan()));
      }
      tell(guardian);
    }
    say([sys.childPids(), sys.listFds().join() === before]);
  `);
  assertEquals(scene.said, [true, [[], true]]);
  assertEquals([scene.guardian, scene.report, scene.stderr], [null, null, ""]);
});

Deno.test("Guardian.entrust() is false when the guardian is dead; its socket can still cross", async () => {
  const scene = await play(`
    const before = sys.listFds().join();
    const guardian = start();
    await guardian.armed(10_000);
    tell(guardian);
    say(guardian.alive());
    sys.killProcess(guardian.pid, 9);
    while (guardian.alive()) await sleep(1);
    say([guardian.entrust(plan()), guardian.alive(), sys.childPids(), sys.isOpenFd(guardian.fd)]);
    guardian.revoke();
    guardian[Symbol.dispose]();
    say(sys.listFds().join() === before);
  `);
  assertEquals(scene.said, [true, [false, false, [], true], true]);
  assertEquals([scene.guardian, scene.report, scene.stderr], [null, null, ""]);
});

Deno.test("Guardian.revoke() lets go of everything; a new plan can follow", async () => {
  const scene = await play(`
    const [ours, theirs] = far.socketPair();
    const guardian = await guarded({ crossing: [...crossing, theirs.fd] });
    theirs[Symbol.dispose]();
    await sleep(50);
    say(far.poll([{ fd: ours.fd, events: far.POLLIN }], 0)[0]);
    guardian.revoke();
    say(far.poll([{ fd: ours.fd, events: far.POLLIN }], 5_000)[0] & far.POLLHUP);
    say([guardian.alive(), guardian.entrust(plan())]);
    sys.killProcess(Deno.pid, 9);
  `);
  assertEquals(scene.said, [true, 0, 16, [true, true]]);
  const crossing = scene.facts.crossing.slice(0, -1);
  assertRecovered(
    { ...scene, facts: { ...scene.facts, crossing } },
    "it was killed by SIGKILL in phase booting",
  );
});

const SILENT: [name: string, body: string][] = [
  [
    "was not entrusted with anything",
    `const guardian = start(); await guardian.armed(10_000); tell(guardian);`,
  ],
  ["has forgotten its plan", `const guardian = await guarded(); guardian.revoke();`],
  [
    "was to be entrusted with a closed descriptor",
    `
      const guardian = start();
      await guardian.armed(10_000);
      tell(guardian);
      try {
        guardian.entrust(plan({ crossing: [...crossing, 999] }));
      } catch (error) {
        if (error.code !== "EBADF") throw error;
      }
    `,
  ],
];

for (const [name, body] of SILENT) {
  Deno.test(`a guardian that ${name} ends silently with the service`, async () => {
    const scene = await play(`${body} Deno.exit(1);`);
    assertNoRecovery(scene, 0);
    assertEquals([scene.service.code, scene.stderr], [1, ""]);
  });
}

Deno.test({
  name: "an ordinary user's guardian takes descriptors as they come, or none if it is stopped",
  ignore: noOrdinaryUser() !== null,
  fn: guardsAnOrdinaryUser,
});

async function guardsAnOrdinaryUser(): Promise<void> {
  await using runner = await asOrdinaryUser();
  const body = (stop: boolean): string => `
    const many = Array.from({ length: 1000 }, (_, i) => {
      using memory = sys.createMemfd("m" + i);
      return memory.dup(500).release();
    });
    const guardian = start();
    await guardian.armed(20_000);
    const all = [...crossing, ...many];
    tell(guardian, all);
    // Few may be in flight at once, although many are open.
    const { soft, hard } = sys.getLimit("nofile");
    sys.setLimit("nofile", { soft: 300n, hard });
    if (${stop}) sys.killProcess(guardian.pid, 19);
    const begin = performance.now();
    say(guardian.entrust(plan({ crossing: all })));
    say(performance.now() - begin);
    sys.setLimit("nofile", { soft, hard });
    say(guardian.alive());
    sys.killProcess(Deno.pid, 9);
  `;
  const running = await play(body(false), { runner });
  assertEquals([running.said[0], running.said[2]], [true, true], running.stderr);
  assertRecovered(running, "it was killed by SIGKILL in phase booting");
  const stopped = await play(body(true), { runner });
  assertEquals([stopped.said[0], stopped.said[2]], [false, false], stopped.stderr);
  assert(Number(stopped.said[1]) >= 499 && Number(stopped.said[1]) < 3000, String(stopped.said[1]));
  assertEquals([stopped.guardian, stopped.report], [null, null]);
}
