import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { freePort, heirloomRoot, tempDir, waitFor } from "../../testing/mod.ts";
import { builds, Client, once, runCommand, startHeld } from "../update/_fixtures.ts";

const CLI = [Deno.execPath(), "run", "-A", `${heirloomRoot()}/main.ts`];

const RECORD = [
  "id",
  "outcome",
  "reason",
  "from",
  "to",
  "generation",
  "pid",
  "guardian",
  "blackout_ms",
  "stall_ms",
  "phases",
  "files",
  "fds",
  "segment_bytes",
  "closed",
  "dropped",
  "warnings",
].sort();
const BUILD = ["id", "path", "version"];

const keys = (value: object): string[] => Object.keys(value).sort();

/** One document and nothing else, as a program that reads it expects. */
function document(stdout: string): Record<string, unknown> {
  assertEquals(stdout.trimEnd().split("\n").length, 1, stdout);
  return JSON.parse(stdout);
}

function assertRecord(record: Record<string, unknown>): void {
  assertEquals(keys(record), RECORD);
  assertEquals([keys(record["from"] as object), keys(record["to"] as object)], [BUILD, BUILD]);
  assertMatch((record["from"] as { id: string }).id, /^[0-9a-f]{12}$/);
  const phases = record["phases"] as { name: string; ms: number }[];
  assert(
    phases.length > 0 && phases.every(({ ms }) => Number.isFinite(ms) && ms >= 0),
    JSON.stringify(phases),
  );
  for (const phase of phases) assertEquals(keys(phase), ["ms", "name"]);
}

Deno.test("--json gives one document with exactly the keys that are promised", async () => {
  await using all = builds();
  await using held = await startHeld(await all.write("first"), freePort());
  const { app } = held;
  const ask = async (command: string, ...args: string[]): Promise<Record<string, unknown>> => {
    const { code, stdout, stderr } = await app.cli(command, [...args, "--json"]);
    assertEquals([code, stderr], [0, ""]);
    return document(stdout);
  };

  const cold = await ask("status");
  const STATUS = ["build", "generation", "last_update", "pid", "sessions", "state", "uptime_ms"];
  assertEquals(keys(cold), STATUS);
  assertEquals([cold["last_update"], cold["generation"], cold["pid"]], [null, 0, app.pid]);
  assertEquals(await ask("history"), { updates: [] });

  const second = await all.write("second", { label: "v2" });
  const record = await ask("upgrade", "--build", second);
  assertRecord(record);
  assertEquals([record["outcome"], record["generation"], record["pid"]], ["committed", 1, app.pid]);
  const names = (record["phases"] as { name: string }[]).map(({ name }) => name);
  const order = [
    "requested",
    "loading",
    "quiescing",
    "preserving",
    "freezing",
    "jumping",
    "booting",
    "retrieving",
  ];
  assertEquals(names.filter((name) => name !== "guarding"), [...order, "probation", "committed"]);
  const blackout = record["blackout_ms"] as number;
  assert(blackout > 0 && blackout <= (record["stall_ms"] as number), `${blackout} ${record["stall_ms"]}`);

  const warm = await ask("status");
  assertEquals(keys(warm), STATUS);
  assertEquals(keys(warm["build"] as object), BUILD);
  assertEquals(warm["last_update"], record);
  const sessions = warm["sessions"] as {
    name: string;
    files: { name: string; compatible: string; fd: number }[];
  }[];
  assertEquals(keys(sessions[0]!), ["direction", "files", "name"]);
  for (const file of sessions[0]!.files) assertEquals(keys(file), ["compatible", "fd", "name", "token"]);
  const handlers = Object.fromEntries(sessions[0]!.files.map(({ name, compatible }) => [name, compatible]));
  assertEquals(handlers, {
    "@control": "listener-v1",
    web: "listener-v1",
    memory: "memfd-v1",
    log: "file-v1",
  });
  assertEquals((await ask("sessions"))["sessions"], warm["sessions"]);

  const failed = await app.upgradeCli(["--build", "/nowhere", "--json"]);
  assertEquals(failed.code, 1);
  assertRecord(document(failed.stdout));
  assertMatch(failed.stderr, /\/nowhere: it does not exist/);
  const history = await ask("history");
  assertEquals((history["updates"] as Record<string, unknown>[]).map((each) => each["outcome"]), [
    "committed",
    "refused",
  ]);
  (history["updates"] as Record<string, unknown>[]).forEach(assertRecord);

  for (const command of ["status", "sessions", "history"]) {
    const { code, stdout, stderr } = await app.cli(command);
    assertEquals([code, stderr, stdout.includes("{")], [0, "", false], command);
  }
});

