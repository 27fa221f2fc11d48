/**
 * The exact order of the callbacks of sessions and files, in every path of sections 2 and 3 of the reference. FLBs and
 * dependencies have theirs in `tracing_flb_test.ts`.
 *
 * @module
 */
import { assertEquals } from "@std/assert";

import { Journal } from "../kho/journal.ts";
import { sampleImage } from "../kho/samples_test.ts";
import { buildSegment } from "../kho/segment_build.ts";
import { createMemfd, openFile } from "../sys/mod.ts";
import { assertLuoError } from "./helpers_test.ts";
import { reboot, type RebootPlan } from "./reboot.ts";
import { Stage } from "./tracing_kit_test.ts";

/** What each file of handler `full` is asked first. */
const ASKED = ["canPreserve full", "getId full"];

const AGAIN = Object.assign(new Error("not now"), { code: "EAGAIN" });

Deno.test("Trace: a whole life, with an update in it", () => {
  using stage = Stage.cold();
  stage.fill("a", 3n, 1n);
  stage.fill("empty");
  stage.fill("b", -2n);
  assertEquals(stage.take(), [
    ...[...ASKED, "preserve a/3", ...ASKED, "preserve a/1"],
    ...["canPreserve full", "canPreserve bare", "preserve b/2"],
  ]);
  stage.update();
  assertEquals(stage.take(), ["freeze a/3", "freeze a/1"]);
  const [a, b] = [stage.device.retrieveSession("a"), stage.device.retrieveSession("b")];
  assertEquals(stage.take(), []);
  stage.retrieve(a, 1n, 3n, 1n);
  stage.retrieve(b, 2n);
  assertEquals(stage.take(), ["retrieve a/1", "getId full", "retrieve a/3", "getId full", "retrieve b/2"]);
  a.finish();
  b.finish();
  assertEquals(stage.take(), [
    ...["canFinish a/3", "canFinish a/1"],
    ...["finish a/1", "  it was retrieved", "finish a/3", "  it was retrieved"],
    ...["finish b/2", "  it was retrieved"],
  ]);
  a.finish();
  for (const session of [a, b]) session[Symbol.dispose]();
  assertEquals(stage.take(), []);
});

Deno.test("Trace: preserve asks handlers in their order, then for the identity, then the handler that has it", () => {
  using stage = Stage.cold();
  const session = stage.fill("a");
  using nobody = openFile("/dev/null");
  assertLuoError(() => session.preserveFd(nobody, 1n), "ENOENT");
  assertEquals(stage.take(), ["canPreserve full", "canPreserve bare"]);
  using file = createMemfd("full-x");
  session.preserveFd(file, 1n);
  assertEquals(stage.take(), [...ASKED, "preserve a/1"]);
  assertLuoError(() => session.preserveFd(file, 2n), "EBUSY");
  assertEquals(stage.take(), ASKED);
  assertLuoError(() => session.preserveFd(nobody, 1n), "EEXIST");
  assertLuoError(() => session.preserveFd(-1, 2n), "EBADF");
  assertEquals(stage.take(), []);
});

Deno.test("Trace: preserve that fails is not undone by LUO", () => {
  using stage = Stage.cold();
  const session = stage.fill("a", 1n);
  stage.take();
  stage.failing.set("preserve a/2", AGAIN);
  assertLuoError(() => stage.preserve(session, 2n), "EAGAIN");
  assertEquals(stage.take(), [...ASKED, "preserve a/2"]);
  session[Symbol.dispose]();
  assertEquals(stage.take(), ["unpreserve a/1"]);
});

Deno.test("Trace: an update that is given up before it began: the session is closed, newest file first", () => {
  using stage = Stage.cold();
  const [a, b] = [stage.fill("a", 5n, -1n, 9n), stage.fill("b", 5n)];
  stage.take();
  a.unpreserveFd(1n);
  assertEquals(stage.take(), ["unpreserve a/1"]);
  stage.preserve(a, 1n);
  stage.take();
  for (const session of [a, b, a]) session[Symbol.dispose]();
  assertEquals(stage.take(), ["unpreserve a/1", "unpreserve a/9", "unpreserve a/5", "unpreserve b/5"]);
});

