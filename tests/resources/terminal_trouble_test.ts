import { assert, assertEquals, assertMatch } from "@std/assert";

import { children, freePort, type UpdateRecord, waitFor } from "../../testing/mod.ts";
import { builds, LIBRARY, onlyForReal, READY_IN_CHECK, runCommand, startHeld } from "../update/_fixtures.ts";
import { holdings, untilGone } from "./_child_app.ts";
import { CATCHES, running, type Stage } from "./_kit.ts";
import { PATIENCE_MS, shellOf, TERMINAL_ROUTES, terminalCode, type, untilSaid } from "./_terminal_app.ts";

const USE = terminalCode(["sh", "-i"]);

const ROUTES = `${TERMINAL_ROUTES}
  if (path === "/twice") return await caught(() => live.terminal("shell"));
  if (path === "/other") return await caught(() => live.terminal("memory"));
  if (path === "/missing") return await caught(() => live.terminal("x", { command: ["no-such-program"] }));
  if (path === "/relative") return await caught(() => live.terminal("x", { command: ["sh"], cwd: "/no/such/folder" }));
  if (path === "/empty") return await caught(() => live.terminal("x", { command: [] }));
  if (path === "/size") return await caught(() => live.terminal("x", { columns: 0 }));
  if (path === "/close") { await shell.close(); return new Response(String(shell.fd)); }
  if (path === "/again") {
    const again = await live.terminal("shell", { command: ["sh", "-c", "read go; exit 3"], exit: (it) => void it.close() });
    const { pid } = again;
    again.write("\\r");
    return Response.json(pid);
  }`;

interface Scene extends Stage, AsyncDisposable {
  /** Updates to a build and gives outcome and reason. */
  update(
    parts: { use?: string; routes?: string; ready?: string; label: string },
  ): Promise<[UpdateRecord["outcome"], string | null]>;
  /** An update that must commit, after which the shell answers. */
  commits(label: string): Promise<void>;
}

