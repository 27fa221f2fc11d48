import { assert, assertEquals } from "@std/assert";
import { heirloomRoot } from "../../testing/mod.ts";
import { runCommand } from "../update/_fixtures.ts";
import { CASES } from "./_systemd_cases.ts";
import type { Verdict } from "./_systemd_lab.ts";

/** Seconds for all cases. */
const LAB_S = 240;

/** How the lab says that it did not come up. */
const NO_LAB = 125;

const ROOT = heirloomRoot();

/** What keeps a real systemd from being started here, or null. */
async function missing(): Promise<string | null> {
  if (Deno.uid() !== 0) return "not root";
  if (!await exists("/lib/systemd/systemd")) return "no systemd is installed";
  for (const path of [ROOT, Deno.execPath()]) {
    if (/^\/(tmp|run)\//.test(path)) return `${path} is in a folder that is empty in the lab`;
  }
  const spaces = ["--mount", "--pid", "--ipc", "--uts", "--cgroup", "--net"];
  const probe = await runCommand(["unshare", "--fork", ...spaces, "--mount-proc", "true"])
    .catch((error) => ({ code: -1, stderr: String(error) }));
  return probe.code === 0 ? null : `no namespaces: ${probe.stderr.trim()}`;
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function isIgnored(): Promise<boolean> {
  const reason = await missing();
  if (reason !== null) console.log(`ignored: the shipped unit under systemd: ${reason}`);
  return reason !== null;
}

/** A directory that is there in the lab as well, and that the service may read, with the packages in it. */
async function prepare(dir: string): Promise<void> {
  await Deno.chmod(dir, 0o755);
  const { stdout } = await runCommand([Deno.execPath(), "info", "--json"]);
  const packages = `${JSON.parse(stdout).denoDir}/npm`;
  await Deno.mkdir(`${dir}/cache`);
  assertEquals((await runCommand(["cp", "-r", packages, `${dir}/cache/npm`])).code, 0);
}

Deno.test({
  name: "the shipped unit under systemd",
  ignore: await isIgnored(),
  async fn(t) {
    const dir = await Deno.makeTempDir({
      dir: ROOT.slice(0, ROOT.lastIndexOf("/")) || "/",
      prefix: "heirloom-",
    });
    try {
      await prepare(dir);
      const inside = [Deno.execPath(), "run", "-A", `${ROOT}/tests/service/_systemd_lab.ts`, dir];
      const lab = new Deno.Command("bash", {
        args: [`${ROOT}/scripts/systemd-lab.sh`, "timeout", "--kill-after=5", String(LAB_S), ...inside],
        cwd: ROOT,
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const stderr = new Response(lab.stderr).text();
      const seen: string[] = [];
      for await (const { name, problem } of verdicts(lab.stdout)) {
        seen.push(name);
        await t.step(name, () => assert(problem === null, problem ?? ""));
      }
      const { code } = await lab.status;
      if (code === NO_LAB && seen.length === 0) {
        console.log(`ignored: ${await stderr}`);
        await t.step({ name: "systemd does not come up here", ignore: true, fn() {} });
        return;
      }
      assertEquals([code, seen], [0, CASES.map(({ name }) => name)], await stderr);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});

async function* verdicts(stdout: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<Verdict> {
  let rest = "";
  for await (const text of stdout.pipeThrough(new TextDecoderStream())) {
    const lines = `${rest}${text}`.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line);
  }
}
