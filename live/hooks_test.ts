import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";

import { type HookListeners, Hooks } from "./hooks.ts";
import { moduleUrl, runProgram } from "./helpers_test.ts";

Deno.test("Hooks.quiesce() asks all listeners in order and waits for what they wait for", async () => {
  const hooks = new Hooks();
  const seen: string[] = [];
  const gate = Promise.withResolvers<void>();
  hooks.on("quiesce", ({ id, timeoutMs, waitUntil }) => {
    seen.push(`first ${id} ${timeoutMs}`);
    waitUntil(gate.promise.then(() => void seen.push("waited")));
  });
  hooks.on("quiesce", () => void seen.push("second"));
  const quiet = hooks.quiesce("u1", 5000).then(() => void seen.push("quiet"));
  assertEquals(seen, ["first u1 5000", "second"]);
  gate.resolve();
  await quiet;
  assertEquals(seen, ["first u1 5000", "second", "waited", "quiet"]);
});

Deno.test("Hooks.quiesce() without listeners is quiet at once", async () => {
  assertEquals(await new Hooks().quiesce("u1", 0), undefined);
});

Deno.test("QuiesceEvent.refuse() refuses with the first reason, and nobody is waited for", async () => {
  const hooks = new Hooks();
  const never = new Promise<void>(() => {});
  hooks.on("quiesce", ({ waitUntil }) => waitUntil(never));
  hooks.on("quiesce", ({ refuse }) => refuse("a backup runs"));
  hooks.on("quiesce", ({ refuse }) => refuse("too late"));
  await assertRejects(() => hooks.quiesce("u1", 60_000), Error, "the application refused: a backup runs");
});

Deno.test("QuiesceEvent.refuse() also counts while something is waited for", async () => {
  const hooks = new Hooks();
  hooks.on("quiesce", ({ waitUntil, refuse }) => waitUntil(Promise.resolve().then(() => refuse("busy"))));
  await assertRejects(() => hooks.quiesce("u1", 60_000), Error, "the application refused: busy");
});

Deno.test("Hooks.quiesce() refuses with the error of a promise or of a listener", async () => {
  const rejecting = new Hooks();
  rejecting.on("quiesce", ({ waitUntil }) => waitUntil(Promise.reject(new RangeError("no disk"))));
  await assertRejects(() => rejecting.quiesce("u1", 60_000), RangeError, "no disk");
  const throwing = new Hooks();
  throwing.on("quiesce", () => {
    throw new TypeError("oops");
  });
  await assertRejects(() => throwing.quiesce("u1", 60_000), TypeError, "oops");
});

Deno.test("Hooks.quiesce() refuses at the deadline, and a later failure hurts nobody", async () => {
  const hooks = new Hooks();
  const gate = Promise.withResolvers<void>();
  hooks.on("quiesce", ({ waitUntil }) => waitUntil(gate.promise));
  const begun = performance.now();
  await assertRejects(() => hooks.quiesce("u1", 30), Error, "the application was not quiet after 30 ms");
  assert(performance.now() - begun >= 29);
  gate.reject(new Error("late"));
});

Deno.test("Hooks.quiesce() that was refused does not end the process with a promise that fails", async () => {
  const script = `import { Hooks } from "${moduleUrl("hooks.ts")}";
for (const refuse of [({ refuse }) => refuse("no"), () => { throw new Error("threw"); }]) {
  const hooks = new Hooks();
  hooks.on("quiesce", ({ waitUntil }) => waitUntil(new Promise((_, reject) => setTimeout(reject, 1))));
  hooks.on("quiesce", refuse);
  await hooks.quiesce("u1", 1000).catch((error) => console.log(error.message));
}
setTimeout(() => console.log("alive"), 20);
`;
  const { code, stdout, stderr } = await runProgram(Deno.execPath(), [
    ...["eval", "--no-config", "--no-lock", "--ext=js", script],
  ]);
  assertEquals([code, stdout, stderr], [0, "the application refused: no\nthrew\nalive\n", ""]);
});

Deno.test("Hooks.resume() tells all listeners, whatever one of them throws", () => {
  const hooks = new Hooks();
  const told: unknown[] = [];
  const { error } = console;
  hooks.on("resume", () => {
    throw new Error("broken listener");
  });
  hooks.on("resume", (event) => void told.push(event));
  console.error = (...words) => void told.push(words.map(String).join(" "));
  try {
    hooks.resume("u1", "no way");
  } finally {
    console.error = error;
  }
  assertEquals(told, [
    "heirloom: a resume listener threw: Error: broken listener",
    { id: "u1", reason: "no way" },
  ]);
});

Deno.test("Hooks.on() refuses an event that there is not", () => {
  assertThrows(
    () => new Hooks().on("commit" as keyof HookListeners, () => {}),
    TypeError,
    'Cannot listen for "commit": events are quiesce and resume',
  );
});

Deno.test("Hooks.quiesce() waits for what a listener adds while it is waited for", async () => {
  const hooks = new Hooks();
  const order: string[] = [];
  hooks.on("quiesce", (event) => {
    event.waitUntil((async () => {
      await Promise.resolve();
      event.waitUntil(Promise.resolve().then(() => Promise.resolve()).then(() => void order.push("late")));
      order.push("early");
    })());
  });
  await hooks.quiesce("1", 10_000);
  assertEquals(order, ["early", "late"]);
});