async function scene(): Promise<Scene> {
  const parts = { before: CATCHES, use: USE, routes: ROUTES };
  const service = await running(parts);
  const { app, port, ask } = service;
  const it: Scene = {
    app,
    port,
    ask,
    async update(changed) {
      const { outcome, reason } = await service.upgrade({ ...parts, ...changed });
      return [outcome, reason];
    },
    async commits(label) {
      assertEquals(await it.update({ label }), ["committed", null], app.output().stderr);
      assertEquals(await ask("/"), label);
    },
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
  return it;
}

/** The shell does what it is told. */
async function answers(stage: Stage, marker: string): Promise<void> {
  await type(stage, `echo ${marker}-$((1+1))\r`);
  await untilSaid(stage, `${marker}-2`);
}

/** Children of the service that are no runtime of Deno. */
function programs({ app }: Stage): string[] {
  return children(app.pid).filter(({ command }) => command !== "deno").map(({ command, state }) =>
    `${command} ${state === "Z" ? "Z" : "S"}`
  );
}

Deno.test("a shell that ends during the pause: its last words are read, its end is told, and it is reaped", async () => {
  await using it = await scene();
  const { pid, path } = await shellOf(it);
  // Typed and carried out while the tap is closed; the commit comes when the shell has ended.
  const ready = `${READY_IN_CHECK}
shell.write("echo last-$((40+2)); exit\\r");
while (!/\\) [ZX] /.test(await Deno.readTextFile("/proc/${pid}/stat"))) await new Promise((r) => setTimeout(r, 5));
await live.ready();`;
  assertEquals(await it.update({ label: "v2", ready }), ["committed", null]);
  await untilSaid(it, "last-42");
  await waitFor(async () => (await shellOf(it)).ended === 1, { what: "the end", timeoutMs: PATIENCE_MS });
  await untilGone(pid);
  const shell = await shellOf(it);
  assertEquals([shell.pid, shell.path], [null as unknown as number, path]);
  // What is over is carried on until it is closed.
  await it.commits("v3");
  await waitFor(async () => (await shellOf(it)).ended === 1, { what: "the end", timeoutMs: PATIENCE_MS });
  assertEquals(await it.ask("/close"), "-1");
  const again = Number(await it.ask("/again"));
  assert(again > 0);
  await untilGone(again);
  await it.commits("v4");
  // The name was free, so this build has a new shell under it.
  await answers(it, "fresh");
});

Deno.test("a shell that ends in a build which is rolled back is told to the build that comes back", async () => {
  await using it = await scene();
  const { pid } = await shellOf(it);
  const ready = `${READY_IN_CHECK}
shell.write("echo last-$((40+2)); exit\\r");
while (!/\\) [ZX] /.test(await Deno.readTextFile("/proc/${pid}/stat"))) await new Promise((r) => setTimeout(r, 5));
throw new Error("no luck");`;
  const [outcome] = await it.update({ label: "v2", ready });
  assertEquals(outcome, "rolled-back");
  await untilSaid(it, "last-42");
  await untilGone(pid);
  assertEquals((await shellOf(it)).ended, 1);
  await it.commits("v3");
});

Deno.test("a terminal that is asked for in the wrong way is refused by name, and the next update commits", async () => {
  await using it = await scene();
  const before = programs(it);
  assertMatch(await it.ask("/twice"), /^EEXIST: Cannot take "shell" as a terminal: it is in use$/);
  assertMatch(await it.ask("/other"), /^EEXIST: .*"memory"/);
  assertMatch(await it.ask("/missing"), /^ENOENT: Cannot execve "no-such-program": ENOENT/);
  assertMatch(await it.ask("/relative"), /^ENOENT: Cannot chdir "\/no\/such\/folder": ENOENT/);
  assertMatch(await it.ask("/empty"), /^TypeError: Cannot start "x": there is no command/);
  assertMatch(await it.ask("/size"), /^RangeError: Cannot use 0 columns/);
  assertEquals(programs(it), before);
  const { fd } = await shellOf(it);
  for (const name of ["x", "memory"]) {
    const files = (await it.app.sessions()).flatMap(({ files }) => files);
    assertEquals(
      files.filter((file) => file.name === name).map((file) => file.compatible),
      name === "x" ? [] : ["memfd-v1"],
    );
  }
  assert(fd > 2);
  await it.commits("v2");
  await answers(it, "still");
});

Deno.test("a build that takes a terminal for something else, or something else for one, is refused; then a good one commits", async () => {
  await using it = await scene();
  const segment = 'await live.segment("shell", { size: 10 });';
  const noRoutes = { routes: "" };
  const wrong: [string, string, RegExp][] = [
    ["segment", segment, /"shell" as a segment: it was handed over as a terminal/],
    ["terminal", terminalCode(["sh"], "log").replace("const shell", "const shell"), /"log" as a terminal/],
  ];
  for (const [label, use, reason] of wrong) {
    const [outcome, why] = await it.update({ label, use, ...noRoutes });
    assertEquals(outcome, "refused");
    assertMatch(why ?? "", reason);
  }
  const [outcome, why] = await it.update({
    label: "missing",
    use: `${USE}\nawait live.terminal("second", { command: ["no-such-program"] });`,
  });
  assertEquals([outcome, /Cannot execve "no-such-program"/.test(why ?? "")], ["refused", true], why ?? "");
  await it.commits("v2");
  await answers(it, "still");
});

Deno.test("a build that fails leaves no program behind, and one that commits starts it", async () => {
  await using it = await scene();
  const before = programs(it);
  assertEquals(before, ["sh S"]);
  const use =
    `${USE}\nconst second = await live.terminal("second", { command: ["sleep", "1000"], data() {} });`;
  const [outcome] = await it.update({
    label: "v2",
    use,
    ready: `${READY_IN_CHECK}throw new Error(\`pid \${second.pid}\`);`,
  });
  assertEquals(outcome, "rolled-back");
  assertEquals(programs(it), before);
  await answers(it, "back");
  assertEquals(await it.update({ label: "v3", use }), ["committed", null]);
  await waitFor(() => programs(it).length === 2, { what: "the second program", timeoutMs: PATIENCE_MS });
  assertEquals(programs(it).sort(), ["sh S", "sleep S"]);
  await answers(it, "both");
  // The next build does not claim the second one: it is hung up, and leaves no zombie.
  await it.commits("v4");
  await waitFor(() => programs(it).join() === "sh S", { what: "the hang-up", timeoutMs: PATIENCE_MS });
  assertEquals(holdings(it.app).pidfds, 2);
  await answers(it, "one");
});

Deno.test("a program that goes on without its terminal is reaped when it ends, updates later", async () => {
  await using it = await scene();
  const use = `${USE}
const tapeOfDeaf = await live.file("deaf-tape", "deaf.log", { append: true, create: true });
const deaf = await live.terminal("deaf", {
  command: ["sh", "-c", "trap '' HUP; echo $$; exec sleep 1000"],
  data: (bytes) => tapeOfDeaf.write(bytes),
});`;
  assertEquals(await it.update({ label: "v2", use }), ["committed", null]);
  const said = (): string => Deno.readTextFileSync(`${it.app.dir}/deaf.log`);
  await waitFor(() => said().endsWith("\n"), { what: "its PID", timeoutMs: PATIENCE_MS });
  const pid = Number(said());
  await it.commits("v3");
  const failing = `${READY_IN_CHECK}throw new Error("no luck");`;
  assertEquals((await it.update({ label: "v4", ready: failing }))[0], "rolled-back");
  await it.commits("v5");
  assertEquals(programs(it).sort(), ["sh S", "sleep S"]);
  // Both programs, and the duplicates that are held for the next update.
  await waitFor(() => holdings(it.app).pidfds === 4, { what: "both to be held", timeoutMs: PATIENCE_MS });
  Deno.kill(pid, "SIGKILL");
  await untilGone(pid);
  await waitFor(() => holdings(it.app).pidfds === 2, { what: "one to be held", timeoutMs: PATIENCE_MS });
  assertEquals(programs(it), ["sh S"]);
  await it.commits("v6");
  await answers(it, "one");
});

Deno.test("with live update off a terminal works as ever", async () => {
  await using all = builds();
  const entry = await all.write(
    "off",
    `import { open } from "${LIBRARY}";
const live = await open({ enabled: false });
let said = "";
const decoder = new TextDecoder();
const shell = await live.terminal("shell", {
  command: ["sh", "-c", "read line; echo \\"<$line>\\"; tty"],
  data: (bytes) => void (said += decoder.decode(bytes)),
  exit: async () => {
    const { path, pid } = shell;
    await shell.close();
    console.log(JSON.stringify({ said, path, pid, after: [shell.fd, shell.path, shell.write("x")] }));
    Deno.exit(0);
  },
});
shell.write("typed\\r");
await live.ready();
`,
  );
  const { code, stdout, stderr } = await runCommand([Deno.execPath(), "run", "-A", entry]);
  assertEquals(code, 0, stderr);
  const { said, path, pid, after } = JSON.parse(stdout);
  assertEquals(said, `typed\r\n<typed>\r\n${path}\r\n`);
  assertEquals([pid, after], [null, [-1, "/dev/null", 0]]);
});

const OPENS = `import { OwnedFd } from "LIBRARY";
const libc = Deno.dlopen("libc.so.6", {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  syscall: { parameters: ["i64", "u64", "buffer"], result: "i64" },
});
const openPath = (path: string) =>
  OwnedFd.adopt(libc.symbols.open(new TextEncoder().encode(path + "\\0"), 0o2000000));
const ring = () => OwnedFd.adopt(Number(libc.symbols.syscall(425n, 4n, new Uint8Array(120))));
`;

/** Can this kernel make an io_uring for us? */
function hasRings(): boolean {
  const libc = Deno.dlopen("libc.so.6", {
    syscall: { parameters: ["i64", "u64", "buffer"], result: "i64" },
    close: { parameters: ["i32"], result: "i32" },
  });
  const fd = Number(libc.symbols.syscall(425n, 4n, new Uint8Array(120)));
  if (fd >= 0) libc.symbols.close(fd);
  libc.close();
  if (fd < 0) console.log("ignored: this kernel gives no io_uring");
  return fd >= 0;
}

const RING = hasRings();

Deno.test("an application that inherits what cannot be carried is told what it is, and why; then a good build commits", async (t) => {
  await using all = builds();
  const port = freePort();
  const before = OPENS.replace("LIBRARY", LIBRARY) + CATCHES;
  const routes = `
  if (path === "/null") return await caught(() => live.inherit("bad", () => openPath("/dev/null")));
  if (path === "/ring") return await caught(() => live.inherit("bad", ring));`;
  await using held = await startHeld(await all.write("v1", { before, routes }), port);
  const no =
    "no handler accepts the null device \\(/dev/null\\): it has no state; open it again in the new build";
  assertMatch(await held.client.text("/null"), new RegExp(`^ENOENT: Cannot preserve fd \\d+ .*: ${no}$`));
  await t.step({
    name: "an io_uring",
    ignore: !RING,
    async fn() {
      assertMatch(
        await held.client.text("/ring"),
        /: no handler accepts an io_uring \(anon_inode:\[io_uring\]\): its rings are mapped by this process only; set it up again in the new build$/,
      );
    },
  });
  const bad = await all.write("bad", {
    before,
    use: onlyForReal('await live.inherit("bad", () => openPath("/dev/null"));'),
  });
  const record = await held.app.upgrade({ build: bad });
  assertEquals(record.outcome, "rolled-back");
  assertMatch(record.reason ?? "", new RegExp(no));
  await held.holds("v1", 0);
  await held.commits(await all.write("v2", { before, routes, label: "v2" }), "v2");
  assertMatch(await held.client.text("/null"), /^ENOENT: /);
});
