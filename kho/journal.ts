/**
 * The journal of one update: a memfd `kho:journal` of fixed size that both builds append to, so that whoever runs in
 * the end can say how long each phase took and why the update ended as it did.
 *
 * Happy path: the old build creates it, stamps each phase, and lets it cross beside the segment; the new build adopts
 * it, goes on stamping, and folds it into the record of the update.
 *
 * Unhappy paths: a damaged entry is skipped, a full journal drops further stamps, a journal that cannot be adopted
 * reads as empty. It costs the phase times, never the boot.
 *
 * @module
 */
import { addSeals, createMemfd, monotonicNs, type OwnedFd, pread, pwrite, SEALS } from "../sys/mod.ts";
import { decodeEntry, encodeEntry, type JournalEntry, SLOT_BYTES } from "./abi/journal.ts";

/** Entries that a journal has room for. */
export const JOURNAL_SLOTS = 128;

/** An append-only list of stamps in shared memory. */
export class Journal implements Disposable {
  readonly #memory: OwnedFd;
  #next: number;

  private constructor(memory: OwnedFd, next: number) {
    this.#memory = memory;
    this.#next = next;
  }

  /** Creates an empty journal. */
  static create(): Journal {
    const memory = createMemfd("kho:journal", { size: JOURNAL_SLOTS * SLOT_BYTES, noexec: true });
    addSeals(memory.fd, SEALS.SHRINK | SEALS.GROW);
    return new Journal(memory, 0);
  }

  /**
   * Takes over a journal that crossed.
   *
   * @param memory the descriptor; owned by the journal from here on
   */
  static adopt(memory: OwnedFd): Journal {
    const journal = new Journal(memory, 0);
    journal.#next = journal.#used();
    return journal;
  }

  /** The journal's descriptor; it stays the journal's. */
  get fd(): number {
    return this.#memory.fd;
  }

  /**
   * Stamps a moment. Never throws: an update does not fail because its journal does.
   *
   * @param phase the phase that begins, or another event
   * @param note what there is to say
   * @param at `CLOCK_MONOTONIC` in nanoseconds, now if absent
   */
  append(phase: string, note: string | null = null, at: bigint = monotonicNs()): void {
    if (this.#next >= JOURNAL_SLOTS || this.#memory.disposed) return;
    try {
      pwrite(this.#memory.fd, encodeEntry({ at, phase, note }), this.#next * SLOT_BYTES);
      this.#next++;
    } catch {
      // Nothing above can do anything about it, and the phase times are not worth an update.
    }
  }

  /** All entries that can be read, in the order of writing. */
  entries(): JournalEntry[] {
    const found: JournalEntry[] = [];
    for (const slot of this.#slots()) {
      const entry = decodeEntry(slot);
      if (entry !== null) found.push(entry);
    }
    return found;
  }

  /** Closes this side's descriptor. */
  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }

  /** Slots up to the last one that anything was written to, damaged or not. */
  #used(): number {
    let used = 0;
    let index = 0;
    for (const slot of this.#slots()) {
      index++;
      if (slot.some((byte) => byte !== 0)) used = index;
    }
    return used;
  }

  *#slots(): Iterable<Uint8Array> {
    const all = new Uint8Array(JOURNAL_SLOTS * SLOT_BYTES);
    let length = 0;
    try {
      length = pread(this.#memory.fd, all, 0);
    } catch {
      return;
    }
    for (let at = 0; at + SLOT_BYTES <= length; at += SLOT_BYTES) yield all.subarray(at, at + SLOT_BYTES);
  }
}
