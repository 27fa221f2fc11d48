import { assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./errno.ts";
import { runScript, runScriptForJson, spawnRaw, waitUntil } from "./helpers_test.ts";
import { waitNoHang } from "./process.ts";
import {
  blockForExec,
  decodeMask,
  encodeMask,
  getMask,
  killProcess,
  maskFromHex,
  maskToHex,
  pendingSignals,
  setMask,
  SIGNALS,
} from "./signals.ts";

Deno.test("encodeMask() sets bit n - 1 for signal n, decodeMask() reads it", () => {
  const mask = encodeMask([1, 15, 64]);
  assertEquals(mask.length, 128);
  assertEquals(mask.toHex(), "0140000000000080" + "00".repeat(120));
  assertEquals(decodeMask(mask), [1, 15, 64]);
  assertEquals(decodeMask(encodeMask([])), []);
  for (const signal of [0, 65, -1, 1.5, NaN]) assertThrows(() => encodeMask([signal]), RangeError);
});

Deno.test("maskToHex() writes as /proc does, maskFromHex() reads it", () => {
  assertEquals(maskToHex(encodeMask([1, 15, 64])), "8000000000004001");
  assertEquals(maskFromHex("8000000000004001"), encodeMask([1, 15, 64]));
  for (
    const text of ["", "0", "800000000000400", "8000000000004001 ", "800000000000400G", "80000000000040011"]
  ) {
    assertThrows(() => maskFromHex(text), RangeError, JSON.stringify(text));
  }
});

Deno.test("SIGNALS are the numbers that Deno and kill(1) know", async () => {
  const { stdout } = await new Deno.Command("/bin/bash", { args: ["-c", "kill -l"] }).output();
  const known = new Map(
    [...new TextDecoder().decode(stdout).matchAll(/(\d+)\) (SIG\w+)/g)].map((
      [, number, name],
    ) => [name, Number(number)]),
  );
  for (const [name, number] of Object.entries(SIGNALS)) assertEquals(known.get(name), number, name);
});

Deno.test("setMask() sets what getMask() and /proc show, for this thread", () => {
  const before = getMask();
  const mask = encodeMask([SIGNALS.SIGUSR2, SIGNALS.SIGWINCH]);
  setMask(mask);
  try {
    assertEquals(getMask(), mask);
    const status = Deno.readTextFileSync("/proc/thread-self/status");
    assertEquals(/^SigBlk:\s+(\w+)$/m.exec(status)?.[1], maskToHex(mask));
  } finally {
    setMask(before);
  }
  assertEquals(getMask(), before);
  assertThrows(() => setMask(new Uint8Array(8)), RangeError, "8 bytes");
});

Deno.test("blockForExec() blocks all but faults, job control and what is ignored, and tells what was blocked", () => {
  const before = getMask();
  setMask(encodeMask([SIGNALS.SIGCHLD]));
  try {
    assertEquals(decodeMask(blockForExec()), [SIGNALS.SIGCHLD]);
    const blocked = new Set(decodeMask(getMask()));
    const free = Object.entries(SIGNALS).filter(([, number]) => !blocked.has(number)).map(([name]) => name);
    assertEquals(free.sort(), [
      ..."ABRT BUS CONT FPE ILL KILL SEGV STOP SYS TRAP TSTP TTIN TTOU URG WINCH".split(" ").map((n) =>
        `SIG${n}`
      ),
    ]);
    // 32 and 33 belong to the threads of the C library, which does not let them be blocked.
    assertEquals([...blocked].filter((n) => n > 31), Array.from({ length: 31 }, (_, i) => i + 34));
  } finally {
    setMask(before);
  }
});

/**
 * Puts the script into an image that was exec'ed with blocked signals, as the launcher and every jump do it. Only then
 * have the threads of the runtime inherited the mask; in a cold `deno run` one of them would take a signal that the main
 * thread blocks.
 */
const BLOCKED_FROM_BIRTH = `
  if (!Deno.args.includes("born blocked")) {
    sys.blockForExec();
    sys.execve(Deno.execPath(), [...ARGV, "born blocked"], []);
  }
  const got: string[] = [];
  async function receive(count: number): Promise<string[]> {
    const deadline = Date.now() + 20_000;
    while (got.length < count && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 2));
    return got.splice(0).sort();
  }
`;

