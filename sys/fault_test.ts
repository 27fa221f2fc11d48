import { assert, assertEquals, assertMatch } from "@std/assert";
import { FAULT_VARIABLE } from "./fault.ts";
import { runScript, runScriptForJson, type ScriptResult, waitUntil } from "./helpers_test.ts";

const IMPORT = `import { fault } from ${JSON.stringify(import.meta.resolve("./fault.ts"))};\n`;

/** Runs a script that may inject one fault, and says "before" and "after" around `fault("here", 1)`. */
function inject(
  plan: string,
  body = `say("before"); fault("here", 1); say("after");`,
): Promise<ScriptResult> {
  return runScript(IMPORT + body, { [FAULT_VARIABLE]: plan });
}

/** Starts a script and leaves it running; killed and reaped at the end. */
async function start(plan: string): Promise<AsyncDisposable & { pid: number; lines(): string[] }> {
  const directory = await Deno.makeTempDir({ prefix: "heirloom-fault-" });
  const out = `${directory}/out`;
  const script = `${directory}/script.ts`;
  await Deno.writeTextFile(
    script,
    `${IMPORT}
const say = (line: string): void => Deno.writeTextFileSync(${
      JSON.stringify(out)
    }, line + "\\n", { append: true });
say("before");
fault("here", 1);
say("after");
setInterval(() => {}, 1_000);
`,
  );
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--no-config", script],
    env: { [FAULT_VARIABLE]: plan },
    stdin: "null",
  }).spawn();
  return {
    pid: child.pid,
    lines: () => {
      try {
        return Deno.readTextFileSync(out).split("\n").filter((line) => line !== "");
      } catch {
        return [];
      }
    },
    async [Symbol.asyncDispose]() {
      Deno.kill(child.pid, "SIGKILL");
      await child.status;
      await Deno.remove(directory, { recursive: true });
    },
  };
}

/** State and CPU ticks of a process, from proc_pid_stat(5). */
function look(pid: number): { state: string; ticks: number } {
  const text = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", ticks: Number(fields[11]) };
}

Deno.test("fault() without the variable does nothing", async () => {
  const body =
    `for (const phase of ["here", "", "there"]) fault(phase, 1, { own: () => say("own") }); say("after");`;
  assertEquals(await runScriptForJson(IMPORT + body), ["after"]);
  const { lines, stderr } = await inject("", body);
  assertEquals([lines, stderr], [[`"after"`], ""]);
});

Deno.test("fault() throw names the phase", async () => {
  const { lines } = await inject(
    "here:throw",
    `try { fault("here", 1); } catch (error) { say((error as Error).message); }`,
  );
  assertEquals(lines, [`"Fault injected in phase here"`]);
});

Deno.test("fault() fires once, in its phase, in its turn", async () => {
  const body = `
const own = { mine: () => say("mine") };
for (const [phase, turn] of [["there", 1], ["here", 2], ["here", 1], ["here", 2], ["here", 1], ["here", 3]] as const) {
  say([phase, turn]);
  fault(phase, turn, own);
}`;
  const fired = async (plan: string): Promise<string | undefined> => {
    const { lines, stderr } = await inject(plan, body);
    assertEquals(stderr, "");
    assertEquals(lines.filter((line) => line === `"mine"`).length, 1);
    return lines[lines.indexOf(`"mine"`) - 1];
  };
  assertEquals(await fired("here:mine"), `["here",1]`);
  assertEquals(await fired("here:mine@2"), `["here",2]`);
  assertEquals(await fired("here:mine@3"), `["here",3]`);
  assertEquals(await fired("there:mine"), `["there",1]`);
  assertEquals((await inject("there:mine@2", body)).lines.includes(`"mine"`), false);
});

Deno.test("fault() prefers the caller's own, and never finds what every object has", async () => {
  const { lines, code } = await inject("here:exit", `fault("here", 1, { exit: () => say("own") });`);
  assertEquals([lines, code], [[`"own"`], 0]);
  const inherited = await inject("here:constructor");
  assertEquals(inherited.lines, [`"before"`, `"after"`]);
  assertMatch(inherited.stderr, /knows the fault constructor\n$/);
});

