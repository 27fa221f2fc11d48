import { assert, assertEquals } from "@std/assert";
import { type TestApp, type UpdateRecord, waitFor } from "../../testing/mod.ts";
import {
  childApp,
  type ChildAppOptions,
  type Children,
  childrenOf,
  exists,
  holdings,
  stateOf,
  told,
  toldOf,
} from "./_child_app.ts";
import { running, textOf } from "./_kit.ts";

/** An application and what a test does with it. */
interface Scene {
  app: TestApp;
  dir: string;
  ask(path: string): Promise<string>;
  children(): Promise<Children>;
  pid(name: string): Promise<number>;
  /** Updates, and asserts how that ends. */
  update(outcome: UpdateRecord["outcome"], options: ChildAppOptions): Promise<UpdateRecord>;
}

async function play(options: ChildAppOptions, body: (scene: Scene) => Promise<void>): Promise<void> {
  await using service = await running(childApp(options));
  const { app, ask } = service;
  const children = async (): Promise<Children> => JSON.parse(await ask("/children"));
  await body({
    app,
    dir: app.dir,
    ask,
    children,
    pid: async (name) => (await children())[name]?.pid ?? -1,
    update: (outcome, next) => service.ends(outcome, childApp(next)),
  });
}

const SLEEPS = "exec sleep 600";

Deno.test("children that a build does not use go on, and are reaped when they end, updates later", async () => {
  const more = `await start("reader", "cat; exit 3", { stdin: "piped" });`;
  const children = { sleeper: SLEEPS, writer: "while :; do echo x; sleep 0.01; done" };
  await play({ label: "v1", children, more }, async (s) => {
    const [sleeper, reading, writer] = [await s.pid("sleeper"), await s.pid("reader"), await s.pid("writer")];
    const { dropped } = await s.update("committed", { label: "v2", children: {} });
    assertEquals([...dropped].sort(), ["reader", "sleeper", "writer"]);
    // Who reads finds the end, who writes finds nobody.
    await waitFor(() => stateOf(reading) === null && stateOf(writer) === null, { what: "two to be reaped" });
    assertEquals(stateOf(sleeper), "S");
    await s.update("committed", { label: "v3", children: {} });
    await s.update("rolled-back", { label: "v4", children: {}, ready: 'throw new Error("no luck");' });
    await s.update("recovered", { label: "v5", children: {}, ready: 'Deno.kill(Deno.pid, "SIGKILL");' });
    await s.update("committed", { label: "v6", children: {} });
    // The one in use, and the duplicate that is held for the next update.
    assertEquals([stateOf(sleeper), holdings(s.app).pidfds], ["S", 2]);
    Deno.kill(sleeper, "SIGKILL");
    await waitFor(() => stateOf(sleeper) === null, { what: "the last to be reaped" });
    await waitFor(() => holdings(s.app).pidfds === 0, { what: "no process to be held" });
    assertEquals(told(s.dir).filter(({ end }) => end !== undefined), []);
    await s.update("committed", { label: "v7", children: {} });
    assertEquals(childrenOf(s.app.pid), []);
  });
});

Deno.test("a child that is dropped is still ours, and no zombie, while the service keeps its PID", async () => {
  await play({ label: "v1", children: { sleeper: SLEEPS } }, async (s) => {
    const pid = await s.pid("sleeper");
    await s.update("committed", { label: "v2", children: {} });
    await s.update("committed", { label: "v3", children: {} });
    assertEquals(childrenOf(s.app.pid), [pid]);
    Deno.kill(pid, "SIGTERM");
    await waitFor(() => childrenOf(s.app.pid).length === 0, { what: "it to be reaped" });
  });
});

Deno.test("keep() carries a child on for the build after, with its output and its end", async () => {
  const script = "echo one; while ! test -e go; do sleep 0.01; done; echo two; exit 7";
  await play({ label: "v1", children: { worker: script } }, async (s) => {
    const pid = await s.pid("worker");
    await waitFor(() => toldOf(s.dir, "worker").out === "one\n", { what: "its first line" });
    await s.update("committed", { label: "v2", children: { worker: null } });
    await Deno.writeTextFile(`${s.dir}/go`, "");
    await waitFor(() => stateOf(pid) === "Z", { what: "its end" });
    await s.update("committed", { label: "v3", children: { worker: script } });
    await waitFor(() => toldOf(s.dir, "worker").ends.length > 0, { what: "its end to be told" });
    assertEquals(toldOf(s.dir, "worker"), { out: "one\ntwo\n", ends: [["v3", false, 7, null]] });
    assertEquals(childrenOf(s.app.pid), []);
  });
});

