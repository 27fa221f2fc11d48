import { assertEquals, assertThrows } from "@std/assert";

import { encodeLuo, type FlbRecord } from "../kho/abi/luo.ts";
import { makeIncoming } from "../kho/samples_test.ts";
import { Device } from "./device.ts";
import { LuoError } from "./errors.ts";
import { type Flb, type FlbIncomingArgs, type FlbOutgoingArgs, MAX_FLBS } from "./flb.ts";
import { assertLuoError, coldWorld, traceable, TRACED, TracingHandler, type World } from "./helpers_test.ts";
import { LUO_SUBTREE, Orchestrator } from "./orchestrator.ts";

/** An FLB that writes down what it is asked, and fails where it is told to. */
class TracingFlb implements Flb<string> {
  readonly compatible: string;
  readonly calls: string[];
  readonly failing = new Set<string>();

  constructor(compatible: string, calls: string[] = []) {
    this.compatible = compatible;
    this.calls = calls;
  }

  preserve(args: FlbOutgoingArgs<string>): void {
    this.#note("preserve", args);
    args.data = 77n;
    args.object = `made by ${this.compatible}`;
  }

  unpreserve(args: FlbOutgoingArgs<string>): void {
    this.#note("unpreserve", args);
  }

  retrieve(args: FlbIncomingArgs<string>): void {
    this.#note("retrieve", args);
    args.object = `taken back by ${this.compatible}`;
  }

  finish(args: FlbIncomingArgs<string>): void {
    this.#note("finish", args);
  }

  #note(operation: string, { data, object }: { data: bigint; object: string | null }): void {
    this.calls.push(`${operation} ${this.compatible} ${data} ${object}`);
    if (this.failing.has(operation)) {
      throw Object.assign(new Error(`${operation} does not work`), { code: "ENXIO" });
    }
  }
}

function withFlbs(world: World, ...names: string[]): { flbs: TracingFlb[]; calls: string[] } {
  const calls: string[] = [];
  const flbs = names.map((name) => new TracingFlb(name, calls));
  for (const flb of flbs) world.luo.flbs.register(world.handler, flb);
  return { flbs, calls };
}

/** A world in which two files of two sessions arrived, and these FLBs. */
function arrivedWith(flbs: FlbRecord[]): { luo: Orchestrator; device: Device; handler: TracingHandler } {
  const sessions = ["a", "b"].map((name, index) => ({
    name,
    files: [{ compatible: TRACED, data: BigInt(101 + index), token: 1n }],
  }));
  const luo = new Orchestrator(
    makeIncoming({ subtrees: { [LUO_SUBTREE]: encodeLuo({ flbs, number: 2n, sessions }) } }),
  );
  const handler = new TracingHandler();
  luo.registry.register(handler);
  return { luo, device: Device.open(luo), handler };
}

Deno.test("registerFlb() wants four callbacks, a name, and a registered handler", () => {
  using world = coldWorld();
  const { registry, flbs } = world.luo;
  for (const name of ["preserve", "unpreserve", "retrieve", "finish"]) {
    const flb = Object.assign(new TracingFlb("f"), { [name]: undefined });
    assertLuoError(() => flbs.register(world.handler, flb), "EINVAL", `it lacks ${name}`);
  }
  for (const name of ["", "x".repeat(48), "ü".repeat(24)]) {
    assertLuoError(() => flbs.register(world.handler, new TracingFlb(name)), "EINVAL", "allowed are 1 to 47");
  }
  const stranger = new TracingHandler("stranger-v1");
  assertLuoError(() => flbs.register(stranger, new TracingFlb("f")), "EINVAL", "not registered");
  registry.register(stranger);
  flbs.register(stranger, new TracingFlb("x".repeat(47)));
});

