/**
 * The families of damaged journals: the whole memory, one slot behind a right checksum, and one entry by itself. What is
 * promised of them: a slot that was not changed is read as it was written, any other slot is nothing, reading never throws,
 * and stamping goes on behind what is there. It has no tests itself; the name keeps it out of the published package.
 *
 * @module
 */
import { crc32 } from "node:zlib";

import { foldRecord, type RecordFacts } from "../live/record.ts";
import { addSeals, createMemfd, dupFd, SEALS, writeAll } from "../sys/mod.ts";
import { decodeTriple, encodeTriple, type Triple } from "./abi/entry_cbor.ts";
import { decodeEntry, encodeEntry, type JournalEntry, SLOT_BYTES } from "./abi/journal.ts";
import { concat, equalBytes } from "./cbor_items_test.ts";
import { type CborValue, decodeCbor } from "./codec.ts";
import { randomText } from "./documents_test.ts";
import { type Case, Violation } from "./fuzz_verdict_test.ts";
import { Journal, JOURNAL_SLOTS } from "./journal.ts";
import { BYTE_MUTATORS, mutate, type Mutator, type Random } from "./mutations_test.ts";

const PHASES = [
  "requested",
  "loading",
  "guarding",
  "quiescing",
  "preserving",
  "freezing",
  "jumping",
  "booting",
]
  .concat("retrieving", "probation", "stalled", "end", "failed", "unguarded", "");

const PROBE: JournalEntry = { at: 7n, phase: "probe", note: "stamped behind the damage" };

const EMPTY = new Uint8Array(SLOT_BYTES);

const SEALINGS = [0, 0, SEALS.SHRINK | SEALS.GROW, 0xf];

const BUILD = { path: "/srv/app.ts", version: null, id: null };

const FACTS: RecordFacts = {
  id: "1",
  outcome: "committed",
  reason: null,
  from: BUILD,
  to: BUILD,
  generation: 1,
  pid: 1,
  guardian: "off",
  files: 0,
  fds: 0,
  segment_bytes: 0,
  closed: 0,
  dropped: [],
  warnings: [],
};

/** Damage to whole slots, in which no checksum is hurt. */
const SLOT_MUTATORS: Record<string, Mutator> = {
  "swap slots": (bytes, random) => {
    const [from, to] = [slotIn(bytes, random), slotIn(bytes, random)];
    const copy = new Uint8Array(bytes);
    copy.set(slotAt(bytes, from), to * SLOT_BYTES);
    copy.set(slotAt(bytes, to), from * SLOT_BYTES);
    return copy;
  },
  "copy a slot": (bytes, random) => {
    const copy = new Uint8Array(bytes);
    copy.set(slotAt(bytes, slotIn(bytes, random)), slotIn(bytes, random) * SLOT_BYTES);
    return copy;
  },
  "clear a slot": (bytes, random) => {
    const from = slotIn(bytes, random) * SLOT_BYTES;
    return new Uint8Array(bytes).fill(0, from, from + SLOT_BYTES);
  },
  "change a length": (bytes, random) => {
    const copy = new Uint8Array(bytes);
    if (copy.length >= 2) {
      copy.set(random.bytes(2), Math.min(copy.length - 2, slotIn(bytes, random) * SLOT_BYTES));
    }
    return copy;
  },
};

const MEMORY_MUTATORS = Object.entries({ ...BYTE_MUTATORS, ...SLOT_MUTATORS });

/** A damaged journal, or a damaged part of one. */
export function journalCase(random: Random): Case {
  return random.pick([memory, memory, memory, slot, entry])(random);
}

/** The memory of a journal with these entries, as far as it is used. */
export function memoryOf(entries: readonly JournalEntry[]): Uint8Array {
  return concat(entries.map(encodeEntry));
}

/** The memory as the next image finds it. */
function memory(random: Random): Case {
  const entries = Array.from({ length: slotsOf(random) }, () => randomEntry(random));
  const whole = memoryOf(entries);
  // Its own slots are the only ones to splice from: whatever is read was written to this journal.
  const { bytes: damaged, how } = mutate(whole, random, whole, MEMORY_MUTATORS);
  const full = JOURNAL_SLOTS * SLOT_BYTES;
  const rest = random.chance(0.5) ? Math.max(0, full - damaged.length) : 0;
  const bytes = concat([damaged, new Uint8Array(rest)]);
  const seals = random.pick(SEALINGS);
  return {
    family: "memory",
    how: `${entries.length} entries: ${how}; seals 0x${seals.toString(16)}`,
    bytes,
    run: () => judgeMemory(bytes, seals, entries),
  };
}

/** A slot with any content and a checksum that is right. */
function slot(random: Random): Case {
  const content = contentOf(randomEntry(random));
  const { bytes: damaged, how } = mutate(content, random, contentOf(randomEntry(random)));
  const bytes = new Uint8Array(SLOT_BYTES);
  const view = new DataView(bytes.buffer);
  const kept = damaged.subarray(0, SLOT_BYTES - 6);
  bytes.set(kept, 2);
  if (random.chance(0.1)) bytes[random.between(2, SLOT_BYTES - 5)] = random.below(256);
  view.setUint16(0, random.chance(0.9) ? kept.length : random.below(0x10000), true);
  view.setUint32(SLOT_BYTES - 4, crc32(bytes.subarray(0, -4)), true);
  return {
    family: "slot",
    how,
    bytes,
    run() {
      const found = decodeEntry(bytes);
      if (found === null) return "nothing";
      const again = encodeEntry(found);
      if (!equalBytes(again, bytes)) {
        throw new Violation(`what was read is written as ${again.toHex().slice(0, 200)}`);
      }
      return "equal";
    },
  };
}