Deno.test("a build that takes over starts a new child at the commit, and one that fails has started nothing", async () => {
  const more = `
const early = await start("late", "read line; echo got $line; exec sleep 600", { stdin: "piped" });
if (!live.checking) tell({ name: "early", out: [early.pid, early.running, early.kill(), early.write(new TextEncoder().encode("hello\\n"))].join() });
`;
  await play({ label: "v1", children: {} }, async (s) => {
    await s.update("rolled-back", { label: "v2", children: {}, more, ready: 'throw new Error("no luck");' });
    await s.update("recovered", {
      label: "v3",
      children: {},
      more,
      ready: 'Deno.kill(Deno.pid, "SIGKILL");',
    });
    assertEquals([childrenOf(s.app.pid), toldOf(s.dir, "late").out], [[], ""]);
    await s.update("committed", { label: "v4", children: {}, more });
    await waitFor(() => toldOf(s.dir, "late").out === "got hello\n", { what: "its output" });
    assertEquals(toldOf(s.dir, "early").out, "0,true,false,6".repeat(3));
    const pid = await s.pid("late");
    assertEquals(childrenOf(s.app.pid), [pid]);
    await s.update("committed", { label: "v5", children: {}, more });
    assertEquals(await s.pid("late"), pid);
  });
});

Deno.test("a build with a command that is not there is refused; one whose start fails at the commit is told so", async () => {
  await play({ label: "v1", children: { worker: SLEEPS } }, async (s) => {
    const pid = await s.pid("worker");
    const children = { worker: SLEEPS };
    // In a PATH through a directory of somebody else's, what is not found is EACCES (execvp(3)).
    const bad = (command: string) =>
      `await start("bad", "", { command: [${command}], env: { PATH: "/usr/bin:/bin" }, exit: ({ code, error }) => tell({ name: "bad", out: code + " " + error?.code }) });`;
    const { reason } = await s.update("refused", { label: "v2", children, more: bad('"no-such-program"') });
    assert(reason?.includes("ENOENT"), reason ?? "");
    await s.update("refused", { label: "v3", children, more: `await start("memory", "true");` });
    await s.update("refused", {
      label: "v4",
      children: {},
      more: `await live.segment("worker", { size: 1 });`,
    });
    // A script whose interpreter is not there looks like a program until it is started.
    await Deno.writeTextFile(`${s.dir}/odd`, "#!/does/not/exist\n", { mode: 0o755 });
    await s.update("committed", { label: "v5", children, more: bad(JSON.stringify(`${s.dir}/odd`)) });
    await waitFor(() => toldOf(s.dir, "bad").out !== "", { what: "it to be told" });
    assertEquals(toldOf(s.dir, "bad").out, "null ENOENT");
    assertEquals([await s.pid("worker"), childrenOf(s.app.pid)], [pid, [pid]]);
    await s.update("committed", { label: "v6", children });
    assertEquals(await s.pid("worker"), pid);
  });
});

Deno.test("nobody waits for a child that ignores everything", async () => {
  const deaf = "trap '' TERM INT HUP PIPE; exec >&- 2>&- <&-; kill -STOP $$; exit 5";
  await play({ label: "v1", children: { deaf } }, async (s) => {
    const pid = await s.pid("deaf");
    await waitFor(() => stateOf(pid) === "T", { what: "it to stop" });
    for (const label of ["v2", "v3"]) {
      await s.update("committed", { label, children: { deaf } });
      assertEquals([await s.pid("deaf"), stateOf(pid)], [pid, "T"]);
    }
    Deno.kill(pid, "SIGCONT");
    await waitFor(() => toldOf(s.dir, "deaf").ends.length === 1, { what: "its end" });
    assertEquals(toldOf(s.dir, "deaf").ends, [["v3", false, 5, null]]);
  });
});

