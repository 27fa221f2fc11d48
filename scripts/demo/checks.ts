/**
 * What should have held, and whether it did.
 *
 * Happy path: {@linkcode judge} gives one {@linkcode Check} for each promise.
 *
 * Unhappy path: a check that did not hold says in its detail what was wrong.
 *
 * @module
 */
import { assertNothingLost, type LoadReport, type Snapshot, type StatusReport } from "../../testing/mod.ts";
import type { AccessLogFacts } from "./log_check.ts";
import type { Talk, Talks } from "./talkers.ts";
import type { Check, UpdateReport } from "./types.ts";

/** What was seen. */
export interface Evidence {
  /** The SHA-256 of the shared memory. */
  readonly hash: { readonly before: string; readonly after: string };
  /** What those saw who never hang up. */
  readonly talks: Talks;
  /** How the updates of their service ended. */
  readonly talkOutcomes: readonly string[];
  /** What the clients saw. */
  readonly load: LoadReport;
  /** How many keep-alive clients there were. */
  readonly keepAlive: number;
  /** The updates in order. */
  readonly updates: readonly Omit<UpdateReport, "longest_wait_ms">[];
  /** How many of them should have been committed; the others should have been rolled back. */
  readonly committing: number;
  /** The access log. */
  readonly log: AccessLogFacts;
  /** The requests that the load did not send. */
  readonly otherRequests: number;
  /** What the service held before the load began. */
  readonly before: Snapshot;
  /** What it held after the load had ended. */
  readonly after: Snapshot;
  /** Its last word. */
  readonly status: StatusReport;
  /** The version that should run. */
  readonly version: string;
  /** The processes of the service, itself included. */
  readonly processes: number;
}

/**
 * Judges what was seen.
 *
 * @param evidence what was seen
 * @returns one check for each promise, in the order in which they are shown
 */
export function judge(evidence: Evidence): Check[] {
  return [
    ...checkUpdates(evidence),
    ...checkRequests(evidence),
    ...checkTalks(evidence),
    ...checkContents(evidence),
    ...checkProcess(evidence),
  ];
}

function checkUpdates({ updates, committing, status, version }: Evidence): Check[] {
  const good = updates.slice(0, committing);
  const bad = updates.slice(committing);
  const committed = good.filter(({ outcome, exit_code }) => outcome === "committed" && exit_code === 0);
  const undone = bad.filter(({ outcome, exit_code }) => outcome === "rolled-back" && exit_code === 1);
  const running = status.build.version ?? "unknown";
  return [
    check("updates", committed.length === good.length, `${committed.length} of ${good.length} committed`),
    check(
      "rollback",
      undone.length === bad.length && status.state === "serving",
      undone.length === bad.length
        ? `the broken build gave way: ${withoutPlace(bad[0]?.reason ?? "")}`
        : `the broken build ended as ${bad.map(({ outcome }) => outcome).join(", ")}`,
    ),
    check(
      "generation",
      status.generation === committing && running === version,
      `${status.generation}, running ${running}`,
    ),
  ];
}

function checkRequests({ load, keepAlive }: Evidence): Check[] {
  const made = load.connects - load.fresh.sent;
  return [
    check(
      "requests",
      load.failed === 0 && load.answered > 0,
      `${load.sent} sent, ${load.failed} failed${load.failures[0] ? `: ${load.failures[0].detail}` : ""}`,
    ),
    check(
      "keep-alive",
      load.keepAliveClosed === 0 && made === keepAlive,
      `${keepAlive} clients, ${made} connections, ${load.keepAliveClosed} closed by the service`,
    ),
  ];
}

function checkTalks({ talks, talkOutcomes, committing }: Evidence): Check[] {
  const expected = talkOutcomes.map((_, index) => index < committing ? "committed" : "rolled-back");
  const updated = talkOutcomes.every((outcome, index) => outcome === expected[index]);
  const said = ({ heard, fault }: Talk, what: string): [boolean, string] => [
    updated && fault === null && heard > 0,
    updated
      ? fault ?? `${heard} ${what}, each once, in order`
      : `the updates ended as ${talkOutcomes.join(", ")}`,
  ];
  return [
    check("event stream", ...said(talks.events, "events")),
    check("WebSocket", ...said(talks.webSocket, "messages")),
    check("echo", ...said(talks.echo, "KiB there and back")),
    check("pipe", ...said(talks.pipe, "bytes that waited in it")),
    check("child", ...said(talks.child, "lines of a child process")),
  ];
}

function checkContents({ hash, log, load, otherRequests }: Evidence): Check[] {
  const expected = load.answered + otherRequests;
  const whole = log.broken === 0 && !log.outOfOrder && log.matching === load.answered &&
    log.lines === expected;
  const wrong = [
    ...(log.broken > 0 ? [`${log.broken} do not parse`] : []),
    ...(log.outOfOrder ? ["a generation wrote after a later one"] : []),
    ...(log.lines === expected ? [] : [`${expected} requests were answered`]),
  ];
  return [
    check(
      "memory",
      hash.after === hash.before,
      hash.after === hash.before ? `SHA-256 ${hash.after.slice(0, 16)}... unchanged` : "the content changed",
    ),
    check(
      "access log",
      whole,
      whole
        ? `${log.lines} lines, one per request (${log.byGeneration.join(" + ")} by generation)`
        : `${log.lines} lines; ${wrong.join("; ")}`,
    ),
  ];
}

function checkProcess({ before, after, processes }: Evidence): Check[] {
  const { pid, startTicks } = after;
  const descriptors = differences(before, {
    descriptors: after.descriptors,
    inheritable: after.inheritable,
  });
  const rest = differences(before, { attributes: after.attributes });
  const children = after.children.length;
  return [
    check(
      "process",
      pid === before.pid && startTicks === before.startTicks,
      pid === before.pid ? `pid ${pid}, never restarted` : `pid ${pid}, before ${before.pid}`,
    ),
    check(
      "descriptors",
      descriptors.length === 0,
      descriptors.length === 0 ? `${after.descriptors.length}, the same set` : descriptors.join("; "),
    ),
    check(
      "attributes",
      rest.length === 0,
      rest.length === 0 ? "limits, signals, environment as before" : rest.join("; "),
    ),
    check(
      "children",
      children === 0 && processes === 1,
      children === 0 && processes === 1 ? "none left" : `${children} children, ${processes} processes`,
    ),
  ];
}

/** A reason without the place in the code, which is long and in the record. */
function withoutPlace(reason: string): string {
  return reason.replace(/ \(at [^()]*\)$/, "");
}

function check(name: string, held: boolean, detail: string): Check {
  return { name, held, detail };
}

/** What differs in one respect, in words. */
function differences(before: Snapshot, changed: Partial<Snapshot>): string[] {
  try {
    assertNothingLost(before, { ...before, ...changed });
    return [];
  } catch (error) {
    return (error instanceof Error ? error.message : String(error)).split("\n").slice(1).map((line) =>
      line.trim()
    );
  }
}
