/**
 * The exact order of the callbacks of FLBs among those of the files that depend on them, and of files that need each other.
 *
 * @module
 */
import { assertEquals } from "@std/assert";

import { assertLuoError } from "./helpers_test.ts";
import { type Links, Stage } from "./tracing_kit_test.ts";

/** Both handlers share `x` and `y`, in another order each; `full` has `z` for itself. */
const LINKS: Links = { full: ["x", "y", "z"], bare: ["y", "x"] };

const ASKED = ["canPreserve full", "getId full"];
const ASKED_BARE = ["canPreserve full", "canPreserve bare"];

const AGAIN = Object.assign(new Error("not now"), { code: "EAGAIN" });

/** Only what FLBs were asked. */
function flbCalls(stage: Stage): string[] {
  return stage.take().filter((call) => call.includes("."));
}

Deno.test("Trace: FLBs are preserved with the first file, in their order, and unpreserved with the last, in reverse", () => {
  using stage = Stage.cold(LINKS);
  const a = stage.fill("a", -1n);
  assertEquals(stage.take(), [...ASKED_BARE, "y.preserve", "x.preserve", "preserve a/1"]);
  const b = stage.fill("b", 1n, 2n);
  assertEquals(stage.take(), [...ASKED, "z.preserve", "preserve b/1", ...ASKED, "preserve b/2"]);
  a[Symbol.dispose]();
  assertEquals(stage.take(), ["unpreserve a/1"]);
  b[Symbol.dispose]();
  assertEquals(stage.take(), [
    "unpreserve b/2",
    "unpreserve b/1",
    "z.unpreserve",
    "y.unpreserve",
    "x.unpreserve",
  ]);
  stage.fill("c", 1n);
  assertEquals(stage.take(), [...ASKED, "x.preserve", "y.preserve", "z.preserve", "preserve c/1"]);
});

Deno.test("Trace: an FLB that cannot be preserved gives those before it back, last to first", () => {
  const cases: [failing: string, calls: string[]][] = [
    ["x.preserve", ["x.preserve"]],
    ["y.preserve", ["x.preserve", "y.preserve", "x.unpreserve"]],
    ["z.preserve", ["x.preserve", "y.preserve", "z.preserve", "y.unpreserve", "x.unpreserve"]],
    [
      "preserve a/1",
      [
        ...["x.preserve", "y.preserve", "z.preserve", "preserve a/1"],
        ...["z.unpreserve", "y.unpreserve", "x.unpreserve"],
      ],
    ],
  ];
  for (const [failing, calls] of cases) {
    using stage = Stage.cold(LINKS);
    const session = stage.fill("a");
    stage.failing.set(failing, AGAIN);
    assertLuoError(() => stage.preserve(session, 1n), "EAGAIN");
    assertEquals(stage.take(), [...ASKED, ...calls], failing);
    stage.failing.clear();
    stage.preserve(session, 1n);
    assertEquals(stage.take(), [...ASKED, "x.preserve", "y.preserve", "z.preserve", "preserve a/1"], failing);
  }
});

Deno.test("Trace: a file that fails takes along only the FLBs that it was the first to need", () => {
  using stage = Stage.cold(LINKS);
  const session = stage.fill("a", -1n);
  stage.take();
  stage.failing.set("z.preserve", AGAIN);
  assertLuoError(() => stage.preserve(session, 2n), "EAGAIN");
  assertEquals(stage.take(), [...ASKED, "z.preserve"]);
  stage.failing.clear();
  stage.failing.set("preserve a/2", AGAIN);
  assertLuoError(() => stage.preserve(session, 2n), "EAGAIN");
  assertEquals(stage.take(), [...ASKED, "z.preserve", "preserve a/2", "z.unpreserve"]);
  session.unpreserveFd(1n);
  assertEquals(stage.take(), ["unpreserve a/1", "x.unpreserve", "y.unpreserve"]);
});

