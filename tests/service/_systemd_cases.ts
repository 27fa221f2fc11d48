/**
 * What an operator of the shipped unit may meet. Each case leaves a service that runs, or starts one of its own.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { delay, processInfo, waitFor, writeApp } from "../../testing/mod.ts";
import { appText, onlyForReal } from "../update/_fixtures.ts";
import { STATE, type Unit } from "./_systemd_unit.ts";

/** One thing that may happen. */
export interface Case {
  /** What should be so. */
  readonly name: string;
  /** Lets it happen; throws when it is not so. */
  run(stage: Stage): Promise<void>;
}

/** What a case works with. */
export interface Stage {
  /** The unit. */
  readonly unit: Unit;
  /** The directory of builds. */
  readonly dir: string;
}

/** The file that a build makes before it hangs. */
const HANGING = `${STATE}/hanging`;

/** An update waits at its hook while the operator wants to look. */
const USE = `
let holding: PromiseWithResolvers<void> | null = null;
let kept = "";
live.state("kept", { version: 1, save: () => kept, load: (value) => void (kept = String(value)) });
live.on("quiesce", (event) => {
  if (holding) event.waitUntil(holding.promise.finally(() => holding = null));
});`;

const ROUTES = `
  if (path === "/hold") holding = Promise.withResolvers();
  if (path === "/go") holding?.resolve();
  if (path === "/refuse") holding?.reject(new Error("not now"));
  if (["/hold", "/go", "/refuse"].includes(path)) return new Response(path);
  if (path === "/kept") {
    kept ||= new Uint8Array(await crypto.subtle.digest("SHA-256", memory.bytes)).toHex();
    return new Response(kept);
  }`;

/** Code that does to its own process what JavaScript does not see. */
const MISBEHAVIOUR: Readonly<Record<string, [code: string, reason: RegExp]>> = {
  "is killed": ['Deno.kill(Deno.pid, "SIGKILL"); while (true);', /killed by SIGKILL/],
  "writes to address 0": [
    `Deno.dlopen("libc.so.6", { memset: { parameters: ["pointer", "i32", "usize"], result: "pointer" } })
      .symbols.memset(null, 0, 1n);`,
    /killed by SIGSEGV/,
  ],
  "never comes to an end": ["while (true);", /ran past its deadline/],
  "stops itself": ['Deno.kill(Deno.pid, "SIGSTOP"); while (true);', /ran past its deadline/],
};

/**
 * Writes a build.
 *
 * @returns the path of its entry module
 */
export async function writeBuild(dir: string, label: string, ready = ""): Promise<string> {
  const text = appText({
    label,
    use: USE,
    routes: ROUTES,
    ready: `${ready === "" ? "" : onlyForReal(ready)}\nawait live.ready();`,
  });
  return await writeApp(`${dir}/${label.replaceAll(" ", "-")}`, { files: { "main.ts": text } });
}

/** Starts an update, and waits until its guardian is the main process. */
async function armed({ unit, dir }: Stage, label: string): Promise<{
  service: number;
  guardian: number;
  ended: ReturnType<Unit["upgrade"]>;
}> {
  const service = await unit.main();
  await unit.text("/hold");
  const ended = unit.upgrade(await writeBuild(dir, label));
  const guardian = await unit.mainOtherThan(service);
  assertStringIncludes(await Deno.readTextFile(`/proc/${guardian}/cmdline`), "guardian_main.ts");
  assertEquals(processInfo(guardian).parent, service);
  assertEquals(await unit.property("ActiveState"), "active");
  return { service, guardian, ended };
}

async function commits(stage: Stage, label: string): Promise<void> {
  const { service, ended } = await armed(stage, label);
  await stage.unit.text("/go");
  const { code, record, stderr } = await ended;
  assertEquals(
    [code, record?.outcome, record?.guardian, record?.warnings],
    [0, "committed", "watched", []],
    stderr,
  );
  await stage.unit.holds(label, service);
}

async function isRefused(stage: Stage, label: string, still: string): Promise<void> {
  const { service, ended } = await armed(stage, label);
  await stage.unit.text("/refuse");
  const { code, record, stderr } = await ended;
  assertEquals([code, record?.outcome, record?.pid], [1, "refused", service]);
  assertMatch(stderr, /not now/);
  await stage.unit.holds(still, service);
}

async function isRecovered({ unit, dir }: Stage, what: string, still: string): Promise<void> {
  const [code, reason] = MISBEHAVIOUR[what] ?? ["", /^$/];
  const before = await unit.main();
  const build = await writeBuild(dir, what, code);
  const { code: status, record, stderr } = await unit.upgrade(build, "--timeout", "4");
  assertEquals([status, record?.outcome, record?.guardian], [1, "recovered", "acted"], stderr);
  assertMatch(record?.reason ?? "", reason);
  const after = record?.pid ?? 0;
  assert(after !== before, "another process");
  await unit.holds(still, after);
}

/** Points the name of the unit's application to another build. */
async function deploy(dir: string, build: string): Promise<void> {
  const draft = `${dir}/current.draft`;
  await Deno.symlink(build.slice(0, build.lastIndexOf("/")), draft);
  await Deno.rename(draft, `${dir}/current`);
}

/** Stops the service while a new build is not ready, and gives the exit code of the update that waits. */
async function stopsMeanwhile({ unit, dir }: Stage, code: string, timeoutS: number): Promise<number> {
  const build = await writeBuild(dir, "stuck", `Deno.writeTextFileSync("hanging", "");\n${code}`);
  const update = unit.upgrade(build, "--timeout", String(timeoutS));
  await waitFor(() => Deno.stat(HANGING), { what: "the build to hang", timeoutMs: 20_000 });
  await unit.control("stop");
  const idle = async (): Promise<void> => {
    assertEquals([await unit.processes(), await unit.main()], [[], 0]);
    assertMatch(await unit.property("ActiveState"), /^(inactive|failed)$/);
    assertEquals(await unit.property("NRestarts"), "0");
  };
  await idle();
  const ended = await update;
  await delay(1000);
  await idle();
  return ended.code;
}

