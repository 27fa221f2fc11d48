import { assert, assertEquals, assertMatch } from "@std/assert";
import type { FdReport } from "../../control/types.ts";
import { callControl, descriptors, freePort, type TestApp, waitFor } from "../../testing/mod.ts";
import { builds, Client, startHeld } from "../update/_fixtures.ts";

/** Resources of which live update was told, and some of which it was not; each next build opens the same. */
const USE = `
const mine = live.device.createSession("mine");
const spare = Deno.openSync("spare", { read: true, write: true, create: true });
const pipe = Deno.openSync("fifo", { read: true, write: true });
const zero = Deno.openSync("/dev/zero");
const tcp = Deno.listen({ hostname: "127.0.0.1", port: 0 });
Object.assign(globalThis, { keep: [spare, pipe, zero, tcp, mine] });`;

async function fdsOf(app: TestApp): Promise<FdReport[]> {
  const status = await callControl({ socket: app.socket, path: "/v1/status?fds=1" });
  return (status as { fds: FdReport[] }).fds;
}

/** What stays the same whatever the numbers are: how often something of a class is there. */
function summary(fds: readonly FdReport[]): string[] {
  return fds.map((report) => {
    const { class: kind, what, note, session, token, name, compatible, hint } = report;
    return JSON.stringify([kind, what.replaceAll(/\d+/g, "N"), note, session, token, name, compatible, hint]);
  }).sort();
}

Deno.test("status --fds says what becomes of every descriptor, and an update keeps its word", async () => {
  await using all = builds();
  const before = "await new Deno.Command('sh', { args: ['-c', '[ -p fifo ] || mkfifo fifo'] }).output();";
  const entry = await all.write("first", { use: USE, before });
  await using held = await startHeld(entry, freePort());
  const { app, port } = held;

  const cold = await fdsOf(app);
  const open = descriptors(app.pid);
  // The connection that asked is gone by now, and so may another one be.
  const numbers = new Set(open.map(({ fd }) => fd));
  assertEquals(
    cold.filter(({ fd, note }) => !numbers.has(fd) && note !== "connection to the control socket"),
    [],
  );
  assertEquals(open.filter(({ fd }) => !cold.some((report) => report.fd === fd)), [], "each is told of");

  const of = (name: string | null, kind: string): FdReport[] =>
    cold.filter((report) => report.name === name && report.class === kind);
  for (const name of ["web", "memory", "log"]) {
    const found = of(name, "preserved").filter(({ token }) => token !== null);
    assertEquals(new Set(found.map(({ token }) => token)).size, 1, name);
    const notes = new Set(found.map(({ note }) => note));
    assertEquals(notes, new Set(["held by the session", "the application's own"]), name);
    const inodes = new Set(found.map(({ fd }) => open.find((each) => each.fd === fd)?.link));
    assertEquals(inodes.size, 1, "all of them lead to one file");
  }
  const [connection] = of("web", "preserved").filter(({ token }) => token === null);
  assertEquals([connection?.note, connection?.compatible], ['connection of "web"', "stream-v1"]);
  assertEquals(of("web", "preserved").find(({ backlog }) => backlog !== null)?.backlog, {
    waiting: 0,
    limit: 4096,
  });
  assert(of("@control", "heirloom").length >= 2);
  assertEquals(cold.filter(({ class: kind }) => kind === "inherited").map(({ fd }) => fd).slice(0, 3), [
    0,
    1,
    2,
  ]);

  const unknown = cold.filter(({ class: kind }) => kind === "unknown");
  assertEquals(unknown.map(({ what }) => what.replace(app.dir, "").replace(/:\d+/, "")), [
    "a regular file (/spare)",
    "a FIFO (/fifo)",
    "the device of zeros (/dev/zero)",
    "a listening socket (127.0.0.1)",
  ]);
  assertMatch(unknown[0]?.hint ?? "", /could be carried: live\.inherit \(file-v1\)/);
  assertEquals(unknown[2]?.hint, "no handler: closed at the next update");
  assertMatch(unknown[3]?.hint ?? "", /listener-v1/);
  assertEquals(cold.filter(({ class: kind, hint }) => kind !== "unknown" && hint !== null), []);

  const links = new Map(open.map(({ fd, link }) => [fd, link]));
  await held.commits(await all.write("second", { use: USE, before, label: "v2" }), "v2");
  let warm = await fdsOf(app);
  // The runtime is opened with the snapshot, some time after the start.
  await waitFor(async () => {
    warm = await fdsOf(app);
    return warm.some(({ note }) => note === "runtime of this build");
  }, { what: "the way back to the new build" });
  const ours = (fds: FdReport[]): FdReport[] =>
    fds.filter(({ note, class: kind }) => kind !== "runtime" && note !== "connection to the control socket");
  const [one, two] = [ours(cold), ours(warm)].map((fds) => new Set(summary(fds)));
  assertEquals(two, one, "the same classes after the update");
  const after = new Set(descriptors(app.pid).map(({ link }) => link));
  const socket = links.get(unknown[3]!.fd)!;
  assert(!after.has(socket), "what was unknown was closed");
  assert(after.has(links.get(connection!.fd)!), "the connection went along");

  using second = await Client.open(port);
  await second.text("/");
  const connections = (await fdsOf(app)).filter(({ note }) => note === 'connection of "web"');
  assertEquals(connections.length, 2);

  const shown = await app.cli("status", ["--fds"]);
  assertEquals([shown.code, shown.stderr], [0, ""]);
  assertMatch(shown.stdout, /\n\d+ +unknown +- +- +a FIFO .*closed at the next update/);
  const document = JSON.parse((await app.cli("status", ["--fds", "--json"])).stdout);
  assertEquals(Object.keys(document).at(-1), "fds");
  assertEquals(Object.hasOwn(JSON.parse((await app.cli("status", ["--json"])).stdout), "fds"), false);
});

