/**
 * The kernel's own test of FLBs (`lib/tests/liveupdate.c`), ported by meaning: three FLBs on which the files of every
 * handler depend. Once in this process, and then in a process that updates itself.
 *
 * One answer differs (section 12.1 of the reference): counts are loaded when the handover is read. So the last file
 * finishes an FLB even where nobody ever asked for it; the kernel's count would then go below zero.
 *
 * @module
 */
import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";

import { assertLuoError } from "../../luo/helpers_test.ts";
import { Orchestrator } from "../../luo/orchestrator.ts";
import {
  Device,
  type FileHandler,
  flbs,
  LuoError,
  registerFlb,
  type Session,
  unregisterFlb,
} from "../../mod.ts";
import { openFile } from "../../sys/mod.ts";
import { builtinHandlers, registerEverywhere, TestFlb, type TestFlbs, testFlbs } from "./_kernel_flb.ts";
import { memfdOf } from "./_kernel_kit.ts";
import { acrossUpdates } from "./_kernel_stages.ts";

const across = acrossUpdates(import.meta.url);

/** What is called for all three, one after another. */
const each = (operation: string): string[] => [0, 1, 2].map((index) => `${operation} ${index}`);

/** What is called for all three, the last one first. */
const eachBack = (operation: string): string[] => each(operation).toReversed();

/** Asks for each of the three and gives it back at once, as the kernel's test does first: the answers. */
function probe({ all }: TestFlbs): string[] {
  return all.map((flb) => {
    try {
      assertEquals(flbs.getIncoming(flb), flb.magic);
    } catch (error) {
      if (error instanceof LuoError) return error.code;
      throw error;
    }
    flbs.putIncoming(flb);
    return "ok";
  });
}

/** Two sessions with three files of two handlers. */
function preserveThree(device: Device): [Session, Session] {
  const [one, two] = [device.createSession("one"), device.createSession("two")];
  using first = memfdOf("first");
  using second = memfdOf("second");
  using file = openFile(new URL(import.meta.url).pathname);
  one.preserveFd(first, 1n);
  one.preserveFd(file, 2n);
  two.preserveFd(second, 1n);
  return [one, two];
}

Deno.test("kernel FLBs: preserved with the first file of any handler, unpreserved with the last", () => {
  const three = testFlbs();
  assertEquals(probe(three), ["ENODATA", "ENODATA", "ENODATA"]);
  registerEverywhere(three);
  for (const handler of builtinHandlers()) {
    assertLuoError(() => registerFlb(handler, three.all[0]), "EEXIST");
  }
  using device = Device.open();
  const [one, two] = preserveThree(device);
  assertEquals(three.takeCalls(), each("preserve"));
  one[Symbol.dispose]();
  assertEquals(three.takeCalls(), []);
  two[Symbol.dispose]();
  assertEquals(three.takeCalls(), eachBack("unpreserve"));
  for (const handler of builtinHandlers()) {
    for (const flb of three.all) unregisterFlb(handler, flb);
    assertLuoError(() => unregisterFlb(handler, three.all[0]), "ENOENT");
  }
});

Deno.test("kernel FLBs: 63 fit, under 63 names, and one may be of many handlers", () => {
  // A world of its own: in this one the handlers may have FLBs already.
  const luo = new Orchestrator(null);
  const [handler, other] = builtinHandlers() as [FileHandler, FileHandler];
  [handler, other].forEach((each) => luo.registry.register(each));
  const calls: string[] = [];
  const many = Array.from({ length: 63 }, (_, index) => new TestFlb(index, calls));
  for (const flb of many) luo.flbs.register(handler, flb);
  assertLuoError(() => luo.flbs.register(handler, new TestFlb(63, calls)), "ENOSPC");
  luo.flbs.register(other, many[0]!);
  luo.flbs.unregister(handler, many[62]!);
  assertLuoError(
    () => luo.flbs.register(handler, new TestFlb(0, calls)),
    "EEXIST",
    "another FLB has that name",
  );
  luo.flbs.register(handler, new TestFlb(63, calls));
  assertEquals(calls, []);
});

