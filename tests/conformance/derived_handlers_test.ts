/**
 * Derived scenarios of handlers, with their numbers in section 8.5 of the reference: in which order they are called, and
 * what becomes of their failures. Each stage is an image of a process that updates itself.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";

import { assertLuoError } from "../../luo/helpers_test.ts";
import { Device, LuoError, reboot, type Session } from "../../mod.ts";
import { memfdOf, textOf } from "./_kernel_kit.ts";
import { acrossUpdates } from "./_kernel_stages.ts";
import { failure, registerTracer, traced } from "./_kernel_tracer.ts";

const across = acrossUpdates(import.meta.url);

/** Creates a session with traced files under these tokens, in this order. */
function traceIn(device: Device, name: string, tokens: readonly bigint[]): Session {
  const session = device.createSession(name);
  for (const token of tokens) {
    using file = traced();
    session.preserveFd(file, token);
  }
  return session;
}

await across("derived 10: a failed retrieve is remembered, the handler is asked once, and finish is told", [
  () => {
    registerTracer();
    using device = Device.open();
    traceIn(device, "web", [1n, 2n, 3n]);
  },
  () => {
    const tracer = registerTracer();
    using device = Device.open();
    const session = device.retrieveSession("web");
    tracer.failing.set("retrieve web/2", failure("ENOMEM"));
    const first = assertThrows(() => session.retrieveFd(2n), LuoError);
    assertEquals([first.code, first.session, first.token], ["ENOMEM", "web", 2n]);
    // The cause is gone, and the answer stays.
    tracer.failing.clear();
    assertLuoError(() => session.retrieveFd(2n), "ENOMEM", "told to fail");
    assertStrictEquals(assertThrows(() => session.retrieveFd(2n)), first);
    assertEquals(tracer.takeCalls(), ["retrieve web/2"]);
    session.retrieveFd(1n)[Symbol.dispose]();
    session.finish();
    const status = (token: number): unknown => tracer.statuses.get(`finish web/${token}`);
    assertEquals([status(1), status(3)], [1, 0]);
    assert(status(2) instanceof Error && (status(2) as LuoError).code === "ENOMEM");
    assertEquals(tracer.statuses.get("canFinish web/2"), status(2));
  },
]);

await across("derived 11: while a handler refuses nothing is finished, and a close can be repeated", [
  () => {
    registerTracer();
    using device = Device.open();
    traceIn(device, "web", [1n, 2n, 3n]);
  },
  () => {
    const tracer = registerTracer();
    using device = Device.open();
    const session = device.retrieveSession("web");
    using _file = session.retrieveFd(1n);
    tracer.takeCalls();
    tracer.refusing.add(2n);
    for (let round = 0; round < 2; round++) {
      assertLuoError(() => session.finish(), "EBUSY", "token 2");
      assertEquals(tracer.takeCalls(), ["canFinish web/1", "canFinish web/2"]);
    }
    using _more = session.retrieveFd(3n);
    assertEquals(session.files().map(({ token }) => token), [1n, 2n, 3n]);

    // The kernel would leak the session here for ever; ours can be retrieved again (section 12.3).
    session[Symbol.dispose]();
    assertLuoError(() => session.retrieveFd(1n), "EBADF");
    const again = device.retrieveSession("web");
    using _same = again.retrieveFd(1n);
    tracer.takeCalls();
    tracer.refusing.clear();
    assertEquals(again.state, "retrieved");
    again.finish();
    assertEquals(again.state, "finished");
    const asked = [1, 2, 3].map((token) => `canFinish web/${token}`);
    assertEquals(tracer.takeCalls(), [...asked, ...[3, 2, 1].map((token) => `finish web/${token}`)]);
  },
]);