Deno.test("fault() that nobody knows there, or that is malformed, is told on stderr and does nothing", async () => {
  const twice = `fault("here", 1); fault("here", 1); say("after");`;
  for (
    const plan of [
      "here:unknown",
      "here",
      "here:",
      ":exit",
      "here:exit@",
      "here:exit@x",
      "here:exit@-1",
      "a:b:c",
    ]
  ) {
    const { lines, code, stderr } = await inject(plan, twice);
    assertEquals([lines, code], [[`"after"`], 0], plan);
    assertMatch(stderr, /^heirloom: Cannot inject a fault: HEIRLOOM_FAULT: [^\n]+\n$/, plan);
  }
});

Deno.test("fault() is inert in a process that may not read the variable", async () => {
  const directory = await Deno.makeTempDir({ prefix: "heirloom-fault-" });
  try {
    await Deno.writeTextFile(`${directory}/main.ts`, `${IMPORT} fault("here", 1); console.log("after");`);
    const denied = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-import", "--no-prompt", "--no-config", `${directory}/main.ts`],
      env: { [FAULT_VARIABLE]: "here:exit" },
      stdin: "null",
    }).output();
    assertEquals([denied.code, new TextDecoder().decode(denied.stdout)], [0, "after\n"]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

for (
  const [name, code] of [
    ["exit", 7],
    ["exit0", 0],
    ["kill", 128 + 9],
    ["segv", 128 + 11],
    ["abort", 128 + 6],
  ] as const
) {
  Deno.test(`fault() ${name} ends the process`, async () => {
    const result = await inject(`here:${name}`);
    assertEquals([result.lines, result.code], [[`"before"`], code], result.stderr);
  });
}

Deno.test("fault() segv and abort also work where all other signals are blocked", async () => {
  for (const [name, code] of [["segv", 128 + 11], ["abort", 128 + 6]] as const) {
    const result = await inject(
      `here:${name}`,
      `sys.blockForExec(); say("before"); fault("here", 1); say("after");`,
    );
    assertEquals([result.lines, result.code], [[`"before"`], code], result.stderr);
  }
});

Deno.test("fault() memory ends the process at the limit of the heap", async () => {
  const directory = await Deno.makeTempDir({ prefix: "heirloom-fault-" });
  try {
    await Deno.writeTextFile(
      `${directory}/main.ts`,
      `${IMPORT} console.log("before"); fault("here", 1); console.log("after");`,
    );
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-config", "--v8-flags=--max-old-space-size=64", `${directory}/main.ts`],
      env: { [FAULT_VARIABLE]: "here:memory" },
      stdin: "null",
    }).output();
    assertEquals(new TextDecoder().decode(stdout), "before\n");
    assert([128 + 5, 128 + 6].includes(code), `SIGTRAP or SIGABRT, not ${code}`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("fault() emfile leaves no descriptor for a while, and then all of them", async () => {
  const result = await inject(
    "here:emfile",
    `
// The runtime itself does not survive a start of its signal handling without a descriptor left (2.9.6).
const listener = (): void => {};
Deno.addSignalListener("SIGUSR2", listener);
sys.setLimit("nofile", { soft: 256n, hard: sys.getLimit("nofile").hard });
const attempt = (): string => {
  try {
    sys.openFile("/dev/null")[Symbol.dispose]();
    return "open";
  } catch (error) {
    return (error as sys.SysError).code;
  }
};
const before = sys.listFds();
fault("here", 1);
say(attempt());
while (attempt() !== "open") await new Promise((resolve) => setTimeout(resolve, 20));
say(sys.listFds().length - before.length);
Deno.removeSignalListener("SIGUSR2", listener);
`,
  );
  assertEquals(result.code, 0, result.stderr);
  assertEquals(result.lines, [`"EMFILE"`, "0"]);
});

Deno.test("fault() stop stops the process until it is continued", async () => {
  await using child = await start("here:stop");
  await waitUntil(() => look(child.pid).state === "T", "the stop");
  assertEquals(child.lines(), ["before"]);
  Deno.kill(child.pid, "SIGCONT");
  await waitUntil(() => child.lines().length === 2, "the rest of the script");
});

Deno.test("fault() loop keeps the process busy", async () => {
  await using child = await start("here:loop");
  await waitUntil(() => child.lines().length === 1, "the begin of the loop");
  const { ticks } = look(child.pid);
  await waitUntil(() => look(child.pid).ticks >= ticks + 20, "200 ms of computing");
  assertEquals(child.lines(), ["before"]);
});