await across("kernel FLBs: retrieved once, finished once, with the last file of two sessions", [
  () => {
    const three = testFlbs();
    assertEquals(probe(three), ["ENODATA", "ENODATA", "ENODATA"]);
    registerEverywhere(three);
    using device = Device.open();
    preserveThree(device);
    assertEquals(three.takeCalls(), each("preserve"));
  },
  () => {
    const three = testFlbs();
    assertEquals(probe(three), ["ok", "ok", "ok"]);
    assertEquals(probe(three), ["ok", "ok", "ok"]);
    assertEquals(three.takeCalls(), each("retrieve"));
    registerEverywhere(three);
    using device = Device.open();
    const [one, two] = [device.retrieveSession("one"), device.retrieveSession("two")];
    one.retrieveFd(2n)[Symbol.dispose]();
    one.finish();
    assertEquals(probe(three), ["ok", "ok", "ok"]);
    assertEquals(three.takeCalls(), []);

    // What is handed on from here is of another world, with a count of its own.
    using memory = memfdOf("third");
    device.createSession("third").preserveFd(memory, 3n);
    assertEquals(three.takeCalls(), each("preserve"));
    two[Symbol.dispose]();
    assertEquals(three.takeCalls(), eachBack("finish"));
    one[Symbol.dispose]();
    assertEquals([probe(three), three.takeCalls()], [["ENODATA", "ENODATA", "ENODATA"], []]);
  },
  () => {
    const three = testFlbs();
    registerEverywhere(three);
    using device = Device.open();
    assertEquals(probe(three), ["ok", "ok", "ok"]);
    device.retrieveSession("third").finish();
    assertEquals(three.takeCalls(), [...each("retrieve"), ...eachBack("finish")]);
    device.createSession("without files");
  },
  // A handover without records of them.
  () => assertEquals(probe(testFlbs()), ["ENOENT", "ENOENT", "ENOENT"]),
]);

await across("kernel FLBs: those that nobody asked for are retrieved and finished with the last file", [
  () => {
    registerEverywhere(testFlbs());
    using device = Device.open();
    preserveThree(device);
  },
  () => {
    const three = testFlbs();
    registerEverywhere(three);
    using device = Device.open();
    device.retrieveSession("two")[Symbol.dispose]();
    assertEquals(three.takeCalls(), []);
    device.retrieveSession("one").finish();
    assertEquals(three.takeCalls(), [2, 1, 0].flatMap((index) => [`retrieve ${index}`, `finish ${index}`]));
    assertEquals(probe(three), ["ENODATA", "ENODATA", "ENODATA"]);
  },
]);

await across("kernel FLBs: whoever has got one keeps it from being finished until it is put back", [
  () => {
    const three = testFlbs();
    registerEverywhere(three);
    using device = Device.open();
    preserveThree(device);
    const [first, second] = three.all;
    assertStrictEquals(flbs.getOutgoing(first), null);
    flbs.putOutgoing(first);
    assertLuoError(() => flbs.putOutgoing(first), "EINVAL");
    assertThrows(() => flbs.getOutgoing(new TestFlb(7, [])), LuoError);
    // Not given back: the next image has one more user, which nobody there can be.
    flbs.getOutgoing(second);
  },
  () => {
    const three = testFlbs();
    registerEverywhere(three);
    using device = Device.open();
    const [first] = three.all;
    assertLuoError(() => flbs.putIncoming(first), "EINVAL");
    for (let round = 0; round < 2; round++) assertEquals(flbs.getIncoming(first), first.magic);
    for (const name of ["one", "two"]) device.retrieveSession(name).finish();
    assertEquals(three.takeCalls(), ["retrieve 0", "retrieve 2", "finish 2"]);
    flbs.putIncoming(first);
    assertEquals(three.takeCalls(), []);
    flbs.putIncoming(first);
    assertEquals(three.takeCalls(), ["finish 0"]);
    assertLuoError(() => flbs.putIncoming(first), "EINVAL");
    assertEquals(probe(three), ["ENODATA", "ok", "ENODATA"]);
    assertEquals(three.takeCalls(), ["retrieve 1"]);
  },
]);

await across("kernel FLBs: what is not exactly the number that was preserved is EINVAL, for ever", [
  () => {
    registerEverywhere(testFlbs());
    using device = Device.open();
    preserveThree(device);
  },
  () => {
    const three = testFlbs(0xBADn);
    const [first] = three.all;
    const errors = [0, 1].map(() => assertThrows(() => flbs.getIncoming(first), LuoError, "it carries"));
    assertEquals(errors.map(({ code }) => code), ["EINVAL", "EINVAL"]);
    assert(errors[0] === errors[1]);
    assertEquals(three.takeCalls(), ["retrieve 0"]);
    assertEquals(probe(three), ["EINVAL", "EINVAL", "EINVAL"]);
    assertEquals(three.takeCalls(), ["retrieve 1", "retrieve 2"]);
  },
]);