Deno.test("Trace: whoever has the object of an outgoing FLB keeps it preserved", () => {
  using stage = Stage.cold(LINKS);
  const { flbs } = stage.luo;
  assertLuoError(() => flbs.getOutgoing(stage.flb("y")), "ENOENT");
  const session = stage.fill("a", -1n);
  stage.take();
  assertEquals(flbs.getOutgoing(stage.flb("y")), "y");
  session[Symbol.dispose]();
  assertEquals(stage.take(), ["unpreserve a/1", "x.unpreserve"]);
  stage.fill("b", -1n)[Symbol.dispose]();
  assertEquals(stage.take(), [...ASKED_BARE, "x.preserve", "preserve b/1", "unpreserve b/1", "x.unpreserve"]);
  flbs.putOutgoing(stage.flb("y"));
  assertEquals(stage.take(), ["y.unpreserve"]);
});

Deno.test("Trace: a freeze asks no FLB, whether it works, fails, or comes to nothing", () => {
  using stage = Stage.cold(LINKS);
  stage.fill("a", 1n, -2n, 3n);
  stage.take();
  stage.failing.set("freeze a/3", AGAIN);
  assertLuoError(() => stage.luo.freeze(), "EAGAIN");
  assertEquals(stage.take(), ["freeze a/1", "freeze a/3", "unfreeze a/1"]);
  stage.failing.clear();
  stage.luo.freeze();
  stage.luo.unfreeze();
  assertEquals(stage.take(), ["freeze a/1", "freeze a/3", "unfreeze a/1", "unfreeze a/3"]);
  stage.update();
  assertEquals(stage.take(), ["freeze a/1", "freeze a/3"]);
});

Deno.test("Trace: FLBs that nobody asked for are retrieved for their finish, with the last file, in reverse order", () => {
  using stage = Stage.cold(LINKS);
  stage.fill("a", 1n, -2n);
  stage.fill("b", 3n);
  stage.update();
  stage.take();
  stage.device.retrieveSession("a").finish();
  assertEquals(stage.take(), ["canFinish a/1", "finish a/2", "finish a/1"]);
  stage.device.retrieveSession("b")[Symbol.dispose]();
  assertEquals(stage.take(), [
    ...["canFinish b/3", "finish b/3", "z.retrieve", "z.finish"],
    ...["y.retrieve", "y.finish", "x.retrieve", "x.finish"],
  ]);
});

Deno.test("Trace: an incoming FLB is retrieved once, on demand, and finished with its last user", () => {
  using stage = Stage.cold({ full: ["x"] });
  stage.fill("a", 1n);
  stage.update();
  const { flbs } = stage.luo;
  const x = stage.flb("x");
  stage.take();
  assertEquals([flbs.getIncoming(x), flbs.getIncoming(x)], ["x", "x"]);
  assertEquals(stage.take(), ["x.retrieve"]);
  flbs.putIncoming(x);
  stage.device.retrieveSession("a").finish();
  assertEquals(stage.take(), ["canFinish a/1", "finish a/1"]);
  flbs.putIncoming(x);
  assertEquals(stage.take(), ["x.finish"]);
  assertLuoError(() => flbs.getIncoming(x), "ENODATA");
  assertLuoError(() => flbs.putIncoming(x), "EINVAL");
  assertEquals(stage.take(), []);
});

Deno.test("Trace: an incoming FLB that cannot be retrieved is asked once, and not finished", () => {
  using stage = Stage.cold({ full: ["x", "y"] });
  stage.fill("a", 1n);
  stage.update();
  const x = stage.flb("x");
  stage.take();
  stage.failing.set("x.retrieve", AGAIN);
  assertLuoError(() => stage.luo.flbs.getIncoming(x), "EAGAIN");
  stage.failing.clear();
  assertLuoError(() => stage.luo.flbs.getIncoming(x), "EAGAIN");
  assertEquals(stage.take(), ["x.retrieve"]);
  // What the last file does about it is said on stderr, which is none of this test.
  using _silent = silence();
  stage.device.retrieveSession("a").finish();
  assertEquals(stage.take(), ["canFinish a/1", "finish a/1", "y.retrieve", "y.finish"]);
});

