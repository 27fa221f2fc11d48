import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Finding } from "../../service/doctor/finding.ts";
import type { Diagnosis } from "../../service/doctor.ts";
import { noOrdinaryUser } from "../../sys/helpers_test.ts";
import { freePort, heirloomRoot, type TestApp, waitFor } from "../../testing/mod.ts";
import { builds, once, runCommand, startHeld } from "../update/_fixtures.ts";

const CLI = [Deno.execPath(), "run", "-A", `${heirloomRoot()}/main.ts`];
const ORDINARY = Deno.uid() === 0
  ? ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
  : [];

async function doctor(app: TestApp, ...args: string[]): Promise<{ code: number; document: Diagnosis }> {
  const { code, stdout, stderr } = await app.cli("doctor", ["--json", ...args]);
  assertEquals([stdout.trimEnd().split("\n").length, stderr], [1, ""]);
  return { code, document: JSON.parse(stdout) };
}

function find({ findings }: Diagnosis, id: string): Finding {
  const found = findings.find((finding) => finding.id === id);
  if (found === undefined) throw new Error(`There is no ${id} in ${JSON.stringify(findings)}`);
  return found;
}

const problems = ({ findings }: Diagnosis): Finding[] => findings.filter(({ level }) => level === "problem");

Deno.test("doctor finds a service well, before and after an update, and leaves it alone", async () => {
  await using all = builds();
  const use = 'const spare = Deno.openSync("/dev/zero"); Object.assign(globalThis, { spare });';
  const entry = await all.write("first", { use });
  await using held = await startHeld(entry, freePort());
  const { app } = held;
  const cold = await doctor(app);
  assertEquals(problems(cold.document), []);
  assertEquals([cold.code, cold.document.ok, cold.document.service], [0, true, {
    pid: app.pid,
    generation: 0,
  }]);
  const ids = cold.document.findings.map(({ id }) => id);
  assertEquals(new Set(ids).size, ids.length, "each is there once");
  for (const id of ["execve", "runtime_file", "nofile", "pid_1", "build", "state_directory", "deno_dir"]) {
    assertEquals(find(cold.document, id).level, "ok", id);
  }
  assertMatch(find(cold.document, "build").what, new RegExp(entry));
  assertMatch(find(cold.document, "state_directory").what, new RegExp(`${app.dir}/state`));
  assertMatch(find(cold.document, "backlog").what, /"web": 4096 may wait.* an assumed pause/);
  const unknown = find(cold.document, "descriptors");
  assertEquals(unknown.level, "note");
  assertMatch(
    unknown.what,
    /1 descriptor is closed at the next update: \d+ the device of zeros \(\/dev\/zero\)/,
  );

  const record = await held.commits(await all.write("second", { label: "v2" }), "v2");
  const warm = await doctor(app);
  assertEquals([warm.code, warm.document.service?.generation], [0, 1]);
  const pause = Math.round(record.blackout_ms ?? Number.NaN);
  assertMatch(find(warm.document, "backlog").what, new RegExp(`the longest pause so far of ${pause} ms`));
  assertEquals(find(warm.document, "descriptors").level, "ok");
  const bad = await doctor(app, "--build", `${all.path}/nothing`);
  assertEquals([bad.code, problems(bad.document).map(({ id }) => id)], [1, ["build"]]);
  const text = await app.cli("doctor");
  assertMatch(
    text.stdout,
    /^ok {7}serving, pid \d+, generation 1\n[^]*\nupdates can work here: no problems, /,
  );
  assertEquals((await app.history()).length, 1, "it only asks");
  await held.holds("v2", 1);
});

Deno.test("doctor foretells that an update is refused for want of descriptors", async () => {
  await using all = builds();
  const build = await all.write("first");
  await using held = await startHeld(build, freePort(), { prefix: ["prlimit", "--nofile=100:100"] });
  const { code, document } = await doctor(held.app);
  assertEquals([code, document.ok, problems(document).map(({ id }) => id)], [1, false, ["nofile"]]);
  const [, needed] = /needs (\d+), the limit \(RLIMIT_NOFILE\) is 100/.exec(find(document, "nofile").what) ??
    [];
  const record = await held.app.upgrade({ build });
  assertEquals(record.outcome, "refused");
  const [, told] =
    /(\d+) descriptors are needed, the limit \(RLIMIT_NOFILE\) is 100/.exec(record.reason ?? "") ?? [];
  // Control connections come and go.
  assert(Math.abs(Number(needed) - Number(told)) <= 4, `${needed} ${told}`);
});

Deno.test("doctor warns of small limits, and of a service without a place for its state", async () => {
  await using all = builds();
  const prefix = ["sh", "-c", 'ulimit -f 100000; unset HOME XDG_STATE_HOME; exec "$@"', "sh"];
  await using held = await startHeld(await all.write("first"), freePort(), { prefix });
  const { code, document } = await doctor(held.app);
  assertEquals([code, find(document, "fsize").level, find(document, "state_directory").level], [
    0,
    "warning",
    "warning",
  ]);
});