Deno.test("Trace: freeze that fails at a file of a session", () => {
  const cases: [failing: string, calls: string[]][] = [
    ["a/1", ["freeze a/1"]],
    ["a/2", ["freeze a/1", "freeze a/2", "unfreeze a/1"]],
    ["b/1", ["freeze a/1", "freeze a/2", "freeze b/1", "unfreeze a/1", "unfreeze a/2"]],
    [
      "b/3",
      [
        "freeze a/1",
        "freeze a/2",
        "freeze b/1",
        "freeze b/3",
        "unfreeze b/1",
        "unfreeze a/1",
        "unfreeze a/2",
      ],
    ],
    [
      "c/1",
      [
        ...["freeze a/1", "freeze a/2", "freeze b/1", "freeze b/3", "freeze b/4", "freeze c/1"],
        ...["unfreeze b/1", "unfreeze b/3", "unfreeze b/4", "unfreeze a/1", "unfreeze a/2"],
      ],
    ],
  ];
  for (const [failing, calls] of cases) {
    using stage = Stage.cold();
    const sessions = [stage.fill("a", 1n, 2n), stage.fill("b", 1n, -2n, 3n, 4n), stage.fill("c", 1n)];
    stage.take();
    stage.failing.set(`freeze ${failing}`, AGAIN);
    assertLuoError(() => stage.luo.freeze(), "EAGAIN");
    assertEquals(stage.take(), calls, failing);
    stage.failing.clear();
    // All stay preserved: the next try freezes every one, and a close unpreserves them.
    stage.update();
    const all = ["freeze a/1", "freeze a/2", "freeze b/1", "freeze b/3", "freeze b/4", "freeze c/1"];
    assertEquals(stage.take(), all, failing);
    assertEquals(sessions.map(({ closed }) => closed), [true, true, true]);
  }
});

Deno.test("Trace: freeze that failed, and the sessions are closed instead", () => {
  using stage = Stage.cold();
  const [a, b] = [stage.fill("a", 1n, 2n), stage.fill("b", 1n)];
  stage.take();
  stage.failing.set("freeze b/1", AGAIN);
  assertLuoError(() => stage.luo.freeze(), "EAGAIN");
  for (const session of [a, b]) session[Symbol.dispose]();
  assertEquals(stage.take(), [
    ...["freeze a/1", "freeze a/2", "freeze b/1", "unfreeze a/1", "unfreeze a/2"],
    ...["unpreserve a/2", "unpreserve a/1", "unpreserve b/1"],
  ]);
});

Deno.test("Trace: an exec that fails unfreezes sessions last to first, files first to last, and may be tried again", () => {
  using stage = Stage.cold();
  stage.fill("a", 1n, 2n);
  stage.fill("b", 3n, -4n, 5n);
  stage.take();
  using journal = Journal.create();
  const image = sampleImage({ exec: "/nonexistent/runtime", cwd: Deno.cwd(), limits: [] });
  const plan: RebootPlan = {
    ...{ image, next: image, journal, inherited: [], count: 0n, build: buildSegment },
    subtrees: () => [],
  };
  const frozen = ["freeze a/1", "freeze a/2", "freeze b/3", "freeze b/5"];
  const thawed = ["unfreeze b/3", "unfreeze b/5", "unfreeze a/1", "unfreeze a/2"];
  for (let round = 0; round < 2; round++) {
    let code: unknown;
    try {
      reboot(stage.luo, plan);
    } catch (error) {
      code = (error as { code?: unknown }).code;
    }
    assertEquals([code, stage.take()], ["ENOENT", [...frozen, ...thawed]]);
  }
  stage.update();
  assertEquals(stage.take(), frozen);
});

