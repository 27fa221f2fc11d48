import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  assertNothingLost,
  type CheckReport,
  ConnectionFault,
  freePort,
  snapshot,
} from "../../testing/mod.ts";
import { type AppParts, builds, Client, LIBRARY, once, startHeld } from "./_fixtures.ts";

/** What a build saw in the check: it writes one document to standard error. */
function seen(report: CheckReport): Record<string, unknown> {
  assertEquals([report.ok, report.reason], [true, null], report.stderr);
  const line = report.stderr.split("\n").find((line) => line.startsWith("{"));
  return JSON.parse(line ?? "{}");
}

/** A build that tells what an expression gives, after it has its resources. */
function telling(use: string, expression: string): AppParts {
  return { label: "v2", use: `${use}\nconsole.error(JSON.stringify(${expression}));` };
}

Deno.test("live.checking is true in the check and nowhere else, and the environment says it before open()", async () => {
  await using all = builds();
  const before = 'const early = Deno.env.has("HEIRLOOM_PREFLIGHT");';
  const routes = '  if (path === "/checking") return Response.json([live.checking, early]);';
  const use =
    "console.error(JSON.stringify({ checking: live.checking, early, generation: live.generation }));";
  const entry = await all.write("first", { before, routes, use });
  await using held = await startHeld(entry, freePort());
  assertEquals(JSON.parse(await held.client.text("/checking")), [false, false]);
  assertEquals(seen(await held.app.check()), { checking: true, early: true, generation: 1 });
  await held.commits(entry, "v1");
  assertEquals(JSON.parse(await held.client.text("/checking")), [false, false]);
  assertEquals(seen(await held.app.check()), { checking: true, early: true, generation: 2 });
});

Deno.test("segment: memory of the build's own; what it writes there is nowhere", async () => {
  await using all = builds();
  await using held = await startHeld(await all.write("first"), freePort());
  const build = await all.write(
    "second",
    telling(
      `const found = memory.bytes.every((byte) => byte === 0);
memory.bytes.fill(7);
const fresh = await live.segment("fresh", { size: 10 });
fresh.bytes.fill(8);`,
      "{ found, size: memory.size, seven: memory.bytes.at(-1), fresh: fresh.bytes.length }",
    ),
  );
  const hash = await held.client.text("/hash");
  assertEquals(seen(await held.app.check({ build })), { found: true, size: 65_536, seven: 7, fresh: 10 });
  assertEquals(await held.client.text("/hash"), hash);
  await held.holds("v1", 0);
});

Deno.test("file: reading is real, writing goes nowhere, and nothing is created or emptied", async () => {
  await using all = builds();
  await using held = await startHeld(await all.write("first"), freePort());
  const { dir } = held.app;
  await Deno.writeTextFile(`${dir}/input`, "input");
  await Deno.writeTextFile(`${dir}/full`, "full");
  const build = await all.write(
    "second",
    telling(
      `for (let i = 0; i < 100; i++) log.write("not in the real log\\n");
log.reopen(); log.write("nor this\\n");
const input = await live.file("input", "input");
const bytes = new Uint8Array(9);
const text = new TextDecoder().decode(bytes.subarray(0, input.read(bytes)));
const none = await live.file("none", "none", { create: true, write: true });
none.write("no");
const full = await live.file("full", "full", { truncate: true });
full.write("empty");
const missing = await live.file("missing", "missing").catch((error) => error.code);
none.close();`,
      "{ text, missing, log: Deno.readLinkSync(`/proc/self/fd/${log.fd}`) }",
    ),
  );
  const before = await Deno.stat(`${dir}/app.log`);
  const expected = { text: "input", missing: "ENOENT", log: "/dev/null" };
  assertEquals(seen(await held.app.check({ build })), expected);
  assertEquals(await Deno.stat(`${dir}/app.log`).then(({ size, mtime, ino }) => [size, mtime, ino]), [
    before.size,
    before.mtime,
    before.ino,
  ]);
  assertEquals(await Deno.readTextFile(`${dir}/full`), "full");
  await assertRejects(() => Deno.stat(`${dir}/none`), Deno.errors.NotFound);
  await held.holds("v1", 0);
});

Deno.test("serve and server: nothing is bound, nothing is accepted, the control socket is left alone", async () => {
  await using all = builds();
  const [port, extra] = [freePort(), freePort()];
  await using held = await startHeld(await all.write("first"), port);
  const build = await all.write("second", {
    label: "v2",
    before: 'import { createServer } from "node:http";',
    use: `const plain = createServer(() => {});
const one = await live.server("plain", plain, { hostname: "127.0.0.1", port: ${extra} });
const two = await live.serve("unix", { path: "${all.path}/app.sock" }, () => new Response(""));
const taken = await live.serve("plain", { port: 0 }, () => new Response("")).catch((error) => error.code);`,
    ready:
      `const tcp = await Deno.connect({ hostname: "127.0.0.1", port: ${extra} }).then(() => "listens", (error) => error.name);
const unix = await Deno.stat("${all.path}/app.sock").then(() => "is there", (error) => error.name);
console.error(JSON.stringify({ tcp, unix, taken, listening: plain.listening, port: one.address.port, path: two.address.path }));
await live.ready();`,
  });
  const control = await Deno.stat(held.app.socket);
  assertEquals(seen(await held.app.check({ build })), {
    tcp: "ConnectionRefused",
    unix: "NotFound",
    taken: "EEXIST",
    listening: false,
    port: extra,
    path: `${all.path}/app.sock`,
  });
  const refused = await assertRejects(() => Client.open(extra), ConnectionFault);
  assertEquals(refused.reason, "refused");
  assertEquals((await Deno.stat(held.app.socket)).ino, control.ino);
  assertEquals(await once(port, "/"), "v1");
  await held.holds("v1", 0);
});