Deno.test("a second run on the same socket is refused and names the owner, who goes on", async () => {
  await using all = builds();
  await using held = await startHeld(await all.write("first"), freePort());
  const other = await all.write("other", 'console.log("the other one runs");');
  for (
    const command of [["run", "--socket", held.app.socket, other], ["serve", "--socket", held.app.socket]]
  ) {
    const { code, stdout, stderr } = await runCommand([...CLI, ...command]);
    assertEquals([code, stdout], [1, ""], stderr);
    assertMatch(stderr, new RegExp(`process ${held.app.pid} serves`));
  }
  await held.holds("v1", 0);
  await held.commits(await all.write("second", { label: "v2" }), "v2");
});

Deno.test("a socket that nobody serves is exit 3", async () => {
  await using dir = tempDir();
  const stale = `${dir.path}/stale.sock`;
  Deno.listen({ transport: "unix", path: stale }).close();
  await Deno.writeTextFile(`${dir.path}/file`, "no socket");
  for (const name of ["none.sock", "none/s.sock", "stale.sock", "file"]) {
    const { code, stdout, stderr } = await runCommand([...CLI, "status", "--socket", `${dir.path}/${name}`]);
    assertEquals([code, stdout], [3, ""], `${name}: ${stderr}`);
    assertMatch(stderr, /nobody serves it/);
  }
  for (
    const command of [["sessions"], ["history"], ["upgrade"], ["upgrade", "--json"], ["inspect", "--live"]]
  ) {
    const { code, stdout, stderr } = await runCommand([...CLI, ...command, "--socket", stale]);
    assertEquals([code, stdout], [3, ""], `${command}: ${stderr}`);
  }
});

Deno.test("the socket of a service that was killed is replaced; one that ends removes its own", async () => {
  await using all = builds();
  await using dir = tempDir();
  const routes = '  if (path === "/exit") setTimeout(() => Deno.exit(5), 0);';
  const entry = await all.write("app", { routes });
  const socket = `${dir.path}/made/for/it/s.sock`;
  const start = async (): Promise<{ child: Deno.ChildProcess; port: number }> => {
    const port = freePort();
    const child = new Deno.Command(CLI[0]!, {
      args: [...CLI.slice(1), "run", "--socket", socket, entry, String(port)],
      cwd: dir.path,
      env: { XDG_STATE_HOME: `${dir.path}/state` },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    await waitFor(() => once(port, "/"), { what: "the service", timeoutMs: 30_000 });
    return { child, port };
  };
  const { child: killed } = await start();
  try {
    assertEquals((await Deno.stat(`${dir.path}/made/for/it`)).mode! & 0o777, 0o700);
  } finally {
    killed.kill("SIGKILL");
    await killed.status;
  }
  assert((await Deno.stat(socket)).isSocket, "it was killed before it could remove its socket");
  const { child: second, port } = await start();
  let status: Deno.CommandStatus | undefined;
  try {
    const { code, stdout } = await runCommand([...CLI, "status", "--socket", socket, "--json"]);
    assertEquals([code, JSON.parse(stdout).pid], [0, second.pid]);
    using client = await Client.open(port);
    await client.ask("/exit").catch(() => {});
    status = await second.status;
  } finally {
    if (status === undefined) second.kill("SIGKILL");
  }
  assertEquals(status?.code, 5);
  await assertRejects(() => Deno.stat(socket), Deno.errors.NotFound);
});

Deno.test("wrong usage is exit 2, with the usage on stderr and nothing on stdout", async (t) => {
  const wrong = [
    [],
    ["frobnicate"],
    ["status", "--frobnicate"],
    ["upgrade", "--timeout", "soon"],
    ["upgrade", "--build"],
    ["run"],
    ["status", "extra"],
    ["inspect"],
  ];
  for (const args of wrong) {
    await t.step(args.join(" ") || "no command", async () => {
      const { code, stdout, stderr } = await runCommand([...CLI, ...args]);
      assertEquals([code, stdout], [2, ""], stderr);
      assertMatch(stderr, /^heirloom: /);
      assertMatch(stderr, /usage|USAGE|Usage/);
    });
  }
  const help = await runCommand([...CLI, "--help"]);
  assertEquals([help.code, help.stderr], [0, ""]);
  assertMatch(help.stdout, /upgrade/);
});