Deno.test("Trace: retrieve that fails is asked once, and finish is told", () => {
  using stage = Stage.cold();
  stage.fill("a", 1n, 2n);
  stage.update();
  stage.take();
  const session = stage.device.retrieveSession("a");
  stage.failing.set("retrieve a/1", AGAIN);
  assertLuoError(() => stage.retrieve(session, 1n), "EAGAIN");
  stage.failing.clear();
  assertLuoError(() => stage.retrieve(session, 1n), "EAGAIN");
  stage.retrieve(session, 2n);
  assertLuoError(() => stage.retrieve(session, 3n), "ENOENT");
  assertEquals(stage.take(), ["retrieve a/1", "retrieve a/2", "getId full"]);
  session.finish();
  assertEquals(stage.take(), [
    ...["canFinish a/1", "canFinish a/2", "finish a/2", "  it was retrieved", "finish a/1"],
    '  its retrieve failed: Cannot retrieve token 1 of session "a": handler "full": not now',
  ]);
  assertLuoError(() => stage.retrieve(session, 1n), "ENOENT");
  assertEquals(stage.take(), []);
});

Deno.test("Trace: finish that is refused asks no further, and is tried from the start", () => {
  using stage = Stage.cold();
  stage.fill("a", 1n, -2n, 3n, 4n);
  stage.update();
  stage.take();
  const session = stage.device.retrieveSession("a");
  stage.refusing.add(3n);
  assertLuoError(() => session.finish(), "EBUSY");
  assertEquals(stage.take(), ["canFinish a/1", "canFinish a/3"]);
  stage.refusing.clear();
  session.finish();
  assertEquals(stage.take(), [
    ...["canFinish a/1", "canFinish a/3", "canFinish a/4"],
    ...["finish a/4", "finish a/3", "finish a/2", "finish a/1"],
  ]);
});

Deno.test("Trace: close without finish is finish; one that is refused can be made up for", () => {
  using stage = Stage.cold();
  stage.fill("a", 1n, 2n);
  stage.update();
  stage.take();
  const session = stage.device.retrieveSession("a");
  stage.retrieve(session, 1n);
  stage.refusing.add(2n);
  session[Symbol.dispose]();
  assertEquals(stage.take(), ["retrieve a/1", "getId full", "canFinish a/1", "canFinish a/2"]);
  stage.refusing.clear();
  const again = stage.device.retrieveSession("a");
  stage.retrieve(again, 1n);
  again[Symbol.dispose]();
  assertEquals(stage.take(), [
    ...["canFinish a/1", "canFinish a/2"],
    ...["finish a/2", "finish a/1", "  it was retrieved"],
  ]);
});

Deno.test("Trace: a session that nobody finished is dropped by the next update without a call", () => {
  using stage = Stage.cold();
  stage.fill("a", 1n);
  stage.fill("b", 2n);
  stage.update();
  stage.retrieve(stage.device.retrieveSession("a"), 1n);
  stage.fill("c", 3n);
  stage.take();
  stage.update();
  assertEquals(stage.take(), ["freeze c/3"]);
  assertEquals(stage.device.sessions().map(({ name }) => name), ["c"]);
});

Deno.test("Trace: calls that are refused call nobody", () => {
  using stage = Stage.cold();
  stage.fill("a", 1n);
  stage.update();
  const [incoming, outgoing] = [stage.device.retrieveSession("a"), stage.fill("a", 1n)];
  stage.take();
  assertLuoError(() => incoming.preserveFd(0, 2n), "EINVAL");
  assertLuoError(() => outgoing.retrieveFd(1n), "EINVAL");
  assertLuoError(() => outgoing.finish(), "EINVAL");
  assertLuoError(() => outgoing.unpreserveFd(2n), "ENOENT");
  assertLuoError(() => stage.device.retrieveSession("a"), "EINVAL");
  assertLuoError(() => stage.device.createSession("a"), "EEXIST");
  assertEquals(stage.take(), []);
  stage.luo.freeze();
  stage.take();
  for (const session of [outgoing, incoming]) assertLuoError(() => session[Symbol.dispose](), "EBUSY");
  assertLuoError(() => stage.luo.freeze(), "EBUSY");
  assertEquals(stage.take(), []);
  stage.luo.unfreeze();
});
