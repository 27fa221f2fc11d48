import { assert, assertEquals } from "@std/assert";

import type { UpdateRecord } from "../control/types.ts";
import { decodeHistory } from "../kho/abi/live.ts";
import { monotonicNs } from "../sys/mod.ts";
import { History, MAX_UPDATES } from "./history.ts";
import type { PendingUpdate } from "./pending.ts";

const BUILD = { path: "/a.ts", version: null, id: null };
const PENDING: PendingUpdate = {
  id: "p",
  from: { info: BUILD, fingerprint: null, name: "/a.ts", execName: null, snapshot: null },
  to: { info: BUILD, fingerprint: null, name: "/b.ts", execName: null, snapshot: null },
  deadline: "5",
  commitAfterMs: 0,
  previous: null,
  guardian: null,
  lastWords: null,
  warnings: [],
  closed: 0,
};

function record(id: string): UpdateRecord {
  return {
    id,
    outcome: "committed",
    reason: null,
    from: BUILD,
    to: BUILD,
    generation: 1,
    pid: 1,
    guardian: "off",
    blackout_ms: 0.5,
    stall_ms: null,
    phases: [{ name: "loading", ms: 1 }],
    files: 0,
    fds: 0,
    segment_bytes: 0,
    closed: 0,
    dropped: ["x"],
    warnings: [],
  };
}

Deno.test("History of a cold start is empty and starts now", () => {
  const before = monotonicNs();
  const history = new History(null);
  assert(history.started >= before && history.started <= monotonicNs());
  assertEquals([history.list(), history.last(), history.find("a")], [[], null, undefined]);
});

Deno.test("History.encode() carries records, start and the update under way to the next image", () => {
  const history = new History(null);
  history.add(record("a"));
  history.add(record("b"));
  const handed = decodeHistory(history.encode(PENDING));
  assertEquals(JSON.parse(handed.pending ?? ""), PENDING);
  const next = new History(handed);
  assertEquals(next.started, history.started);
  assertEquals(next.list(), [record("a"), record("b")]);
  assertEquals(next.last(), record("b"));
  assertEquals([next.find("a"), next.find("c")], [record("a"), undefined]);
});

Deno.test("History keeps members of a record that it does not know", () => {
  const text = JSON.stringify({ ...record("a"), later: { version: 2 } });
  const history = new History({ pending: null, started: 7n, updates: [text] });
  assertEquals(decodeHistory(history.encode(PENDING)).updates, [text]);
});

Deno.test(`History.add() keeps the last ${MAX_UPDATES}`, () => {
  const history = new History(null);
  for (let i = 0; i < MAX_UPDATES; i++) history.add(record(`u${i}`));
  assertEquals([history.list().length, history.list()[0]?.id], [MAX_UPDATES, "u0"]);
  history.add(record("newest"));
  assertEquals([history.list().length, history.list()[0]?.id], [MAX_UPDATES, "u1"]);
  assertEquals([history.last()?.id, history.find("u0")], ["newest", undefined]);
});