Deno.test("registerFlb() takes an FLB once per handler, one of each name, and 63 in all", () => {
  using world = coldWorld();
  const { registry, flbs } = world.luo;
  const other = new TracingHandler("other-v1");
  registry.register(other);
  const first = new TracingFlb("f-0");
  flbs.register(world.handler, first);
  assertLuoError(() => flbs.register(world.handler, first), "EEXIST", "with it already");
  flbs.register(other, first);
  assertLuoError(
    () => flbs.register(world.handler, new TracingFlb("f-0")),
    "EEXIST",
    "another FLB has that name",
  );
  for (let i = 1; i < MAX_FLBS; i++) flbs.register(world.handler, new TracingFlb(`f-${i}`));
  assertLuoError(
    () => flbs.register(world.handler, new TracingFlb("f-0")),
    "ENOSPC",
    "63 FLBs are the limit",
  );
  flbs.unregister(world.handler, first);
  assertLuoError(() => flbs.register(world.handler, new TracingFlb("f-63")), "ENOSPC");
  flbs.unregister(other, first);
  flbs.register(world.handler, new TracingFlb("f-63"));
  assertLuoError(() => flbs.unregister(world.handler, first), "ENOENT");
});

Deno.test("An FLB is preserved with the first file and unpreserved with the last, over all sessions", () => {
  using world = coldWorld();
  const { flbs: [one], calls } = withFlbs(world, "one", "two");
  using first = traceable("1");
  using second = traceable("2");
  using a = world.device.createSession("a");
  using b = world.device.createSession("b");
  a.preserveFd(first, 1n);
  b.preserveFd(second, 1n);
  assertEquals(calls.splice(0), ["preserve one 0 null", "preserve two 0 null"]);
  assertEquals(world.luo.flbs.getOutgoing(one as TracingFlb), "made by one");
  assertEquals(world.luo.describe().flbs, [
    { compatible: "one", count: 3n, data: 77n },
    { compatible: "two", count: 2n, data: 77n },
  ]);
  a.unpreserveFd(1n);
  b[Symbol.dispose]();
  assertEquals(calls.splice(0), ["unpreserve two 77 made by two"]);
  world.luo.flbs.putOutgoing(one as TracingFlb);
  assertEquals(calls.splice(0), ["unpreserve one 77 made by one"]);
  assertEquals(world.luo.describe().flbs, []);
  assertLuoError(() => world.luo.flbs.putOutgoing(one as TracingFlb), "EINVAL", "nobody got it");
  assertLuoError(() => world.luo.flbs.getOutgoing(one as TracingFlb), "ENOENT", "no preserved file");
});

Deno.test("An FLB or a handler that fails leaves nothing of the file behind", () => {
  using world = coldWorld();
  const { flbs, calls } = withFlbs(world, "one", "two", "three");
  using file = traceable();
  using session = world.device.createSession("web");
  flbs[2]?.failing.add("preserve");
  const error = assertThrows(
    () => session.preserveFd(file, 1n),
    LuoError,
    'FLB "three": preserve does not work',
  );
  assertEquals([error.code, error.session, error.token, error.handler], ["ENXIO", "web", 1n, TRACED]);
  assertEquals(calls.splice(0).map((call) => call.split(" ", 2).join(" ")), [
    "preserve one",
    "preserve two",
    "preserve three",
    "unpreserve two",
    "unpreserve one",
  ]);
  assertEquals(world.handler.takeCalls(), []);
  flbs[2]?.failing.clear();
  world.handler.failing.set("preserve web/1", new Error("no"));
  assertLuoError(() => session.preserveFd(file, 1n), "EIO");
  assertEquals(calls.splice(3).map((call) => call.split(" ", 2).join(" ")), [
    "unpreserve three",
    "unpreserve two",
    "unpreserve one",
  ]);
  assertEquals(world.luo.describe().flbs, []);
});

Deno.test("An FLB that was handed over is retrieved on demand and finished with the last user", () => {
  const { luo, device } = arrivedWith([{ compatible: "one", count: 2n, data: 5n }]);
  using _ = device;
  const flb = new TracingFlb("one");
  luo.flbs.register(luo.registry.get(TRACED) as TracingHandler, flb);
  assertEquals([luo.flbs.getIncoming(flb), luo.flbs.getIncoming(flb)], [
    "taken back by one",
    "taken back by one",
  ]);
  luo.flbs.putIncoming(flb);
  for (const name of ["a", "b"]) device.retrieveSession(name)[Symbol.dispose]();
  assertEquals(flb.calls, ["retrieve one 5 null"]);
  luo.flbs.putIncoming(flb);
  assertEquals(flb.calls, ["retrieve one 5 null", "finish one 5 taken back by one"]);
  assertLuoError(() => luo.flbs.getIncoming(flb), "ENODATA", "it is finished");
  assertLuoError(() => luo.flbs.putIncoming(flb), "EINVAL", "nobody got it");
});

