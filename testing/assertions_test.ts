import { assertStringIncludes, assertThrows } from "@std/assert";
import { assertNoFailures } from "./assertions.ts";
import { LoadLog } from "./load_report.ts";

Deno.test("assertNoFailures accepts a load that was answered", () => {
  const log = new LoadLog();
  log.answer("new", 0, 1);
  assertNoFailures(log.report(10));
});

Deno.test("assertNoFailures rejects one failure, also of an idle connection, and says which", () => {
  const log = new LoadLog();
  for (let at = 0; at < 100; at++) log.answer("new", at, at + 1);
  log.failure("keep-alive", null, 101, "closed", "Closed by the server");
  const error = assertThrows(() => assertNoFailures(log.report(200)), Error, "1 failed");
  assertStringIncludes(error.message, "keep-alive at 101 ms, after 0 ms: closed: Closed by the server");
});

Deno.test("assertNoFailures rejects a load that asked nothing", () => {
  assertThrows(() => assertNoFailures(new LoadLog().report(10)), Error, "0 requests");
});
