import { assertEquals, assertMatch } from "@std/assert";

import { killProcess } from "../../sys/mod.ts";
import { freePort, startApp, type TestApp, waitFor } from "../../testing/mod.ts";
import { appText, builds, once, READY_IN_CHECK } from "../update/_fixtures.ts";
import { descriptorOf, fdInfoOf } from "./_kit.ts";
import { SWAPPING } from "./_share.ts";

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
  routes: `  if (path === "/signals") return Response.json(drain(signals.fd));
  if (path === "/swap") return swap("timerfd", Number(query.get("onto")));`,
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
    await using all = builds();
    const port = freePort();
    const entry = await all.write("first", PARTS);
    await using app = await startApp({ entry, args: [String(port)], prefix: PREFIX });
    const read = async (): Promise<number[]> => JSON.parse(await once(port, "/signals"));
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
      const gate = `${all.path}/gate-${index}`;
      const text = appText({ ...PARTS, label: `v${index + 2}`, ready: gated(gate, then) });
      const build = await all.write(`build-${index}`, text);
      send(ONE);
      const update = app.upgrade({ build });
      await waitFor(() => app.output().stdout.split("in probation").length > index + 1, {
        ...SOON,
        what: "the new build",
      });
      send(TWO);
      send(ONE);
      await Deno.writeTextFile(gate, "");
      const record = await update;
      assertEquals(record.outcome, outcome, `${record.reason}\n${app.output().stderr}`);
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
  await using all = builds();
  const port = freePort();
  const gate = `${all.path}/gate`;
  await using app = await startApp({ entry: await all.write("first", PARTS), args: [String(port)] });
  const main = (): boolean => {
    const status = Deno.readTextFileSync(`/proc/${app.pid}/status`);
    const set = BigInt(`0x${/^SigBlk:\s*(\w+)$/m.exec(status)?.[1]}`);
    return (set & BigInt(`0x${MASK}`)) === BigInt(`0x${MASK}`);
  };
  assertEquals(main(), true);
  const next = await all.write("next", { ...PARTS, label: "v2", ready: gated(gate, "await live.ready();") });
  const update = app.upgrade({ build: next });
  await waitFor(() => app.output().stdout.includes("in probation"), { ...SOON, what: "the new build" });
  killProcess(app.pid, ONE);
  await Deno.writeTextFile(gate, "");
  assertEquals((await update).outcome, "committed");
  // The commit has taken back the mask of the cold start: delivered, the signal would have ended the process.
  assertEquals((await app.status()).state, "serving");
  assertEquals(JSON.parse(await once(port, "/signals")), [ONE]);
  assertEquals(main(), true);
  // A build without the signalfd lets them in.
  const without = await all.write("without", { label: "v3" });
  const record = await app.upgrade({ build: without });
  assertEquals([record.outcome, record.dropped], ["committed", ["signals"]], `${record.reason}`);
  await waitFor(() => !main(), { ...SOON, what: "the signals to be let in" });
});

Deno.test("a signalfd under another type or kind is refused by the check, and a swapped one is healed", async () => {
  await using all = builds();
  const port = freePort();
  await using app = await startApp({ entry: await all.write("first", PARTS), args: [String(port)] });
  const bad: readonly (readonly [string, RegExp])[] = [
    [`await live.timer("signals");`, /handed over as a descriptor/],
    [`${PARTS.use}\nawait live.inherit("signals", create);`, /in use/],
  ];
  for (const [index, [use, reason]] of bad.entries()) {
    const record = await app.upgrade({ build: await all.write(`bad-${index}`, { ...PARTS, use }) });
    assertEquals(record.outcome, "refused", `${use}: ${record.reason}`);
    assertMatch(record.reason ?? "", reason);
    assertEquals(await maskOf(app), MASK);
  }
  const wrong = PARTS.use.replace("signalfd", "eventfd");
  const other = await app.upgrade({ build: await all.write("other", { ...PARTS, use: wrong }) });
  assertEquals(other.outcome === "committed", false, "an eventfd it is not");
  assertMatch(other.reason ?? "", /signals/);
  assertEquals(await maskOf(app), MASK);

  const { fd } = await descriptorOf(app, "signals");
  await once(port, `/swap?onto=${fd}`);
  const next = await all.write("next", { ...PARTS, label: "v2" });
  const refused = await app.upgrade({ build: next });
  assertEquals(refused.outcome, "refused");
  assertMatch(refused.reason ?? "", /as a signalfd: it is anon_inode:\[timerfd\]/);
  assertEquals(await maskOf(app), MASK);
  const good = await app.upgrade({ build: next });
  assertEquals(good.outcome, "committed", `${good.reason}`);
  killProcess(app.pid, TWO);
  assertEquals([await maskOf(app), JSON.parse(await once(port, "/signals"))], [MASK, [TWO]]);
});
