import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { LoadLog, MAX_FAILURES } from "./load_report.ts";

/** 100 answers, due every 10 ms, waits of 1 to 100 ms; they end in the order in which they were due. */
function hundred(): LoadLog {
  const log = new LoadLog();
  for (let at = 0; at < 100; at++) log.answer(at % 2 === 0 ? "keep-alive" : "new", at * 10, at * 10 + at + 1);
  return log;
}

Deno.test("LoadLog counts and ranks waits", () => {
  const report = hundred().report(1000);
  assertEquals([report.sent, report.answered, report.failed, report.idleCloses], [100, 100, 0, 0]);
  assertEquals([report.p50Ms, report.p99Ms, report.maxMs, report.longestWaitMs], [50, 99, 100, 100]);
  assertEquals([report.keepAlive.sent, report.keepAlive.maxMs], [50, 99]);
  assertEquals([report.fresh.sent, report.fresh.maxMs], [50, 100]);
});

Deno.test("LoadLog accounts for every request and every idle close", () => {
  const log = hundred();
  log.failure("new", 1000, 1500, "refused", "nobody there");
  log.failure("keep-alive", null, 1600, "closed", "went away");
  const report = log.report(2000);
  assertEquals([report.sent, report.answered, report.failed, report.idleCloses], [101, 100, 2, 1]);
  assertEquals(report.sent + report.idleCloses, report.answered + report.failed);
  assertEquals([report.maxMs, report.longestWaitMs], [100, 500]);
  assertEquals(report.failures, [
    { kind: "new", reason: "refused", atMs: 1500, waitedMs: 500, detail: "nobody there" },
    { kind: "keep-alive", reason: "closed", atMs: 1600, waitedMs: 0, detail: "went away" },
  ]);
});

Deno.test("LoadLog keeps the first failures in words and counts all", () => {
  const log = new LoadLog();
  for (let at = 0; at < 10_000; at++) log.failure("new", at, at, "reset", String(at));
  const report = log.report(10_000);
  assertEquals([report.failed, report.failures.length, report.failures.at(-1)?.detail], [
    10_000,
    MAX_FAILURES,
    "19",
  ]);
});

Deno.test("LoadLog finds the longest gap, the ends of the load included", () => {
  const log = new LoadLog();
  for (const end of [30, 40, 45, 90]) log.answer("new", 0, end);
  assertEquals(log.report(100).longestGapMs, 45);
  assertEquals(log.report(200).longestGapMs, 110);
  const late = new LoadLog();
  late.answer("new", 0, 80);
  assertEquals(late.report(81).longestGapMs, 80);
});

Deno.test("LoadLog takes failures for no answers, and silence after the end for no gap", () => {
  const log = new LoadLog();
  log.answer("new", 0, 10);
  log.failure("new", 10, 20, "refused", "");
  log.answer("new", 20, 500);
  assertEquals(log.report(100).longestGapMs, 90);
});

Deno.test("LoadReport.around takes the requests that were due in the window", () => {
  const log = hundred();
  log.marks.push({ label: "update", atMs: 500 });
  log.failure("new", 505, 900, "timeout", "");
  const around = log.report(1000).around("update", 20);
  assertEquals([around.sent, around.answered, around.failed], [6, 5, 1]);
  assertEquals([around.maxMs, around.longestWaitMs], [53, 395]);
  assert(around.longestGapMs >= 10 && around.longestGapMs <= 12, String(around.longestGapMs));
});

Deno.test("LoadReport.around takes the last of marks with one label, and no unknown one", () => {
  const log = hundred();
  log.marks.push({ label: "a", atMs: 0 }, { label: "a", atMs: 900 });
  const report = log.report(1000);
  assertEquals(report.around("a", 5).maxMs, 91);
  assertThrows(() => report.around("b", 5), RangeError, '"b": there is no such mark');
});

Deno.test("LoadReport of nothing has no waits rather than waits of 0", () => {
  const report = new LoadLog().report(100);
  assertEquals([report.sent, report.p50Ms, report.longestWaitMs, report.longestGapMs], [0, NaN, NaN, 100]);
});

Deno.test("LoadReport does not change as the log goes on", () => {
  const log = hundred();
  const report = log.report(1000);
  for (let at = 0; at < 10_000; at++) log.answer("new", 0, 1);
  log.failure("new", 0, 1, "reset", "");
  log.marks.push({ label: "late", atMs: 1 });
  assertEquals([report.sent, report.failures.length, report.marks.length], [100, 0, 0]);
  assertThrows(() => report.around("late", 1), RangeError);
});

Deno.test("LoadReport says in a few words what was", () => {
  const log = hundred();
  log.failure("new", 1000, 1500, "refused", "nobody there");
  const text = String(log.report(2000));
  assertStringIncludes(text, "101 requests in 2.0 s: 100 answered, 1 failed");
  assertStringIncludes(text, "\n  new at 1500 ms, after 500 ms: refused: nobody there");
});