/** Starts `heirloom run` in a way that `startApp` does not know; ends it when disposed. */
async function startRaw(command: readonly string[], dir: string, port: number): Promise<AsyncDisposable> {
  const [program = "", ...args] = command;
  const child = new Deno.Command(program, {
    args: [...args, ...CLI, "run", "--socket", `${dir}/s.sock`, `${dir}/main.ts`, String(port)],
    cwd: dir,
    clearEnv: true,
    env: { PATH: Deno.env.get("PATH") ?? "", HOME: dir, DENO_DIR: `${dir}/cache`, DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const stderr = new Response(child.stderr).text();
  const end = async (): Promise<void> => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await child.status;
    await stderr;
  };
  try {
    await waitFor(() => once(port, "/"), { what: "the service", timeoutMs: 30_000 });
  } catch (error) {
    await end();
    throw new Error(await stderr, { cause: error });
  }
  return { [Symbol.asyncDispose]: end };
}

/** A folder with a build, and with the packages that Heirloom needs, for a user who has nothing else. */
async function prepare(owner: number | null): Promise<string> {
  const dir = await Deno.makeTempDir({ prefix: "heirloom-doctor-" });
  await using all = builds();
  await Deno.copyFile(await all.write("app"), `${dir}/main.ts`);
  const { stdout } = await runCommand([Deno.execPath(), "info", "--json"]);
  await Deno.mkdir(`${dir}/cache`);
  assertEquals(
    (await runCommand(["cp", "-r", `${JSON.parse(stdout).denoDir}/npm`, `${dir}/cache/npm`])).code,
    0,
  );
  if (owner !== null) assertEquals((await runCommand(["chown", "-R", String(owner), dir])).code, 0);
  return dir;
}

Deno.test({
  name: "doctor works for an ordinary user as for root, who sees with that user's eyes",
  ignore: noOrdinaryUser() !== null,
  async fn() {
    const dir = await prepare(ORDINARY.length > 0 ? 65_534 : null);
    try {
      await using _service = await startRaw(ORDINARY, dir, freePort());
      const ask = async (prefix: readonly string[]): Promise<Diagnosis> => {
        const command = [...prefix, ...CLI, "doctor", "--json", "--socket", `${dir}/s.sock`];
        const env = { HOME: dir, DENO_DIR: `${dir}/cache` };
        const { code, stdout, stderr } = await runCommand(command, { env });
        assertEquals([code, stderr], [0, ""], stdout);
        return JSON.parse(stdout);
      };
      const own = await ask(ORDINARY);
      assertEquals(problems(own), []);
      for (const id of ["state_directory", "deno_dir", "control_folder", "build", "deploy", "execve"]) {
        assertEquals(find(own, id).level, "ok", id);
      }
      if (ORDINARY.length === 0) return;
      const root = await ask([]);
      const levels = (document: Diagnosis, ...ids: string[]) => ids.map((id) => find(document, id).level);
      const ids = ["state_directory", "deno_dir", "control_folder", "build", "nofile", "nproc"];
      assertEquals(levels(root, ...ids), levels(own, ...ids));
      await Deno.chmod(`${dir}/cache`, 0o500);
      assertMatch(find(await ask([]), "deno_dir").what, /EACCES/);
      assertMatch(find(await ask(ORDINARY), "deno_dir").what, /EACCES/);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});

/** What keeps a service from being PID 1 of a namespace here, or null. */
async function noNamespace(): Promise<string | null> {
  if (Deno.uid() !== 0) return "not root";
  const probe = await runCommand(["unshare", "-pf", "--mount-proc", "true"])
    .catch((error) => ({ code: -1, stderr: String(error) }));
  return probe.code === 0 ? null : probe.stderr.trim();
}

/** The service in this folder that is PID 1 of a namespace below ours. */
function firstOfNamespace(dir: string): number {
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const isFirst = /^NSpid:\s+\d+\s+1$/m.test(Deno.readTextFileSync(`/proc/${name}/status`));
      if (isFirst && Deno.readTextFileSync(`/proc/${name}/cmdline`).includes(dir)) return Number(name);
    } catch {
      // It has ended.
    }
  }
  throw new Error(`There is no PID 1 of a namespace with ${dir} in its command`);
}

const reason = await noNamespace();
if (reason !== null) console.log(`ignored: doctor on PID 1 of a namespace: ${reason}`);

Deno.test({
  name:
    "doctor warns that PID 1 of a namespace has no guardian that outlives it, seen from outside and inside",
  ignore: reason !== null,
  async fn() {
    const dir = await prepare(null);
    try {
      const port = freePort();
      await using _service = await startRaw(["unshare", "-pf", "--mount-proc", "--kill-child"], dir, port);
      const command = [...CLI, "doctor", "--json", "--socket", `${dir}/s.sock`];
      const outside = await runCommand(command);
      const document: Diagnosis = JSON.parse(outside.stdout);
      assertEquals([outside.code, document.service, find(document, "pid_1").level], [
        0,
        { pid: 1, generation: 0 },
        "warning",
      ]);
      assertMatch(find(document, "pid_1").what, /takes its guardian along/);
      assertEquals(find(document, "pid_namespace").level, "note");
      const pid = firstOfNamespace(dir);
      const inside = await runCommand(["nsenter", "-t", String(pid), "-p", "-m", ...command]);
      assertEquals(
        [inside.code, find(JSON.parse(inside.stdout), "pid_1").level],
        [0, "warning"],
        inside.stderr,
      );
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});
