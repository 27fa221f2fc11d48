import { assert, assertEquals } from "@std/assert";

import { createMemfd, dupFd, fdLink, fstat, getSeals, openFile, pwrite, SEALS } from "../sys/mod.ts";
import { SLOT_BYTES } from "./abi/journal.ts";
import { Journal, JOURNAL_SLOTS } from "./journal.ts";

Deno.test("Journal.create() makes an empty memfd of fixed size", () => {
  using journal = Journal.create();
  assertEquals(fdLink(journal.fd), "/memfd:kho:journal (deleted)");
  assertEquals(fstat(journal.fd).size, JOURNAL_SLOTS * SLOT_BYTES);
  assertEquals(getSeals(journal.fd) & (SEALS.SHRINK | SEALS.GROW), SEALS.SHRINK | SEALS.GROW);
  assertEquals(journal.entries(), []);
});

Deno.test("Journal.append() adds entries in their order, stamped with a clock that only rises", () => {
  using journal = Journal.create();
  journal.append("loading");
  journal.append("freezing", "a note", 5n);
  journal.append("jumping");
  const [first, second, third] = journal.entries();
  assertEquals([first?.phase, first?.note], ["loading", null]);
  assertEquals(second, { at: 5n, phase: "freezing", note: "a note" });
  assert(first !== undefined && third !== undefined && third.at >= first.at && first.at > 5n);
  assertEquals(journal.entries().length, 3);
});

Deno.test("Journal.adopt() goes on behind what is there, also behind a damaged last entry", () => {
  using journal = Journal.create();
  for (const phase of ["a", "b", "c"]) journal.append(phase, null, 1n);
  damage(journal, 1);
  damage(journal, 2);
  using adopted = Journal.adopt(dupFd(journal.fd));
  assertEquals(adopted.entries(), [{ at: 1n, phase: "a", note: null }]);
  adopted.append("d", null, 2n);
  assertEquals(journal.entries().map(({ phase }) => phase), ["a", "d"]);
});

Deno.test("Journal.entries() skips a damaged entry and reads those behind it", () => {
  using journal = Journal.create();
  for (const phase of ["a", "b", "c"]) journal.append(phase);
  damage(journal, 1);
  assertEquals(journal.entries().map(({ phase }) => phase), ["a", "c"]);
});

Deno.test("Journal.append() to a full journal is dropped and breaks nothing", () => {
  using journal = Journal.create();
  for (let index = 0; index < JOURNAL_SLOTS + 3; index++) journal.append(`${index}`);
  const entries = journal.entries();
  assertEquals(entries.length, JOURNAL_SLOTS);
  assertEquals(entries.at(-1)?.phase, `${JOURNAL_SLOTS - 1}`);
  using adopted = Journal.adopt(dupFd(journal.fd));
  adopted.append("more");
  assertEquals(adopted.entries(), entries);
  assertEquals(fstat(journal.fd).size, JOURNAL_SLOTS * SLOT_BYTES);
});

Deno.test("Journal.append() never throws, whatever its descriptor is", () => {
  const disposed = Journal.create();
  disposed[Symbol.dispose]();
  disposed.append("late");
  assertEquals(disposed.entries(), []);

  using unwritable = Journal.adopt(openFile("/dev/null"));
  unwritable.append("a");
  assertEquals(unwritable.entries(), []);

  using short = Journal.adopt(createMemfd("short", { size: SLOT_BYTES - 1 }));
  assertEquals(short.entries(), []);

  using journal = Journal.create();
  journal.append("p".repeat(SLOT_BYTES));
  journal.append("fits");
  assertEquals(journal.entries().map(({ phase }) => phase), ["fits"]);
});

function damage(journal: Journal, slot: number): void {
  pwrite(journal.fd, new Uint8Array([0xff]), slot * SLOT_BYTES + 5);
}
