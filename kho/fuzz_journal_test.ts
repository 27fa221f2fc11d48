/**
 * Damaged journals: what was not damaged is read as it was written, nothing is invented, nothing is thrown, and whoever runs
 * next can go on stamping.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";

import { createMemfd, dupFd, readWhole, writeAll } from "../sys/mod.ts";
import { decodeTriple } from "./abi/entry_cbor.ts";
import { decodeEntry, type JournalEntry, SLOT_BYTES } from "./abi/journal.ts";
import { concat, equalBytes } from "./cbor_items_test.ts";
import { describeFinding, makeCase, MAX_MIB, MAX_MS, runCampaign } from "./fuzz_campaign_test.ts";
import { memoryOf } from "./fuzz_journal_families_test.ts";
import { Journal, JOURNAL_SLOTS } from "./journal.ts";
import { Random } from "./mutations_test.ts";

const SEED = 20_260_802;

const ENTRIES: readonly JournalEntry[] = [
  { at: 1n, phase: "requested", note: null },
  { at: 123_456_789_012n, phase: "freezing", note: "ein Gruß €😀" },
  { at: (1n << 64n) - 1n, phase: "failed", note: "n".repeat(440) },
];

Deno.test("20 000 damaged journals are read as far as they are whole, and can be gone on with", async () => {
  const options = { group: "journal", seed: SEED, from: 0, mutations: 20_000 } as const;
  const { finding, inputs, outcomes, slowest, largest, growth_mib } = await runCampaign(options);
  console.log(
    `seed ${SEED}: slowest ${slowest.ms.toFixed(0)} ms, largest ${largest.mib.toFixed(1)} MiB, ` +
      `all ${growth_mib.toFixed(1)} MiB`,
  );
  assert(finding === null, finding === null ? "" : await describeFinding(options, finding));
  assertEquals(inputs, options.mutations);
  assert(slowest.ms <= MAX_MS && largest.mib <= MAX_MIB && growth_mib <= MAX_MIB);
  for (const outcome of ["all", "some", "nothing"]) {
    assert((outcomes.memory?.[outcome] ?? 0) > 500, `a journal of which ${outcome} is left was hardly seen`);
  }
  for (const family of ["slot", "entry"]) {
    assert((outcomes[family]?.equal ?? 0) > 100, `${family} is hardly ever read`);
    assert((outcomes[family]?.nothing ?? 0) > 100, `${family} is hardly ever refused`);
  }
});

Deno.test("the journals that are damaged are what a journal writes", () => {
  using journal = Journal.create();
  for (const { at, phase, note } of ENTRIES) journal.append(phase, note, at);
  const written = readWhole(journal.fd, JOURNAL_SLOTS * SLOT_BYTES);
  const rest = new Uint8Array((JOURNAL_SLOTS - ENTRIES.length) * SLOT_BYTES);
  assert(equalBytes(written, concat([memoryOf(ENTRIES), rest])));
  assertEquals(journal.entries(), [...ENTRIES]);
});

Deno.test("a journal that is cut off anywhere gives the entries that are whole", () => {
  const whole = memoryOf(ENTRIES);
  for (let length = 0; length <= whole.length; length++) {
    using memory = createMemfd("kho:fuzz");
    writeAll(memory.fd, whole.subarray(0, length));
    using journal = Journal.adopt(dupFd(memory.fd));
    assertEquals(journal.entries(), ENTRIES.slice(0, Math.floor(length / SLOT_BYTES)), `${length} bytes`);
  }
});

Deno.test("random memory is no journal, and random bytes are no entry", () => {
  for (let index = 0; index < 100; index++) {
    const random = new Random(SEED, index);
    using memory = createMemfd("kho:fuzz");
    writeAll(memory.fd, random.bytes(random.between(0, 2 * JOURNAL_SLOTS * SLOT_BYTES)));
    using journal = Journal.adopt(dupFd(memory.fd));
    assertEquals(journal.entries(), [], `seed ${SEED}, ${index}`);
    journal.append("late");
    assert(journal.entries().length <= 1);
    assertEquals(decodeEntry(random.bytes(SLOT_BYTES)), null);
    assertEquals(decodeTriple(random.bytes(random.between(0, 200))), null);
  }
});

Deno.test("a slot of zeros with a right checksum, and one with a right checksum and any length, are no entries", () => {
  for (let length = 0; length <= 0xffff; length += length < 600 ? 1 : 331) {
    const slot = new Uint8Array(SLOT_BYTES);
    new DataView(slot.buffer).setUint16(0, length, true);
    let crc = 0xffffffff;
    for (const byte of slot.subarray(0, -4)) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    }
    new DataView(slot.buffer).setUint32(SLOT_BYTES - 4, ~crc >>> 0, true);
    assertEquals(decodeEntry(slot), null, `length ${length}`);
  }
});

Deno.test("a seed and a number give the same journal again", () => {
  for (let index = 0; index < 100; index++) {
    const [one, two] = [makeCase("journal", SEED, index), makeCase("journal", SEED, index)];
    assert(equalBytes(one.bytes, two.bytes) && one.how === two.how, `${index}`);
  }
});
