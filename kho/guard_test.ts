import { assert, assertEquals } from "@std/assert";

import { play } from "./guardian/scene_test.ts";

Deno.test("Guard.release() from the next image is the commit, and the guardian is gone", async () => {
  const scene = await play(`
    if (Deno.args.length > 1) {
      const [, fd, pid] = Deno.args.map(Number);
      const guard = new Guard(sys.OwnedFd.adopt(fd), pid);
      say([guard.release(), guard.release()]);
      say(sys.isOpenFd(fd));
      await guard.reap();
      say([sys.childPids(), existsPid(pid)]);
      Deno.exit(0);
    }
    function existsPid(pid) {
      try {
        return Deno.statSync("/proc/" + pid).isDirectory;
      } catch {
        return false;
      }
    }
    const guardian = await guarded();
    const argv = [...image.argv.slice(0, -2), DIRECTORY + "/service.js", DIRECTORY, String(guardian.fd), String(guardian.pid)];
    jump({
      image: { ...image, argv },
      announcement: { fd: segment.fd, nonce, role: "update" },
      crossing: [...crossing, guardian.fd],
    });
  `);
  assertEquals(scene.said, [["released", "released"], false, [[], false]]);
  assertEquals([scene.service.code, scene.guardian, scene.report], [0, null, null]);
});

Deno.test("Guard.release() is died when the guardian was killed after it was entrusted", async () => {
  const scene = await play(`
    const guardian = await guarded();
    sys.killProcess(guardian.pid, 9);
    const guard = guardOf(guardian);
    const begin = performance.now();
    say([guard.release(), guard.release(), sys.childPids()]);
    guard.returning(inMs(1));
    await guard.reap();
    say(performance.now() - begin);
  `);
  assertEquals(scene.said.slice(0, 2), [true, ["died", "died", []]]);
  assert(Number(scene.said[2]) < 1000, String(scene.said[2]));
  assertEquals([scene.guardian, scene.report], [null, null]);
});

Deno.test("Guard.release() ends a guardian that does not answer, within about two seconds", async () => {
  const scene = await play(`
    const guardian = await guarded({ withinMs: 2_200 });
    sys.killProcess(guardian.pid, 19);
    const begin = performance.now();
    say([guardOf(guardian).release(), sys.childPids()]);
    say(performance.now() - begin);
    await sleep(600);
    say("alive");
  `);
  assertEquals(scene.said.slice(0, 2), [true, ["died", []]]);
  assert(Number(scene.said[2]) >= 1990 && Number(scene.said[2]) < 3000, String(scene.said[2]));
  assertEquals([scene.said[3], scene.service.code, scene.guardian, scene.report], ["alive", 0, null, null]);
});

Deno.test("Guard.reap() ends a guardian that answers and then stays", async () => {
  const scene = await play(`
    Deno.writeTextFileSync(DIRECTORY + "/stays.js", \`
      import { receiveFds, sendFds } from ${JSON.stringify(import.meta.resolve("../sys/guard.ts"))};
      const word = (text) => sendFds(3, new TextEncoder().encode(text), []);
      word("ARMED");
      receiveFds(3, { wait: true });
      word("RELEASED");
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    \`);
    const guardian = start({ program: DIRECTORY + "/stays.js" });
    await guardian.armed(10_000);
    tell(guardian);
    const guard = guardOf(guardian);
    say(guard.release());
    const begin = performance.now();
    await guard.reap();
    say([performance.now() - begin > 4_900, sys.childPids()]);
  `);
  assertEquals(scene.said, ["released", [true, []]]);
});

Deno.test("a build that was returned to can be released", async () => {
  const scene = await play(`
    const guardian = await guarded({ withinMs: 300 });
    const guard = guardOf(guardian);
    guard.returning(inMs(60_000));
    await sleep(500);
    say(guard.release());
    await guard.reap();
    say(sys.childPids());
  `);
  assertEquals([scene.said, scene.service.code, scene.lastWords], [[true, "released", []], 0, null]);
});