await across("derived 12: a failed freeze is undone in the kernel's order, and the reboot fails with it", [
  async () => {
    const tracer = registerTracer();
    using device = Device.open();
    traceIn(device, "one", [11n, 12n]);
    traceIn(device, "two", [21n, 22n]);
    const three = traceIn(device, "three", [31n, 32n, 33n]);
    traceIn(device, "four", [41n]);
    tracer.takeCalls();
    tracer.failing.set("freeze three/32", failure("ENOSPC"));
    const error = await assertRejects(() => reboot(), LuoError, "told to fail");
    // Which file it was the kernel only logs (section 12.6).
    const place = [error.session, error.token, error.handler];
    assertEquals([error.code, ...place], ["ENOSPC", "three", 32n, "kernel-traced-v1"]);
    const expected = [
      ...["freeze one/11", "freeze one/12", "freeze two/21", "freeze two/22"],
      ...["freeze three/31", "freeze three/32", "unfreeze three/31"],
      ...["unfreeze two/21", "unfreeze two/22", "unfreeze one/11", "unfreeze one/12"],
    ];
    assertEquals(tracer.takeCalls(), expected);

    assertEquals(device.sessions().map(({ state }) => state), Array(4).fill("preserving"));
    // Everything is usable, and nobody took over the handles that were written on the way.
    using late = traced();
    three.preserveFd(late, 34n);
    const handles = [31, 32, 33].map((token) => tracer.handles.get(`preserve three/${token}`));
    assertEquals(handles, [0n, 0n, 0n], "there is no handle before preserve gives one");
    const held = three.files().map(({ fd }) => BigInt(fd ?? -1));
    tracer.takeCalls();
    three[Symbol.dispose]();
    const calls = [34, 33, 32, 31].map((token) => `unpreserve three/${token}`);
    assertEquals(tracer.takeCalls(), calls);
    assertEquals(calls.map((call) => tracer.handles.get(call)), held.toReversed());
    tracer.failing.clear();
  },
  () => {
    const tracer = registerTracer();
    using device = Device.open();
    // The reboot was repeated, and took along what was left.
    assertEquals(device.sessions().map(({ name }) => name), ["one", "two", "four"]);
    const session = device.retrieveSession("one");
    session.retrieveFd(12n)[Symbol.dispose]();
    assertEquals(tracer.takeCalls(), ["retrieve one/12"]);
  },
]);

await across("derived 13: freeze and canFinish go first to last, unpreserve and finish last to first", [
  () => {
    const tracer = registerTracer();
    using device = Device.open();
    const dropped = traceIn(device, "dropped", [5n, 9n, 1n]);
    dropped[Symbol.dispose]();
    const preserved = ["preserve dropped/5", "preserve dropped/9", "preserve dropped/1"];
    const unpreserved = ["unpreserve dropped/1", "unpreserve dropped/9", "unpreserve dropped/5"];
    assertEquals(tracer.takeCalls(), [...preserved, ...unpreserved]);

    // In an order that neither names nor tokens would give.
    for (const name of ["b", "a"]) traceIn(device, name, [5n, 9n, 1n]);
    const log = memfdOf("");
    device.createSession("log").preserveFd(log, 0n);
    tracer.log = log;
  },
  () => {
    const tracer = registerTracer();
    using device = Device.open();
    using log = device.retrieveSession("log").retrieveFd(0n);
    const frozen = ["b/5", "b/9", "b/1", "a/5", "a/9", "a/1"].map((file) => `freeze ${file}\n`);
    assertEquals(textOf(log), frozen.join(""));
    const session = device.retrieveSession("b");
    for (const token of [1n, 5n]) session.retrieveFd(token)[Symbol.dispose]();
    session.finish();
    assertEquals(tracer.takeCalls(), [
      ...["retrieve b/1", "retrieve b/5"],
      ...["canFinish b/5", "canFinish b/9", "canFinish b/1"],
      ...["finish b/1", "finish b/9", "finish b/5"],
    ]);
    device.retrieveSession("a")[Symbol.dispose]();
    assertEquals(tracer.takeCalls(), [
      ...["canFinish a/5", "canFinish a/9", "canFinish a/1"],
      ...["finish a/1", "finish a/9", "finish a/5"],
    ]);
  },
]);