Deno.test("inherit: create is never called, neither for what is handed over nor for what is new", async () => {
  await using all = builds();
  const importing = `import { createMemfd, isOpenFd } from "${LIBRARY.replace("mod.ts", "sys/mod.ts")}";`;
  const first = await all.write("first", {
    before: importing,
    use: 'await live.inherit("old", () => createMemfd("old"));',
  });
  await using held = await startHeld(first, freePort());
  const build = await all.write("second", {
    before: importing,
    ...telling(
      `let called = 0;
const old = await live.inherit("old", () => { called++; throw new Error("no"); });
const fresh = await live.inherit("fresh", () => { called++; throw new Error("no"); });
const twice = await live.inherit("fresh", () => { called++; }).catch((error) => error.code);
const kind = await live.inherit("memory2", () => { called++; }).then(() => "made", (error) => error.code);`,
      "{ called, twice, kind, open: [isOpenFd(old.fd), isOpenFd(fresh.fd)], same: old.fd === fresh.fd }",
    ),
  });
  const report = await held.app.check({ build });
  assertEquals(seen(report), { called: 0, twice: "EEXIST", kind: "made", open: [true, true], same: false });
  assertEquals(report.tokens.find(({ name }) => name === "old")?.verdict, "ok");
  assertEquals(report.tokens.find(({ name }) => name === "fresh"), undefined, "what is new is no token");
});

Deno.test("state: load runs on a copy, save does not run, and the service's own value stays", async () => {
  await using all = builds();
  const first = await all.write("first", {
    use: `const things = { list: [1, 2, 3], at: new Uint8Array([9]) };
live.state("things", { version: 4, save: () => things, load: () => {} });`,
    routes: '  if (path === "/things") return Response.json([things.list, [...things.at]]);',
  });
  await using held = await startHeld(first, freePort());
  const build = await all.write(
    "second",
    telling(
      `let saved = 0;
let loaded = null;
live.state("things", {
  version: 5,
  save: () => { saved++; return 0; },
  load(value, version) { loaded = [JSON.stringify(value.list), version]; value.list.push("spoilt"); value.at[0] = 0; },
});
live.state("fresh", { version: 1, save: () => 0, load: () => { loaded = "never"; } });`,
      "{ loaded, saved, lines }",
    ),
  );
  const report = await held.app.check({ build });
  assertEquals(seen(report), { loaded: ["[1,2,3]", 4], saved: 0, lines: 1 });
  assertEquals(report.states.map(({ name, version, verdict }) => [name, version, verdict]).sort(), [
    ["lines", 1, "ok"],
    ["things", 4, "needs migration"],
  ]);
  assertEquals(JSON.parse(await held.client.text("/things")), [[1, 2, 3], [9]]);
});

Deno.test("what only a service can do is refused in the check, and what follows ready() does not happen", async () => {
  await using all = builds();
  await using held = await startHeld(await all.write("first"), freePort());
  const before = await snapshot(held.app);
  const build = await all.write("second", {
    use: `live.on("quiesce", () => {});
const upgrade = await live.upgrade({ build: "/nowhere" }).catch((error) => error.code);`,
    ready: `const { state } = await live.status();
console.error(JSON.stringify({ upgrade, state, args: Deno.args.length, cwd: Deno.cwd() }));
await live.ready();
console.error("after ready()");
Deno.writeTextFileSync("${all.path}/after", "");`,
  });
  const report = await held.app.check({ build });
  const { state, ...rest } = seen(report);
  assertEquals(rest, { upgrade: "EBUSY", args: 1, cwd: held.app.dir });
  assertMatch(String(state), /^(starting|probation)$/);
  assert(!report.stderr.includes("after ready()"), report.stderr);
  await assertRejects(() => Deno.stat(`${all.path}/after`), Deno.errors.NotFound);
  assertNothingLost(before, await snapshot(held.app), { updates: 0 });
  await held.holds("v1", 0);
});

Deno.test("what was refused in the check may be asked for in another way, as for real", async () => {
  await using all = builds();
  const use = 'const timer = await live.timer("timer", { clock: "boottime" });';
  await using held = await startHeld(await all.write("first", { use }), freePort());
  const other = `const codes = [];
const refused = async (take) => { try { await take(); } catch (error) { codes.push(error.code); } };
await refused(() => live.timer("timer", { clock: "realtime" }));
await refused(() => live.spawn("child", { command: ["/does/not/exist"] }));
const child = await live.spawn("child", { command: ["cat"], stdin: "piped" });
${use}`;
  const build = await all.write("second", telling(other, "{ codes, clock: timer.clock }"));
  assertEquals(seen(await held.app.check({ build })), { codes: ["EEXIST", "ENOENT"], clock: "boottime" });
  await held.commits(build, "v2");
});
