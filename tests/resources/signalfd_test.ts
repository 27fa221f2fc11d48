import { assertEquals, assertMatch } from "@std/assert";

import { killProcess } from "../../sys/mod.ts";
import { type TestApp, waitFor } from "../../testing/mod.ts";
import { READY_IN_CHECK } from "../update/_fixtures.ts";
import { fdInfoOf, running } from "./_kit.ts";
import { refusesSwapped, SWAP_ROUTE, SWAPPING } from "./_swap.ts";

/** SIGRTMIN+1 and SIGRTMIN+2: real-time signals, of which each one sent is kept. */
const [ONE, TWO] = [35, 36];
const MASK = ((1n << 34n) | (1n << 35n)).toString(16).padStart(16, "0");
const SOON = { timeoutMs: 30_000, intervalMs: 5 };

/** As the guide shows it: an application makes it by FFI of its own. */
const BEFORE = `import { OwnedFd } from "${new URL("../../mod.ts", import.meta.url).href}";
const libc = Deno.dlopen("libc.so.6", {
  pthread_sigmask: { parameters: ["i32", "buffer", "pointer"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  signalfd: { parameters: ["i32", "buffer", "i32"], result: "i32" },
}).symbols;
const mask = new BigUint64Array(16);
mask[0] = (1n << 34n) | (1n << 35n);
const create = () => {
  libc.pthread_sigmask(0, new Uint8Array(mask.buffer), null);
  return OwnedFd.adopt(libc.signalfd(-1, new Uint8Array(mask.buffer), 0o2000000 | 0o4000));
};
const drain = (fd: number): number[] => {
  const signals = [];
  const info = new Uint8Array(128);
  while (libc.read(fd, info, 128n) === 128n) signals.push(info[0]!);
  return signals;
};
${SWAPPING}`;

const PARTS = {
  before: BEFORE,
  use: `const signals = await live.inherit("signals", create, { type: "signalfd" });`,
  routes: `${SWAP_ROUTE}  if (path === "/signals") return Response.json(drain(signals.fd));`,
};

/** Before it is ready, a build waits until the file is there. */
function gated(gate: string, then: string): string {
  return `${READY_IN_CHECK}console.log("in probation");
for (;;) {
  try { Deno.statSync("${gate}"); break; } catch { await new Promise((resolve) => setTimeout(resolve, 10)); }
}
${then}`;
}

/** What `/proc` shows of the signalfd. */
async function maskOf(app: TestApp): Promise<string | undefined> {
  return /^sigmask:\s*(\w+)$/m.exec(await fdInfoOf(app, "signals"))?.[1];
}

/** Are the signals blocked in every thread, in whatever thread anything may be delivered? */
function blocked(app: TestApp): boolean {
  return [...Deno.readDirSync(`/proc/${app.pid}/task`)].every(({ name }) => {
    const status = Deno.readTextFileSync(`/proc/${app.pid}/task/${name}/status`);
    const set = BigInt(`0x${/^SigBlk:\s*(\w+)$/m.exec(status)?.[1]}`);
    return (set & BigInt(`0x${MASK}`)) === BigInt(`0x${MASK}`);
  });
}

/** How an application is started so that its signals are blocked from the beginning. */
const PREFIX = ["env", "--block-signal=RTMIN+1", "--block-signal=RTMIN+2"];