Deno.test("a child that floods its output waits during the pause, and no byte is lost or repeated", async () => {
  const more = `
let flood = { last: 0, rest: "", wrong: 0 };
live.state("flood", { version: 1, save: () => flood, load: (value) => void (flood = value as typeof flood) });
const decoder = new TextDecoder();
await start("flood", "", {
  command: ["awk", "BEGIN { for (;;) print ++i }"],
  stdout(bytes) {
    const lines = (flood.rest + decoder.decode(bytes)).split("\\n");
    flood.rest = lines.pop() ?? "";
    for (const line of lines) if (Number(line) !== ++flood.last) flood.wrong++;
  },
});
`;
  const routes = `if (path === "/flood") return Response.json([flood.last, flood.wrong]);`;
  const ready = 'throw new Error("no luck");';
  await play({ label: "v1", children: {}, more, routes }, async (s) => {
    const state = async (): Promise<[number, number]> => JSON.parse(await s.ask("/flood"));
    const pid = await s.pid("flood");
    for (const label of ["v2", "v3", "v4"]) {
      const before = await state();
      const changes = label === "v3" ? { ready } : {};
      await s.update(label === "v3" ? "rolled-back" : "committed", {
        label,
        children: {},
        more,
        routes,
        ...changes,
      });
      await waitFor(async () => (await state())[0] > before[0] + 100_000, { what: "more of the flood" });
      assertEquals([(await state())[1], await s.pid("flood")], [0, pid]);
    }
  });
});

Deno.test("a pipe that outlives the child is read by the next build, which does not tell the end again", async () => {
  const script = "(while ! test -e late; do sleep 0.01; done; echo late) & echo early; exit 4";
  await play({ label: "v1", children: { parent: script } }, async (s) => {
    await waitFor(() => toldOf(s.dir, "parent").ends.length === 1, { what: "its end" });
    for (
      const [outcome, ready] of [
        ["committed", "await live.ready();"],
        ["rolled-back", 'throw new Error("no luck");'],
        ["recovered", 'Deno.kill(Deno.pid, "SIGKILL");'],
      ] as const
    ) {
      await s.update(outcome, { label: `v2-${outcome}`, children: { parent: script }, ready });
      const { parent } = await s.children();
      assertEquals([parent?.isNew, parent?.running, parent?.status?.code], [false, false, 4]);
    }
    assertEquals(toldOf(s.dir, "parent"), { out: "early\n", ends: [["v1", false, 4, null]] });
    await Deno.writeTextFile(`${s.dir}/late`, "");
    await waitFor(() => toldOf(s.dir, "parent").out === "early\nlate\n", { what: "the rest" });
    await waitFor(() => holdings(s.app).pidfds === 0, { what: "nothing to be held" });
    // Its name is free: the next build starts anew.
    await s.update("committed", { label: "v5", children: { parent: "exit 8" } });
    await waitFor(() => toldOf(s.dir, "parent").ends.length === 2, { what: "another end" });
    assertEquals(toldOf(s.dir, "parent").ends.at(-1), ["v5", false, 8, null]);
  });
});

Deno.test("in a check a child is a stand-in that starts nothing", async () => {
  const more = `
if (live.checking) {
  const [one, two] = [children.get("worker")!, await start("other", "touch started")];
  const all = [one, two].map((child) =>
    [child.pid, child.isNew, child.running, child.status, child.write(new Uint8Array(3)), child.kill("SIGKILL"), child.closeInput()]);
  Deno.writeTextFileSync("checked", JSON.stringify(all));
  await two.close();
}
`;
  await play({ label: "v1", children: { worker: SLEEPS } }, async (s) => {
    const pid = await s.pid("worker");
    await s.update("committed", { label: "v2", children: { worker: SLEEPS }, more });
    assertEquals(JSON.parse(textOf(`${s.dir}/checked`)), [
      [0, false, true, null, 3, true, null],
      [0, true, true, null, 3, true, null],
    ]);
    assertEquals([exists(`${s.dir}/started`), await s.pid("worker"), stateOf(pid)], [false, pid, "S"]);
  });
});
