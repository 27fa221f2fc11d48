import { assertEquals } from "@std/assert";
import { moduleUrl, runProgram } from "./helpers_test.ts";

/** Runs a program that is asked to stop in the middle of an update, and gives how it ended and what it said. */
async function stopped(application: string, after = "", ms = 0): Promise<[code: number, stdout: string]> {
  const text = `import { countListeners } from "${moduleUrl("signals.ts")}";
import { watchForStop } from "${moduleUrl("stop_watch.ts")}";
countListeners();
${application}
const end = watchForStop((signal) => console.log("refused for", signal));
${after}
setTimeout(() => Deno.kill(Deno.pid, "SIGTERM"), ${ms});
setTimeout(() => { console.log("still here"); Deno.exit(3); }, 1500);
`;
  const { code, stdout } = await runProgram(Deno.execPath(), ["eval", "--no-lock", "--no-config", text]);
  return [code, stdout];
}

Deno.test("watchForStop() ends a program that has no listener of its own, as the signal would have", async () => {
  assertEquals(await stopped(""), [143, "refused for SIGTERM\n"]);
});

Deno.test("watchForStop() leaves the end to an application that listens", async () => {
  const listens = 'Deno.addSignalListener("SIGTERM", () => { console.log("heard"); Deno.exit(5); });';
  assertEquals(await stopped(listens), [5, "heard\n"]);
  const late = 'Deno.addSignalListener("SIGTERM", () => console.log("heard"));';
  assertEquals(await stopped("", late), [3, "refused for SIGTERM\nheard\nstill here\n"]);
});

Deno.test("watchForStop() knows the listeners of Node.js", async () => {
  const listens = 'import process from "node:process"; process.on("SIGTERM", () => console.log("heard"));';
  const [code, stdout] = await stopped(listens);
  assertEquals([code, stdout.includes("heard"), stdout.includes("refused")], [3, true, true]);
});

Deno.test("watchForStop() forgets listeners that the application has removed", async () => {
  const removed = `const listener = () => console.log("heard");
Deno.addSignalListener("SIGTERM", listener);
Deno.removeSignalListener("SIGTERM", listener);`;
  assertEquals(await stopped(removed), [143, "refused for SIGTERM\n"]);
});

Deno.test("watchForStop() leaves the signal alone once it has ended", async () => {
  assertEquals(await stopped("", "await end();"), [143, ""]);
});

Deno.test("watchForStop() loses no signal that comes while the listening ends", async () => {
  // The runtime has taken it, and no listener has heard of it yet.
  assertEquals(await stopped("", 'Deno.kill(Deno.pid, "SIGTERM"); end();'), [143, "refused for SIGTERM\n"]);
  for (const ms of [5, 18, 19, 20, 21, 22]) {
    assertEquals((await stopped("", "end();", ms))[0], 143, `after ${ms} ms`);
  }
});

Deno.test("watchForStop() leaves the signals as it has found them", async () => {
  const masks = `import { getMask } from "${moduleUrl("../sys/signals.ts")}";
const before = String(getMask());`;
  const after = "await end(); console.log(String(getMask()) === before); await end();";
  assertEquals(await stopped(masks, after), [143, "true\n"]);
});

Deno.test("two updates that watch do not take each other for the application", async () => {
  const second = 'watchForStop(() => console.log("second"));';
  const [code, stdout] = await stopped("", second);
  assertEquals([code, stdout], [143, "refused for SIGTERM\nsecond\n"]);
});