Deno.test("status --fds knows a session of the application's own", async () => {
  await using all = builds();
  const use = `
const session = live.device.createSession("mine");
const note = Deno.openSync("note", { write: true, create: true });
const { listFds, fdLink } = await import("${new URL("../../sys/mod.ts", import.meta.url).href}");
session.preserveFd(listFds().find((fd) => fdLink(fd).endsWith("/note")), 7n);
Object.assign(globalThis, { note, session });`;
  await using held = await startHeld(await all.write("first", { use }), freePort());
  const found = (await fdsOf(held.app)).filter(({ what }) => what.includes("/note"));
  assertEquals(
    found.map(({ class: kind, session, token, name, note }) => [kind, session, token, name, note]).sort(),
    [
      ["preserved", "mine", "7", null, "held by the session"],
      ["preserved", "mine", "7", null, "the application's own"],
    ],
  );
});

/** One of every kind that has a method of its own, in use. */
const EVERY_KIND = `
const ignore = () => {};
const pipe = await live.pipe("pipe", { data: ignore });
pipe.write(new TextEncoder().encode("x"));
await live.pipe("fifo", { path: "fifo", create: true, data: ignore });
const bell = await live.eventfd("bell", { signalled: ignore });
await live.timer("timer", { expired: ignore });
(await live.watch("watch", { event: ignore })).add(".", ["create"]);
const loop = await live.epoll("loop", { ready: ignore });
if (loop.entries().length === 0) loop.add(bell.fd, ["in"], 1n);
await live.directory("directory", ".");
(await live.shm("shm", "/heirloom-fds-" + Deno.pid, { size: 64 })).unlink();
await live.terminal("terminal", { command: ["cat"], data: ignore });
await live.spawn("child", { command: ["cat"], stdin: "piped", stdout: ignore, stderr: ignore });
await live.datagram("datagram", { hostname: "127.0.0.1", port: 0 }, { message: ignore });`;

Deno.test("status --fds knows everything that the kinds of live have open, before and after an update", async () => {
  await using all = builds();
  await using held = await startHeld(await all.write("first", { use: EVERY_KIND }), freePort());
  const unknown = async (): Promise<FdReport[]> =>
    (await fdsOf(held.app)).filter(({ class: kind }) => kind === "unknown");
  assertEquals(await unknown(), []);
  await held.commits(await all.write("second", { use: EVERY_KIND, label: "v2" }), "v2");
  assertEquals(await unknown(), []);
});
