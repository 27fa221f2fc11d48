import { assert, assertEquals, assertMatch } from "@std/assert";

import { assertNoRecovery, assertRecovered, CRASH, play } from "./scene_test.ts";

const DEATHS: [name: string, body: string, reason: string][] = [
  ["is killed", `sys.killProcess(Deno.pid, 9);`, "it was killed by SIGKILL in phase booting"],
  ["writes to address 0", CRASH, "it was killed by SIGSEGV in phase booting"],
  ["aborts", `sys.killProcess(Deno.pid, 6);`, "it was killed by SIGABRT in phase booting"],
  ["exits with status 3", `Deno.exit(3);`, "it exited with status 3 in phase booting"],
  ["exits with status 0", `Deno.exit(0);`, "it exited with status 0 in phase booting"],
];

for (const [name, body, reason] of DEATHS) {
  Deno.test(`a guardian brings everything back when the service ${name}`, async () => {
    const scene = await play(`await guarded(); ${body}`);
    assertEquals(scene.said, [true]);
    assertRecovered(scene, reason);
  });
}

Deno.test("a build that was returned to and dies as well is lost, with the last words", async () => {
  const scene = await play(`
    const guardian = await guarded();
    journal.append("failed", "it threw: no luck");
    journal.append("returning");
    guardOf(guardian).returning(inMs(60_000));
    Deno.exit(3);
  `);
  assertNoRecovery(scene, 70);
  const reason = "the previous build failed as well: it exited with status 3 in phase returning; " +
    "the new build had failed: it threw: no luck";
  assertEquals(scene.lastWords, { id: "u1", outcome: "lost", reason, pid: 1 });
  assert(scene.stderr.includes(`heirloom: lost: ${reason}; the service ends here`), scene.stderr);
});

Deno.test("a build that was returned to and has said itself that it is lost has the last word", async () => {
  const scene = await play(`
    const guardian = await guarded();
    guardOf(guardian).returning(inMs(60_000));
    Deno.exit(70);
  `);
  assertNoRecovery(scene, 70);
  assertEquals(scene.lastWords, null);
  assert(!scene.stderr.includes("lost"), scene.stderr);
});

Deno.test("a build that was returned to and hangs is ended and lost", async () => {
  const scene = await play(`
    const guardian = await guarded();
    guardOf(guardian).returning(inMs(200));
    for (;;);
  `);
  assertEquals(scene.service.signal, "SIGKILL");
  assertNoRecovery(scene, 70);
  assertEquals(
    scene.lastWords?.reason,
    "the previous build failed as well: it ran past its deadline in phase booting",
  );
});

Deno.test("last words that cannot be left are said, and nothing lies about", async () => {
  const scene = await play(`
    const guardian = await guarded({ lastWords: { path: DIRECTORY + "/none/words.json", text: "{}" } });
    guardOf(guardian).returning(inMs(60_000));
    Deno.exit(1);
  `);
  assertNoRecovery(scene, 70);
  assertMatch(scene.stderr, /heirloom: cannot leave the record of the update: No such file/);
});

for (const [name, signal] of [["SIGTERM", 15], ["SIGINT", 2]] as const) {
  for (
    const [end, deadline, what] of [
      ["for (;;);", 2_000, "it ran past its deadline"],
      ["sys.killProcess(Deno.pid, 9);", 60_000, "it was killed by SIGKILL"],
    ] as const
  ) {
    Deno.test(`a service that was asked to stop by ${name} is not brought back: ${what}`, async () => {
      const next = `
        import { sys } from "./tools.js";
        sys.killProcess(Deno.pid, ${signal});
        setTimeout(() => { ${end} }, 200);
      `;
      const scene = await play(`
        Deno.writeTextFileSync(DIRECTORY + "/next.js", ${JSON.stringify(next)});
        const guardian = await guarded({ withinMs: ${deadline} });
        jump({
          image: { ...image, argv: [...image.argv.slice(0, -2), DIRECTORY + "/next.js", DIRECTORY] },
          announcement: { fd: segment.fd, nonce, role: "update" },
          crossing: [...crossing, guardian.fd],
        });
      `);
      assertEquals(scene.service.signal, "SIGKILL", scene.stderr);
      assertNoRecovery(scene, 0);
      const words =
        `heirloom: the service was asked to stop (${name}) before its update was committed, and has ended`;
      assertEquals(scene.stderr, `${words}: ${what}\n`);
      assertEquals(scene.lastWords, null);
    });
  }
}

