import { assertEquals } from "@std/assert";
import { freePort, type TestApp, waitFor } from "../../testing/mod.ts";
import { type AppParts, builds, once, startHeld } from "./_fixtures.ts";

/** A build with programs that the one before does not have; the marks are found among all processes. */
function withPrograms(mark: string, does = ""): AppParts {
  const command = (what: string): string => JSON.stringify(["sh", "-c", `echo ${mark}-${what}; exec cat`]);
  return {
    label: "v2",
    use: `const said = [];
const says = (bytes) => void said.push(new TextDecoder().decode(bytes).trim());
const child = await live.spawn("child", { command: ${command("child")}, stdin: "piped", stdout: says });
await live.terminal("shell", { command: ${command("shell")}, data: says });`,
    routes: `  if (path === "/do") { setTimeout(() => { ${does} }, 20); return new Response("soon"); }
  if (path === "/programs") return Response.json([child.pid, said.sort()]);`,
    ready: "live.ready();",
  };
}

/** The children of the service but its guardian. */
function programsOf({ pid }: TestApp): number[] {
  const children = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).split(" ").filter(Boolean);
  return children.map(Number).filter((child) => {
    return /^(?:cat|sh)$/.test(Deno.readTextFileSync(`/proc/${child}/comm`).trim());
  });
}

/** Processes with these words, whoever is their parent. */
function processesWith(words: string): string[] {
  return [...Deno.readDirSync("/proc")].filter(({ name }) => /^\d+$/.test(name)).flatMap(({ name }) => {
    try {
      const line = Deno.readTextFileSync(`/proc/${name}/environ`);
      return line.includes(words) && /^(?:cat|sh)$/m.test(Deno.readTextFileSync(`/proc/${name}/comm`))
        ? [name]
        : [];
    } catch {
      // It has ended, or is somebody else's.
      return [];
    }
  });
}

Deno.test("programs are started at the commit, not when the taps open: a build that fails in between leaves none", async (t) => {
  await using all = builds();
  const first = await all.write("first");
  await using held = await startHeld(first, freePort());
  const { app, port } = held;
  const marks = `HEIRLOOM_SOCKET=${app.socket}`;
  const answers = (label: string) => async () => await once(port, "/") === label;
  for (
    const [outcome, does] of [
      ["rolled-back", 'throw new Error("no");'],
      ["recovered", 'Deno.kill(Deno.pid, "SIGKILL");'],
    ] as const
  ) {
    await t.step(outcome, async () => {
      const build = await all.write(outcome, withPrograms(outcome, does));
      const update = app.upgrade({ build, commitAfterS: 4 });
      await waitFor(answers("v2"), { what: "the taps to open" });
      assertEquals(JSON.parse(await once(port, "/programs")), [0, []]);
      assertEquals([programsOf(app), processesWith(marks)], [[], []]);
      await once(port, "/do");
      assertEquals((await update).outcome, outcome);
      await waitFor(answers("v1"), { what: "the old build" });
      assertEquals([programsOf(app), processesWith(marks)], [[], []]);
    });
  }
  await t.step("committed", async () => {
    const record = await app.upgrade({
      build: await all.write("good", withPrograms("good")),
      commitAfterS: 1,
    });
    assertEquals(record.outcome, "committed", record.reason ?? "");
    await waitFor(() => programsOf(app).length === 2, { what: "both programs" });
    const said = async (): Promise<[number, string[]]> => JSON.parse(await once(port, "/programs"));
    await waitFor(async () => (await said())[1].length === 2, { what: "what they say" });
    const [pid, words] = await said();
    assertEquals([words, programsOf(app).includes(pid)], [["good-child", "good-shell"], true]);
  });
});