Deno.test("pendingSignals() lists what waits, and setMask() delivers it to the listeners", async () => {
  const script = `
    ${BLOCKED_FROM_BIRTH}
    for (const name of ["SIGTERM", "SIGUSR2"] as const) Deno.addSignalListener(name, () => got.push(name));
    sys.setMask(new Uint8Array(128));
    sys.killProcess(sys.getPid(), sys.SIGNALS.SIGUSR2);
    say(await receive(1));
    const before = sys.blockForExec();
    say(sys.pendingSignals());
    sys.killProcess(sys.getPid(), sys.SIGNALS.SIGTERM);
    sys.killProcess(sys.getPid(), sys.SIGNALS.SIGUSR2);
    await new Promise((resolve) => setTimeout(resolve, 20));
    say([sys.pendingSignals(), got]);
    sys.setMask(before);
    say(await receive(2));
    say([sys.pendingSignals(), sys.maskToHex(sys.getMask())]);
    Deno.exit(0);
  `;
  assertEquals(await runScriptForJson(script), [
    ["SIGUSR2"],
    [],
    [[12, 15], []],
    ["SIGTERM", "SIGUSR2"],
    [[], "0".repeat(16)],
  ]);
});

Deno.test("takeBackMask() drops the SIGPROF that a profiler sent to the image before", async () => {
  const script = `
    ${BLOCKED_FROM_BIRTH}
    sys.killProcess(sys.getPid(), sys.SIGNALS.SIGPROF);
    say(sys.pendingSignals());
    sys.takeBackMask(new Uint8Array(128));
    say([sys.pendingSignals(), sys.maskToHex(sys.getMask())]);
    Deno.exit(0);
  `;
  assertEquals(await runScriptForJson(script), [[SIGNALS.SIGPROF], [[], "0".repeat(16)]]);
});

Deno.test("blockForExec() carries signals over an exec to the listeners of the new image", async () => {
  const script = `
    ${BLOCKED_FROM_BIRTH}
    if (!Deno.args.includes("third")) {
      sys.killProcess(sys.getPid(), sys.SIGNALS.SIGTERM);
      sys.killProcess(sys.getPid(), sys.SIGNALS.SIGHUP);
      sys.execve(Deno.execPath(), [...ARGV, "born blocked", "third"], []);
    }
    say(sys.pendingSignals());
    for (const name of ["SIGTERM", "SIGHUP"] as const) Deno.addSignalListener(name, () => got.push(name));
    sys.setMask(new Uint8Array(128));
    say(await receive(2));
    Deno.exit(0);
  `;
  assertEquals(await runScriptForJson(script), [[1, 15], ["SIGHUP", "SIGTERM"]]);
});

Deno.test("setMask() after an exec that failed delivers what waited", async () => {
  const script = `
    ${BLOCKED_FROM_BIRTH}
    sys.setMask(new Uint8Array(128));
    const before = sys.blockForExec();
    sys.killProcess(sys.getPid(), sys.SIGNALS.SIGTERM);
    try {
      sys.execve("/does/not/exist", [], []);
    } catch {
      say("still here");
    }
    sys.setMask(before);
    say("never reached: the default of SIGTERM ends the process");
  `;
  const { lines, code } = await runScript(script);
  assertEquals([lines, code], [['"still here"'], 128 + SIGNALS.SIGTERM]);
});

Deno.test("killProcess() signals one process, and 0 only asks", async () => {
  const pid = spawnRaw(["/bin/sleep", "600"]);
  try {
    killProcess(pid, 0);
    assertEquals(waitNoHang(pid), null);
  } finally {
    killProcess(pid, SIGNALS.SIGKILL);
  }
  await waitUntil(() => waitNoHang(pid) !== null, "the end of the child");
  assertEquals(assertThrows(() => killProcess(pid, 0), SysError).code, "ESRCH");
});

Deno.test("killProcess() refuses groups, all processes, and what is no signal", () => {
  for (const pid of [0, -1, -5, 1.5, NaN, 2 ** 31]) assertThrows(() => killProcess(pid, 0), RangeError);
  for (const signal of [-1, 65, 1.5, NaN]) assertThrows(() => killProcess(Deno.pid, signal), RangeError);
});

Deno.test("pendingSignals() is empty in peace", () => {
  assertEquals(pendingSignals(), []);
});
