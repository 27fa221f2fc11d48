import { assert, assertEquals } from "@std/assert";
import { assertNothingLost, freePort, snapshot } from "../../testing/mod.ts";
import { builds, opensInCheck, startHeld } from "./_fixtures.ts";

/** What the process says of itself; `/change` makes everything else than it was, `/child` asks a child. */
const ROUTES = `  if (path === "/self") {
    return Response.json({
      cwd: Deno.cwd(),
      umask: Deno.umask(),
      args: Deno.args,
      main: Deno.mainModule.endsWith("/boot.ts"),
      env: Deno.env.toObject(),
    });
  }
  if (path === "/change") {
    Deno.chdir("/");
    Deno.umask(0o077);
    Deno.env.set("COLOUR", "changed");
    Deno.env.set("EXTRA", "new");
    Deno.env.delete("SHAPE");
    Deno.args.constructor;
    return new Response("changed");
  }
  if (path === "/child") {
    const { stdout } = await new Deno.Command("sh", { args: ["-c", "env; ls /proc/self/fd; grep SigBlk /proc/self/status"] })
      .output();
    return new Response(stdout);
  }`;

const AWKWARD = ["--flag", "--", "--socket", "x y", "", "ä", "$HOME", "-A"];

Deno.test("environment, directory, umask, arguments and signals after an update are those of the cold start", async () => {
  await using all = builds();
  const entry = await all.write("app", { routes: ROUTES });
  const env = { COLOUR: "red", SHAPE: "round", EMPTY: "", "ODD NAME": "a=b\nc" };
  await using held = await startHeld(entry, freePort(), { env, args: AWKWARD });
  const self = async (): Promise<Record<string, unknown>> => JSON.parse(await held.client.text("/self"));
  const cold = await self();
  assertEquals(cold["args"], [String(held.port), ...AWKWARD]);
  const before = await snapshot(held.app);
  assertEquals(before.attributes["blocked signals"], "0".repeat(16));

  await held.client.text("/change");
  assertEquals((await self())["cwd"], "/", "the change has to be one");
  await held.commits(entry, "v1");
  assertEquals(await self(), cold);
  assertNothingLost(before, await snapshot(held.app), {
    updates: 1,
    ignore: (each) => each.includes(" to "),
  });

  // The same after an update that was undone: it is the old build that comes back.
  await held.client.text("/change");
  const failing = await all.write("failing", opensInCheck('throw new Error("no");'));
  assertEquals((await held.app.upgrade({ build: failing })).outcome, "rolled-back");
  assertEquals(await self(), cold);
  assertNothingLost(before, await snapshot(held.app), {
    updates: 1,
    ignore: (each) => each.includes(" to "),
  });

  // And an update that was refused changes nothing that the application had changed.
  await held.client.text("/change");
  assertEquals((await held.app.upgrade({ build: "/nowhere" })).outcome, "refused");
  assertEquals((await self())["cwd"], "/");
});

Deno.test("neither the application nor its children see the handover", async () => {
  await using all = builds();
  const before = `console.log("early:", Deno.env.get("HEIRLOOM_HANDOVER") ?? "none");`;
  const entry = await all.write("app", { before, routes: ROUTES });
  await using held = await startHeld(entry, freePort());
  const look = async (): Promise<string[]> => (await held.client.text("/child")).split("\n");
  const child = await look();
  await held.commits(entry, "v1");
  await held.commits(entry, "v1");
  assertEquals(await look(), child, "environment, descriptors and signal mask of a child");
  assert(!child.some((line) => line.startsWith("HEIRLOOM_HANDOVER")), child.join(" "));
  assertEquals(held.app.output().stdout.match(/early: .*/g), ["early: none", "early: none", "early: none"]);
});

Deno.test("a descriptor that was inherited without CLOEXEC is still there after updates", async () => {
  await using all = builds();
  const file = `${all.path}/inherited.txt`;
  await Deno.writeTextFile(file, "from the surroundings\n");
  const entry = await all.write("app", {
    routes: 'if (path === "/nine") return new Response(Deno.readTextFileSync("/proc/self/fd/9"));',
  });
  await using held = await startHeld(entry, freePort(), {
    prefix: ["bash", "-c", `exec 9<'${file}' 11>>'${file}'; exec "$@"`, "bash"],
  });
  const before = await snapshot(held.app);
  const ours = before.inheritable.filter((each) => each.includes("inherited.txt"));
  assertEquals(ours.length, 2, before.inheritable.join("; "));
  await held.commits(entry, "v1");
  await held.commits(entry, "v1");
  const failing = await all.write("failing", opensInCheck('throw new Error("no");'));
  assertEquals((await held.app.upgrade({ build: failing })).outcome, "rolled-back");
  assertEquals(await held.client.text("/nine"), "from the surroundings\n");
  const after = await snapshot(held.app);
  assertNothingLost(before, after, { updates: 2, ignore: (each) => each.includes(" to ") });
  assertEquals(after.inheritable, before.inheritable);
});