const HAS_ENV = (() => {
  try {
    const [program = "", ...args] = PREFIX;
    return new Deno.Command(program, { args: [...args, "true"], stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
})();
if (!HAS_ENV) console.log("ignored: env of this machine does not block signals (coreutils 8.31)");

Deno.test({
  name: "signals that are sent in the pause are read by the build that is ready then",
  ignore: !HAS_ENV,
  async fn() {
    await using service = await running(PARTS, { prefix: PREFIX });
    const { app, ask } = service;
    const read = async (): Promise<number[]> => JSON.parse(await ask("/signals"));
    const send = (signal: number): void => killProcess(app.pid, signal);
    assertEquals([await maskOf(app), blocked(app), await read()], [MASK, true, []]);
    send(ONE);
    assertEquals(await read(), [ONE]);
    const ends = [
      ["committed", "await live.ready();"],
      ["rolled-back", `throw new Error("no luck");`],
      ["recovered", `Deno.kill(Deno.pid, "SIGKILL");`],
      ["committed", "await live.ready();"],
    ] as const;
    for (const [index, [outcome, then]] of ends.entries()) {
      const gate = `${app.dir}/gate-${index}`;
      send(ONE);
      const update = service.ends(outcome, { ...PARTS, label: `v${index + 2}`, ready: gated(gate, then) });
      await waitFor(() => app.output().stdout.split("in probation").length > index + 1, {
        ...SOON,
        what: "the new build",
      });
      send(TWO);
      send(ONE);
      await Deno.writeTextFile(gate, "");
      await update;
      // What waits with a process ends with it: what the guardian starts is another one.
      assertEquals(await read(), outcome === "recovered" ? [] : [ONE, ONE, TWO]);
      await waitFor(async () => (await app.status()).state === "serving", { ...SOON, what: "the end" });
      assertEquals([await maskOf(app), blocked(app)], [MASK, true]);
      send(TWO);
      assertEquals(await read(), [TWO]);
    }
  },
});

Deno.test("signals that the application has blocked itself stay blocked with its signalfd, and only with it", async () => {
  await using service = await running(PARTS);
  const { app, ask } = service;
  const gate = `${app.dir}/gate`;
  const main = (): boolean => {
    const status = Deno.readTextFileSync(`/proc/${app.pid}/status`);
    const set = BigInt(`0x${/^SigBlk:\s*(\w+)$/m.exec(status)?.[1]}`);
    return (set & BigInt(`0x${MASK}`)) === BigInt(`0x${MASK}`);
  };
  assertEquals(main(), true);
  const update = service.commits({ ...PARTS, label: "v2", ready: gated(gate, "await live.ready();") });
  await waitFor(() => app.output().stdout.includes("in probation"), { ...SOON, what: "the new build" });
  killProcess(app.pid, ONE);
  await Deno.writeTextFile(gate, "");
  await update;
  // The commit has taken back the mask of the cold start: delivered, the signal would have ended the process.
  assertEquals((await app.status()).state, "serving");
  assertEquals(JSON.parse(await ask("/signals")), [ONE]);
  assertEquals(main(), true);
  // A build without the signalfd lets them in.
  assertEquals((await service.commits({ label: "v3" })).dropped, ["signals"]);
  await waitFor(() => !main(), { ...SOON, what: "the signals to be let in" });
});

Deno.test("a signalfd under another type or kind is refused by the check, and a swapped one is healed", async () => {
  await using service = await running(PARTS);
  const { app, ask } = service;
  const bad: readonly (readonly [string, RegExp])[] = [
    [`await live.timer("signals");`, /handed over as a descriptor/],
    [`${PARTS.use}\nawait live.inherit("signals", create);`, /in use/],
  ];
  for (const [use, reason] of bad) {
    await service.refuses({ ...PARTS, use }, reason);
    assertEquals(await maskOf(app), MASK);
  }
  const wrong = PARTS.use.replace("signalfd", "eventfd");
  const other = await service.upgrade({ ...PARTS, use: wrong });
  assertEquals(other.outcome === "committed", false, "an eventfd it is not");
  assertMatch(other.reason ?? "", /signals/);
  assertEquals(await maskOf(app), MASK);

  const next = { ...PARTS, label: "v2" };
  await refusesSwapped(service, "signals", "timerfd", "a signalfd", next);
  assertEquals(await maskOf(app), MASK);
  await service.commits(next);
  killProcess(app.pid, TWO);
  assertEquals([await maskOf(app), JSON.parse(await ask("/signals"))], [MASK, [TWO]]);
});