Deno.test("An FLB that nobody asked for is retrieved for its finish, with the last file", () => {
  const { luo, device, handler } = arrivedWith([{ compatible: "one", count: 2n, data: 5n }]);
  using _ = device;
  const flb = new TracingFlb("one");
  luo.flbs.register(handler, flb);
  device.retrieveSession("a").finish();
  assertEquals(flb.calls, []);
  device.retrieveSession("b").finish();
  assertEquals(flb.calls, ["retrieve one 5 null", "finish one 5 taken back by one"]);
});

Deno.test("An FLB whose retrieve fails gives that error ever after, and is not finished", () => {
  const { luo, device, handler } = arrivedWith([{ compatible: "one", count: 2n, data: 5n }]);
  using _ = device;
  const flb = new TracingFlb("one");
  flb.failing.add("retrieve");
  luo.flbs.register(handler, flb);
  const errors = [0, 1].map(() => assertThrows(() => luo.flbs.getIncoming(flb), LuoError, "does not work"));
  assertEquals([errors[0]?.code, errors[0] === errors[1]], ["ENXIO", true]);
  for (const name of ["a", "b"]) device.retrieveSession(name)[Symbol.dispose]();
  assertEquals(flb.calls, ["retrieve one 5 null"]);
});

Deno.test("getIncoming() tells no handover from no record of that name", () => {
  using world = coldWorld();
  const { flbs: [cold] } = withFlbs(world, "one");
  assertLuoError(() => world.luo.flbs.getIncoming(cold as TracingFlb), "ENODATA", "nothing was handed over");
  const { luo, device, handler } = arrivedWith([]);
  using _ = device;
  const flb = new TracingFlb("one");
  luo.flbs.register(handler, flb);
  assertLuoError(() => luo.flbs.getIncoming(flb), "ENOENT", "none of that name");
  // A handler that came to its FLB in this build only: its files are not in any count.
  for (const name of ["a", "b"]) device.retrieveSession(name)[Symbol.dispose]();
  assertEquals(flb.calls, []);
});

Deno.test("A handler reaches the objects of FLBs, and the tokens of other files, through its arguments", () => {
  using world = coldWorld();
  const { flbs: [flb] } = withFlbs(world, "one");
  using first = traceable("1");
  using second = traceable("2");
  using stranger = traceable("3");
  const seen: unknown[] = [];
  world.handler.freeze = (args) => {
    seen.push(args.flbs.getOutgoing(flb as TracingFlb), args.tokenOf(first.fd));
    args.flbs.putOutgoing(flb as TracingFlb);
    seen.push(assertThrows(() => args.tokenOf(stranger.fd), LuoError).code);
    seen.push(assertThrows(() => args.tokenOf(-1), LuoError).code);
  };
  using a = world.device.createSession("a");
  using b = world.device.createSession("b");
  a.preserveFd(first, 8n);
  b.preserveFd(stranger, 9n);
  a.preserveFd(second, 10n);
  world.handler.freeze = ((freeze) => (args) => {
    if (args.token === 10n) freeze(args);
  })(world.handler.freeze);
  world.luo.freeze();
  assertEquals(seen, ["made by one", 8n, "ENOENT", "EBADF"]);
  world.luo.unfreeze();
});

Deno.test("unregisterHandler() detaches the FLBs of a handler", () => {
  using world = coldWorld();
  const { flbs: [flb] } = withFlbs(world, "one");
  world.luo.registry.unregister(world.handler);
  world.luo.flbs.detach(world.handler);
  assertEquals(world.luo.flbs.of(world.handler), []);
  assertEquals(world.luo.flbs.get("one"), undefined);
  assertLuoError(() => world.luo.flbs.register(world.handler, flb as TracingFlb), "EINVAL", "not registered");
});