/** All cases, in order: most go on with what the one before has left. */
export const CASES: readonly Case[] = [
  {
    name: "systemctl reload updates in place, and fails when the update is not committed",
    async run({ unit, dir }) {
      await deploy(dir, await writeBuild(dir, "first"));
      await unit.start();
      await unit.text("/fill");
      const pid = await unit.main();
      await unit.holds("first", pid);
      await deploy(dir, await writeBuild(dir, "second"));
      assertEquals(await unit.control("reload"), 0);
      await unit.holds("second", pid);
      await deploy(dir, await writeBuild(dir, "broken", 'throw new Error("no luck");'));
      assertEquals(await unit.control("reload"), 1);
      await unit.holds("second", pid);
    },
  },
  {
    name: "doctor has nothing against the shipped unit",
    async run({ unit }) {
      const { code, document } = await unit.doctor();
      assertEquals([code, document.ok, document.service?.generation], [0, true, 1]);
      const bad = document.findings.filter(({ level }) => level === "warning" || level === "problem");
      assertEquals(bad, []);
      const levels = Object.fromEntries(document.findings.map(({ id, level }) => [id, level]));
      for (
        const id of [
          "systemd",
          "notify_access",
          "oom_policy",
          "timeout_stop",
          "state_directory",
          "limit_nofile",
        ]
      ) {
        assertEquals(levels[id], "ok", id);
      }
    },
  },
  {
    name: "the guardian is the main process while it is armed, the service after the commit",
    run: (stage) => commits(stage, "third"),
  },
  {
    name: "a refused update gives the main process back",
    run: (stage) => isRefused(stage, "fourth", "third"),
  },
  ...Object.keys(MISBEHAVIOUR).map((what) => ({
    name: `a build that ${what} is recovered from, and the unit stays active`,
    run: (stage: Stage): Promise<void> => isRecovered(stage, what, "third"),
  })),
  { name: "a service that was brought back is updated as before", run: (stage) => commits(stage, "fifth") },
  {
    name: "a guardian that is killed leaves the service as the main process",
    async run(stage) {
      const { service, guardian, ended } = await armed(stage, "sixth");
      Deno.kill(guardian, "SIGKILL");
      await stage.unit.text("/go");
      const { code, record, stderr } = await ended;
      assertEquals([code, record?.outcome, record?.guardian], [0, "committed", "died"], stderr);
      await stage.unit.mainOtherThan(guardian);
      await stage.unit.holds("sixth", service);
    },
  },
  {
    name: "systemd notices when a service that was brought back is killed, and starts it anew",
    async run(stage) {
      const { unit } = stage;
      await isRecovered(stage, "is killed", "sixth");
      await deploy(stage.dir, await writeBuild(stage.dir, "first"));
      const before = await unit.main();
      await unit.control("kill", "--kill-who=main", "--signal=KILL");
      await waitFor(async () => await unit.property("NRestarts") === "1", {
        what: "systemd to start it anew",
      });
      const main = await unit.mainOtherThan(before);
      await waitFor(() => unit.text("/"), { what: "the service", timeoutMs: 20_000 });
      assertEquals([await unit.text("/generation"), await unit.main()], ["0", main]);
    },
  },
  {
    name: "systemctl stop in the middle of an update that hangs ends everything, for good",
    async run(stage) {
      await stage.unit.start("TimeoutStopSec=2s");
      assertEquals(await stopsMeanwhile(stage, "while (true);", 20), 1);
    },
  },
  {
    name: "systemctl stop waits for the verdict of an update that can be undone",
    async run(stage) {
      await stage.unit.start();
      assertEquals(await stopsMeanwhile(stage, "await new Promise(() => {});", 4), 1);
      assertEquals(await stage.unit.property("Result"), "success");
    },
  },
  {
    name: "without NotifyAccess= the update goes on with a warning, and a crash ends the service",
    async run({ unit, dir }) {
      await unit.start("NotifyAccess=none");
      await unit.text("/fill");
      const pid = await unit.main();
      const { code, record, stderr } = await unit.upgrade(await writeBuild(dir, "second"));
      assertEquals([code, record?.outcome, record?.warnings.length], [0, "committed", 1]);
      assertMatch(record?.warnings[0] ?? "", /NotifyAccess=all/);
      assertStringIncludes(stderr, record?.warnings[0] ?? "");
      await unit.holds("second", pid);
      const [crash] = MISBEHAVIOUR["is killed"] ?? [""];
      assertEquals((await unit.upgrade(await writeBuild(dir, "crash", crash))).code, 1);
      await waitFor(async () => await unit.property("NRestarts") === "1", {
        what: "systemd to start it anew",
      });
    },
  },
  {
    name: "NotifyAccess=main does as well, and doctor warns of it",
    async run(stage) {
      await stage.unit.start("NotifyAccess=main", "TimeoutStopSec=10s");
      const { code, document } = await stage.unit.doctor();
      const warnings = document.findings.filter(({ level }) => level === "warning").map(({ id }) => id);
      assertEquals([code, warnings], [0, ["notify_access", "timeout_stop"]]);
      await stage.unit.text("/fill");
      await commits(stage, "second");
      await isRefused(stage, "third", "second");
      await isRecovered(stage, "is killed", "second");
      await commits(stage, "fourth");
    },
  },
];