Deno.test("2000 descriptors come back, on numbers that the guardian uses itself too", async () => {
  const scene = await play(`
    const many = [];
    while (many.length < 2000) {
      const memory = sys.createMemfd("m" + many.length);
      many.push(memory);
    }
    // A few of the lowest numbers, where sockets and pidfds of guardians are.
    const low = [3, 4, 5, 6, 7].filter((fd) => sys.isOpenFd(fd) && ["file", "socket", "fifo"].includes(sys.fstat(fd).kind));
    await guarded({ crossing: [...crossing, ...many.map(({ fd }) => fd).reverse(), ...low] });
    sys.killProcess(Deno.pid, 9);
  `);
  assert(scene.facts.crossing.length >= 2000);
  assertRecovered(scene, "it was killed by SIGKILL in phase booting");
});

Deno.test("the open runtime starts the previous build when the file at its path is another one", async () => {
  const scene = await play(`
    Deno.writeTextFileSync(DIRECTORY + "/runtime", "#!/bin/sh\\necho wrong > " + DIRECTORY + "/wrong\\n", { mode: 0o755 });
    await guarded({ image: { ...image, exec: DIRECTORY + "/runtime" } });
    sys.killProcess(Deno.pid, 9);
  `);
  assertRecovered(scene, "it was killed by SIGKILL in phase booting");
  assertEquals(scene.report?.exec, Deno.realPathSync(Deno.execPath()));
});

Deno.test("the path of the runtime will do when none is open", async () => {
  const scene = await play(`
    await guarded({ runtime: null });
    sys.killProcess(Deno.pid, 9);
  `);
  assertRecovered(scene, "it was killed by SIGKILL in phase booting");
});

Deno.test("a previous build that cannot be started is lost, and said so", async () => {
  const scene = await play(`
    const low = [];
    for (let fd = 3; fd < 40; fd++) if (sys.isOpenFd(fd) && !crossing.includes(fd)) low.push(fd);
    await guarded({ crossing: [...crossing, ...low], image: { ...image, exec: DIRECTORY + "/none" }, runtime: null });
    sys.killProcess(Deno.pid, 9);
  `);
  assertNoRecovery(scene, 70);
  assertMatch(
    String(scene.lastWords?.reason),
    /^it was killed by SIGKILL in phase booting, and the previous build cannot be started again: Cannot execve .*ENOENT/,
  );
});

Deno.test("a guardian without room for the descriptors says that it cannot recover", async () => {
  const scene = await play(`
    const guardian = start();
    await guardian.armed(10_000);
    tell(guardian);
    const { code } = await new Deno.Command("prlimit", { args: ["--pid", String(guardian.pid), "--nofile=40:40"] }).output();
    say(code);
    const many = Array.from({ length: 300 }, (_, i) => sys.createMemfd("m" + i).fd);
    say(guardian.entrust(plan({ crossing: [...crossing, ...many] })));
    sys.killProcess(Deno.pid, 9);
  `);
  assertEquals(scene.said, [0, true]);
  assertNoRecovery(scene, 70);
  const reason = String(scene.lastWords?.reason);
  assertMatch(reason, /^it was killed by SIGKILL, and its guardian cannot bring it back: .*EMFILE/);
  assert(scene.stderr.includes(`heirloom: lost: ${reason}`), scene.stderr);
});
