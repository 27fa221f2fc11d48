import { assertEquals } from "@std/assert";

import { Journal, JOURNAL_SLOTS } from "../kho/journal.ts";
import { SLOT_BYTES } from "../kho/abi/journal.ts";
import { dupFd, pwrite } from "../sys/mod.ts";
import { failureOf, foldRecord, type RecordFacts } from "./record.ts";

const BUILD = { path: "/a.ts", version: "1.0.0", id: "0123456789ab" };
const FACTS: RecordFacts = {
  id: "a1",
  outcome: "committed",
  reason: null,
  from: BUILD,
  to: { ...BUILD, path: "/b.ts" },
  generation: 3,
  pid: 42,
  guardian: "off",
  files: 5,
  fds: 6,
  segment_bytes: 700,
  closed: 3,
  dropped: ["old"],
  warnings: ["look"],
};

const MS = 1_000_000n;

/** A real journal with stamps at whole milliseconds; a second one of the same memory, as the next image has it. */
function journalOf(stamps: [phase: string, ms: number, note?: string][]): Journal {
  using old = Journal.create();
  for (const [phase, ms, note] of stamps) old.append(phase, note ?? null, 1n + BigInt(ms) * MS);
  return Journal.adopt(dupFd(old.fd));
}

const TO_JUMP: [string, number][] = [
  ["requested", 0],
  ["loading", 10],
  ["quiescing", 100],
  ["stalled", 103],
  ["preserving", 104],
  ["freezing", 106],
  ["jumping", 109],
];

Deno.test("foldRecord() folds a committed update", () => {
  using journal = journalOf([
    ...TO_JUMP,
    ["booting", 140],
    ["retrieving", 150],
    ["probation", 155],
    ["committed", 156],
    ["end", 157],
  ]);
  assertEquals(foldRecord(FACTS, journal.entries()), {
    id: "a1",
    outcome: "committed",
    reason: null,
    from: BUILD,
    to: { ...BUILD, path: "/b.ts" },
    generation: 3,
    pid: 42,
    guardian: "off",
    blackout_ms: 51,
    stall_ms: 54,
    phases: [
      { name: "requested", ms: 10 },
      { name: "loading", ms: 90 },
      { name: "quiescing", ms: 4 },
      { name: "preserving", ms: 2 },
      { name: "freezing", ms: 3 },
      { name: "jumping", ms: 31 },
      { name: "booting", ms: 10 },
      { name: "retrieving", ms: 5 },
      { name: "probation", ms: 1 },
      { name: "committed", ms: 1 },
    ],
    files: 5,
    fds: 6,
    segment_bytes: 700,
    closed: 3,
    dropped: ["old"],
    warnings: ["look"],
  });
  assertEquals(failureOf(journal.entries()), null);
});

Deno.test("foldRecord() counts the time that the taps were open before the commit as probation, not as blackout", () => {
  using journal = journalOf([
    ...TO_JUMP,
    ["booting", 140],
    ["retrieving", 150],
    ["probation", 155],
    ["end", 157],
    ["committed", 2157],
  ]);
  const record = foldRecord(FACTS, journal.entries());
  assertEquals([record.blackout_ms, record.stall_ms], [51, 54]);
  assertEquals(record.phases.slice(-2), [{ name: "probation", ms: 2002 }, { name: "committed", ms: 0 }]);
});

Deno.test("foldRecord() folds a refused update: no stall without a jump, no blackout without a freeze", () => {
  using early = journalOf([["requested", 0], ["loading", 10], ["end", 12, "it does not exist"]]);
  const facts = { ...FACTS, outcome: "refused" as const, reason: "it does not exist" };
  const record = foldRecord(facts, early.entries());
  assertEquals([record.outcome, record.reason], ["refused", "it does not exist"]);
  assertEquals([record.blackout_ms, record.stall_ms], [null, null]);
  assertEquals(record.phases, [{ name: "requested", ms: 10 }, { name: "loading", ms: 2 }]);

  using frozen = journalOf([...TO_JUMP.slice(0, -1), ["end", 116, "a handler refused"]]);
  const late = foldRecord(facts, frozen.entries());
  assertEquals([late.blackout_ms, late.stall_ms], [10, null]);
});

Deno.test("foldRecord() folds a rolled-back update, with the new build's own words", () => {
  using journal = journalOf([
    ...TO_JUMP,
    ["booting", 140],
    ["failed", 145, "it threw: Error: no"],
    ["returning", 180],
    ["retrieving", 190],
    ["probation", 195],
    ["committed", 196],
    ["end", 197],
  ]);
  const entries = journal.entries();
  assertEquals(failureOf(entries), "it threw: Error: no");
  const record = foldRecord({ ...FACTS, outcome: "rolled-back", reason: failureOf(entries) }, entries);
  assertEquals([record.outcome, record.reason], ["rolled-back", "it threw: Error: no"]);
  assertEquals([record.blackout_ms, record.stall_ms], [91, 94]);
  assertEquals(record.phases.slice(-6), [
    { name: "jumping", ms: 31 },
    { name: "booting", ms: 5 },
    { name: "returning", ms: 10 },
    { name: "retrieving", ms: 5 },
    { name: "probation", ms: 1 },
    { name: "committed", ms: 1 },
  ]);
});

Deno.test("foldRecord() tells an update under way as far as it has come", () => {
  using journal = journalOf([["requested", 0], ["loading", 10]]);
  const record = foldRecord({ ...FACTS, outcome: null }, journal.entries());
  assertEquals(record.outcome, null);
  assertEquals(record.phases, [{ name: "requested", ms: 10 }, { name: "loading", ms: 0 }]);
});

Deno.test("foldRecord() of a damaged journal leaves out what is not there, and nothing else", () => {
  using journal = journalOf([...TO_JUMP, ["booting", 140], ["committed", 156], ["end", 157]]);
  const damage = (slot: number): void =>
    void pwrite(journal.fd, new Uint8Array([0xff, 0xff, 0xff]), slot * SLOT_BYTES + 8);
  const names = (): string[] => foldRecord(FACTS, journal.entries()).phases.map(({ name }) => name);
  damage(1);
  assertEquals(names(), [
    "requested",
    "quiescing",
    "preserving",
    "freezing",
    "jumping",
    "booting",
    "committed",
  ]);
  damage(5);
  let record = foldRecord(FACTS, journal.entries());
  assertEquals([record.blackout_ms, record.stall_ms], [null, 54]);
  damage(3);
  record = foldRecord(FACTS, journal.entries());
  assertEquals([record.blackout_ms, record.stall_ms], [null, null]);
  for (let slot = 0; slot < JOURNAL_SLOTS; slot++) damage(slot);
  record = foldRecord(FACTS, journal.entries());
  assertEquals([record.phases, record.blackout_ms, record.stall_ms], [[], null, null]);
  assertEquals([record.id, record.outcome, record.files], ["a1", "committed", 5]);
});

Deno.test("foldRecord() counts microseconds", () => {
  const entries = [
    { at: 5_000n, phase: "freezing", note: null },
    { at: 1_239_999n, phase: "end", note: null },
  ];
  assertEquals(foldRecord(FACTS, entries).blackout_ms, 1.234);
});
