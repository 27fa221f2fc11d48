import { assertEquals } from "@std/assert";

import { type FileHandler, HandlerRegistry } from "./handler.ts";
import { assertLuoError, coldWorld, traceable, TracingHandler, warmWorld } from "./helpers_test.ts";

Deno.test("HandlerRegistry asks handlers in the order of their registration", () => {
  const registry = new HandlerRegistry();
  const asked: string[] = [];
  const make = (compatible: string, answer: boolean): FileHandler => {
    const handler = new TracingHandler(compatible);
    handler.canPreserve = () => (asked.push(compatible), answer);
    return handler;
  };
  const [no, yes, late] = [make("no-v1", false), make("yes-v1", true), make("late-v1", true)] as const;
  for (const handler of [no, yes, late]) registry.register(handler);
  assertEquals(registry.find(0), yes);
  assertEquals(asked, ["no-v1", "yes-v1"]);
  assertEquals(registry.get("late-v1"), late);
  assertEquals(registry.get("late-v2"), undefined);
  registry.unregister(yes);
  assertEquals(registry.find(0), late);
  registry.unregister(late);
  assertEquals(registry.find(0), undefined);
});

Deno.test("HandlerRegistry.register() refuses a handler without a required callback", () => {
  for (const missing of ["canPreserve", "preserve", "unpreserve", "retrieve", "finish"] as const) {
    const handler = new TracingHandler();
    Object.defineProperty(handler, missing, { value: undefined });
    assertLuoError(() => new HandlerRegistry().register(handler), "EINVAL", `it lacks ${missing}`);
  }
});

Deno.test("HandlerRegistry.register() does without the optional callbacks", () => {
  const handler = new TracingHandler();
  for (const optional of ["freeze", "unfreeze", "canFinish", "getId"]) {
    Object.defineProperty(handler, optional, { value: undefined });
  }
  new HandlerRegistry().register(handler);
});

Deno.test("HandlerRegistry.register() refuses a name that is taken, empty or too long", () => {
  const registry = new HandlerRegistry();
  registry.register(new TracingHandler("c".repeat(47)));
  registry.register(new TracingHandler("c"));
  assertLuoError(() => registry.register(new TracingHandler("c")), "EEXIST", '"c": that name is registered');
  for (const name of ["", "c".repeat(48), "é".repeat(24)]) {
    assertLuoError(() => registry.register(new TracingHandler(name)), "EINVAL", "allowed are 1 to 47");
  }
});

Deno.test("HandlerRegistry.unregister() refuses a handler that is unknown or holds files", () => {
  const registry = new HandlerRegistry();
  assertLuoError(() => registry.unregister(new TracingHandler()), "ENOENT");

  using cold = coldWorld();
  const session = cold.device.createSession("web");
  using file = traceable();
  session.preserveFd(file, 1n);
  assertLuoError(() => cold.luo.registry.unregister(cold.handler), "EBUSY", "it holds 1 files");
  session[Symbol.dispose]();
  cold.luo.registry.unregister(cold.handler);

  using warm = warmWorld({ web: [1n, 2n] });
  assertLuoError(() => warm.luo.registry.unregister(warm.handler), "EBUSY", "it holds 2 files");
  warm.device.retrieveSession("web").finish();
  warm.luo.registry.unregister(warm.handler);
});

Deno.test("HandlerRegistry holds nothing after a preserve that failed", () => {
  using world = coldWorld();
  using session = world.device.createSession("web");
  using file = traceable();
  world.handler.failing.set("preserve web/1", new Error("no"));
  try {
    session.preserveFd(file, 1n);
  } catch { /* what it threw is not the point here */ }
  world.luo.registry.unregister(world.handler);
});