Deno.test("Trace: a finish that is refused leaves FLBs alone", () => {
  using stage = Stage.cold(LINKS);
  stage.fill("a", 1n, 2n);
  stage.update();
  stage.take();
  const session = stage.device.retrieveSession("a");
  stage.refusing.add(2n);
  assertLuoError(() => session.finish(), "EBUSY");
  assertEquals(stage.take(), ["canFinish a/1", "canFinish a/2"]);
  stage.refusing.clear();
  session.finish();
  assertEquals(flbCalls(stage), [
    "z.retrieve",
    "z.finish",
    "y.retrieve",
    "y.finish",
    "x.retrieve",
    "x.finish",
  ]);
});

Deno.test("Trace: FLBs of both worlds know nothing of each other", () => {
  using stage = Stage.cold({ full: ["x"] });
  stage.fill("a", 1n);
  stage.update();
  stage.take();
  const next = stage.fill("a", 1n);
  assertEquals(stage.take(), [...ASKED, "x.preserve", "preserve a/1"]);
  stage.device.retrieveSession("a")[Symbol.dispose]();
  assertEquals(stage.take(), ["canFinish a/1", "finish a/1", "x.retrieve", "x.finish"]);
  next[Symbol.dispose]();
  assertEquals(stage.take(), ["unpreserve a/1", "x.unpreserve"]);
});

Deno.test("Trace: a file that needs another one retrieves it first, once, in whatever order they are asked for", () => {
  const one = [
    "retrieve a/1",
    "retrieve a/2",
    "retrieve a/3",
    "getId full",
    "got a/3",
    "getId full",
    "got a/2",
  ];
  const three = [
    "retrieve a/3",
    "getId full",
    "retrieve a/1",
    "retrieve a/2",
    "got a/3",
    "getId full",
    "got a/2",
  ];
  const cases: [order: bigint[], calls: string[]][] = [
    [[1n, 2n, 3n, 1n], [...one, "getId full"]],
    [[3n, 1n, 2n], [...three, "getId full"]],
  ];
  for (const [order, calls] of cases) {
    using stage = Stage.cold();
    stage.fill("a", 1n, 2n, 3n);
    stage.needs.set(1n, 2n).set(2n, 3n);
    stage.update();
    stage.take();
    const session = stage.device.retrieveSession("a");
    stage.retrieve(session, ...order);
    assertEquals(stage.take(), calls);
    session.finish();
    const finished = stage.take().filter((call) => call.startsWith("finish"));
    assertEquals(finished, ["finish a/3", "finish a/2", "finish a/1"]);
  }
});

Deno.test("Trace: a file whose need fails fails with it, and none is asked again", () => {
  using stage = Stage.cold();
  stage.fill("a", 1n, 2n);
  stage.needs.set(1n, 2n);
  stage.update();
  stage.take();
  const session = stage.device.retrieveSession("a");
  stage.failing.set("retrieve a/2", AGAIN);
  assertLuoError(() => stage.retrieve(session, 1n), "EAGAIN");
  stage.failing.clear();
  for (const token of [1n, 2n]) assertLuoError(() => stage.retrieve(session, token), "EAGAIN");
  assertEquals(stage.take(), ["retrieve a/1", "retrieve a/2"]);
});

Deno.test("Trace: files that need each other fail with EDEADLK, each asked once", () => {
  using stage = Stage.cold();
  stage.fill("a", 1n, 2n, 3n);
  stage.needs.set(1n, 2n).set(2n, 1n);
  stage.update();
  stage.take();
  const session = stage.device.retrieveSession("a");
  for (const token of [2n, 1n, 2n]) assertLuoError(() => stage.retrieve(session, token), "EDEADLK");
  stage.retrieve(session, 3n);
  assertEquals(stage.take(), ["retrieve a/2", "retrieve a/1", "retrieve a/3", "getId full"]);
});

function silence(): Disposable {
  const { error } = console;
  console.error = () => {};
  return { [Symbol.dispose]: () => void (console.error = error) };
}