/** The content of an entry by itself: read by the few lines of the journal's own exactly when the codec reads it. */
function entry(random: Random): Case {
  const { bytes, how } = mutate(contentOf(randomEntry(random)), random, contentOf(randomEntry(random)));
  return {
    family: "entry",
    how,
    bytes,
    run() {
      const found = decodeTriple(bytes);
      if (found !== null && !equalBytes(encodeTriple(found), bytes)) {
        throw new Violation(`what was read is written as ${encodeTriple(found).toHex()}`);
      }
      const expected = tripleOf(bytes);
      if (!isSame(found, expected)) {
        throw new Violation(`${tell(found)} was read, the codec reads ${tell(expected)}`);
      }
      return found === null ? "nothing" : "equal";
    },
  };
}

function judgeMemory(bytes: Uint8Array, seals: number, written: readonly JournalEntry[]): string {
  const known = new Map(written.map((entry) => [encodeEntry(entry).toHex(), entry]));
  const slots = slotsIn(bytes);
  const expected = slots.flatMap((slot) => known.get(slot.toHex()) ?? []);
  const used = slots.findLastIndex((slot) => !equalBytes(slot, EMPTY)) + 1;

  using memory = createMemfd("kho:fuzz");
  writeAll(memory.fd, bytes);
  if (seals !== 0) addSeals(memory.fd, seals);
  using journal = Journal.adopt(dupFd(memory.fd));
  checkEntries(journal, expected, "reading");

  const fits = (seals & SEALS.GROW) === 0 || (used + 1) * SLOT_BYTES <= bytes.length;
  const stamped = used < JOURNAL_SLOTS && fits && (seals & SEALS.WRITE) === 0;
  journal.append(PROBE.phase, PROBE.note, PROBE.at);
  checkEntries(journal, stamped ? [...expected, PROBE] : expected, "stamping");
  using next = Journal.adopt(dupFd(memory.fd));
  checkEntries(next, stamped ? [...expected, PROBE] : expected, "adopting");

  const { blackout_ms, stall_ms, phases } = foldRecord(FACTS, journal.entries());
  for (const ms of [blackout_ms, stall_ms, ...phases.map(({ ms }) => ms)]) {
    if (ms !== null && !Number.isFinite(ms)) throw new Violation(`a phase took ${ms} ms`);
  }
  return expected.length === written.length ? "all" : expected.length > 0 ? "some" : "nothing";
}

function checkEntries(journal: Journal, expected: readonly JournalEntry[], when: string): void {
  const found = journal.entries();
  const same = found.length === expected.length &&
    found.every((entry, at) => tell(entry) === tell(expected[at]));
  if (!same) throw new Violation(`${when} gives ${found.map(tell)}, promised is ${expected.map(tell)}`);
}

/** What the codec says of the bytes of an entry. */
function tripleOf(bytes: Uint8Array): Triple | null {
  let value: CborValue;
  try {
    value = decodeCbor(bytes);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return null;
    throw new Violation(`the codec fails: ${error}`);
  }
  if (!Array.isArray(value) || value.length !== 3) return null;
  const [at, phase, note] = value;
  if ((typeof at !== "number" && typeof at !== "bigint") || at < 0 || typeof phase !== "string") return null;
  return note === null || typeof note === "string" ? [BigInt(at), phase, note] : null;
}

/** The codec refuses texts with a byte order mark in front, which a journal may hold. */
function isSame(found: Triple | null, expected: Triple | null): boolean {
  if (tell(found) === tell(expected)) return true;
  return expected === null && found !== null &&
    (found[1].startsWith("\ufeff") || found[2]?.startsWith("\ufeff") === true);
}

function tell(value: unknown): string {
  return JSON.stringify(value, (_key, part) => typeof part === "bigint" ? `${part}n` : part) ?? "nothing";
}

function randomEntry(random: Random): JournalEntry {
  const wide = (BigInt(random.next()) << 32n) | BigInt(random.next());
  const note = random.pick([null, null, "", randomText(random), "why ".repeat(random.below(108))]);
  return {
    at: random.pick([wide, wide >> 20n, 0n, 23n, 24n, (1n << 64n) - 1n]),
    phase: random.chance(0.9) ? random.pick(PHASES) : [...randomText(random)].slice(0, 10).join(""),
    note: note === null || new TextEncoder().encode(note).length > 430 ? null : note,
  };
}

function contentOf({ at, phase, note }: JournalEntry): Uint8Array {
  return encodeTriple([at, phase, note]);
}

function slotsOf(random: Random): number {
  return random.chance(0.98) ? random.below(16) : random.between(100, JOURNAL_SLOTS);
}

/** The whole slots of a memory, as far as a journal goes. */
function slotsIn(bytes: Uint8Array): Uint8Array[] {
  const count = Math.min(JOURNAL_SLOTS, Math.floor(bytes.length / SLOT_BYTES));
  return Array.from({ length: count }, (_, index) => slotAt(bytes, index));
}

function slotAt(bytes: Uint8Array, index: number): Uint8Array {
  return bytes.subarray(index * SLOT_BYTES, (index + 1) * SLOT_BYTES);
}

function slotIn(bytes: Uint8Array, random: Random): number {
  return random.below(Math.floor(bytes.length / SLOT_BYTES));
}
