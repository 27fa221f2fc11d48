/**
 * What the tests of this folder share. It has no tests itself; the name keeps it out of the published package.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";

import type { Finding, Level } from "./finding.ts";

/** Asserts how bad one finding is, and that it has an advice where one is due; gives its words. */
export function assertLevel(findings: readonly Finding[], id: string, level: Level): string {
  const found = findings.filter((finding) => finding.id === id);
  assertEquals(found.map((finding) => finding.level), [level], `${id}: ${JSON.stringify(findings)}`);
  const [{ what, advice } = { what: "", advice: null }] = found;
  if (level === "problem" || level === "warning") assert((advice ?? "").length > 10, `${id}: ${what}`);
  if (level === "ok") assertEquals(advice, null, id);
  return `${what} ${advice ?? ""}`;
}
