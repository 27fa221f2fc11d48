import { assert, assertEquals, assertThrows } from "@std/assert";

import { runScriptForJson } from "../sys/helpers_test.ts";
import { closeFd, createMemfd, fdLink, isOpenFd } from "../sys/mod.ts";
import { assertHandoverError, makeIncoming, MAX_U64 } from "./helpers_test.ts";
import { Journal } from "./journal.ts";

Deno.test("IncomingKho lends a preserved descriptor at its recorded number", () => {
  const memory = createMemfd("kept");
  const { fd } = memory;
  const kho = makeIncoming({ fds: [[memory, "preserved"]] });
  assertEquals(kho.borrowFd(fd), fd);
  assertEquals(kho.borrowFd(fd), fd);
  assertEquals(fdLink(fd), "/memfd:kept (deleted)");
  kho.releaseFd(fd);
  kho.commit();
});

Deno.test("IncomingKho lends nothing that the segment does not list as preserved", () => {
  using foreign = createMemfd("foreign");
  using inherited = createMemfd("inherited");
  const journal = Journal.create();
  const journalFd = journal.fd;
  const kho = makeIncoming({ fds: [[inherited, "inherited"]] });
  for (const fd of [foreign.fd, 0, -1, 1_000_000, kho.announcement.fd, journalFd]) {
    assertHandoverError(() => kho.borrowFd(fd), "ENOENT", `Cannot borrow fd ${fd}`);
    assertHandoverError(() => kho.releaseFd(fd), "ENOENT", `Cannot release fd ${fd}`);
  }
  kho.commit();
  journal[Symbol.dispose]();
});

Deno.test("IncomingKho keeps a released descriptor open until the commit, and closes it there", () => {
  const [first, second] = [createMemfd("first"), createMemfd("second")];
  const numbers = [first.fd, second.fd] as const;
  const kho = makeIncoming({ fds: [[first, "preserved"], [second, "preserved"]] });
  const segment = kho.announcement.fd;
  kho.releaseFd(numbers[0]);
  assert(isOpenFd(numbers[0]) && !kho.committed);
  assertHandoverError(() => kho.borrowFd(numbers[0]), "ENOENT");
  assertHandoverError(() => kho.releaseFd(numbers[0]), "ENOENT");
  assertEquals(kho.crossing(), [segment, ...numbers]);
  kho.commit();
  assert(kho.committed);
  assertEquals([numbers[0], numbers[1], segment].map(isOpenFd), [false, true, false]);
  assertEquals(kho.borrowFd(numbers[1]), numbers[1]);
  kho.releaseFd(numbers[1]);
  assertEquals(isOpenFd(numbers[1]), false);
  assertHandoverError(() => kho.borrowFd(numbers[1]), "ENOENT");
});

Deno.test("IncomingKho.commit() happens once and closes nothing of others", () => {
  const journal = Journal.create();
  const fd = journal.fd;
  journal.append("freezing");
  const memory = createMemfd("kept");
  const kept = memory.fd;
  // The journal's owner gives its descriptor away, as a process image does that ends.
  const kho = makeIncoming({ fds: [[memory, "preserved"]] });
  kho.commit();
  using next = createMemfd("next");
  kho.commit();
  assert(isOpenFd(next.fd) && isOpenFd(kept) && isOpenFd(fd));
  kho.releaseFd(kept);
  journal[Symbol.dispose]();
});

Deno.test("IncomingKho adopts the journal and closes it at the commit", () => {
  const memory = createMemfd("kho:journal", { size: 128 * 512 });
  const { fd } = memory;
  const kho = makeIncoming({ fds: [[memory, "journal"]] });
  kho.journal?.append("booting", null, 1n);
  assertEquals(kho.journal?.entries(), [{ at: 1n, phase: "booting", note: null }]);
  kho.commit();
  assertEquals(isOpenFd(fd), false);
  kho.journal?.append("late");
  assertEquals(kho.journal?.entries(), []);
});

Deno.test("IncomingKho leaves inherited descriptors alone", () => {
  const memory = createMemfd("inherited");
  const { fd } = memory;
  const kho = makeIncoming({ fds: [[memory, "inherited"]] });
  assertEquals(kho.inherited().map((record) => record.fd), [fd]);
  assertEquals(kho.crossing(), [kho.announcement.fd, fd]);
  assertEquals(kho.journal, null);
  kho.commit();
  assert(isOpenFd(fd));
  closeFd(fd);
  assertEquals(kho.crossing(), [kho.announcement.fd]);
});

Deno.test("IncomingKho reads blobs by handle and subtrees by name", () => {
  const blob = new Uint8Array([1, 2]);
  const kho = makeIncoming({ blobs: [blob], subtrees: { luo: new Uint8Array([3]) } });
  assertEquals(kho.blob(1n), blob);
  assertEquals(kho.subtree("luo"), new Uint8Array([3]));
  assertEquals(kho.subtree("live"), null);
  for (const handle of [0n, -1n, 3n, MAX_U64]) {
    assertHandoverError(() => kho.blob(handle), "ENOENT", `Cannot read blob ${handle}`);
  }
  kho.commit();
});

Deno.test("IncomingKho refuses a descriptor number that cannot be one", () => {
  assertThrows(() => makeIncoming({ fds: [] }).borrowFd(NaN), Error, "Cannot borrow fd NaN");
});

/** What a child does first: build a segment for itself, with two descriptors and a journal, and announce it. */
const ANNOUNCE = `
  import * as samples from "${import.meta.resolve("./samples_test.ts")}";
  import { takeOver } from "${import.meta.resolve("./incoming.ts")}";
  import { formatAnnouncement } from "${import.meta.resolve("./abi/announcement.ts")}";
  import { identify } from "${import.meta.resolve("./identity.ts")}";
  import { Journal } from "${import.meta.resolve("./journal.ts")}";
  import { buildSegment } from "${import.meta.resolve("./segment_build.ts")}";
  const kept = sys.createMemfd("kept").release();
  const inherited = sys.createMemfd("inherited").release();
  const journal = Journal.create();
  journal.append("freezing");
  const record = samples.sampleSegment({
    fds: [identify(kept, "preserved"), identify(inherited, "inherited"), identify(journal.fd, "journal")],
    metadata: samples.ownMetadata(),
  });
  const segment = buildSegment(record).memory.release();
  const all = [segment, kept, inherited, journal.fd];
  for (const fd of all) sys.setCloexec(fd, false);
  const { nonce } = record.metadata;
  function announce(fd = segment, changed = nonce): void {
    const entry = formatAnnouncement({ fd, nonce: changed, role: "update" });
    Deno.env.set("HEIRLOOM_HANDOVER", entry.slice(entry.indexOf("=") + 1));
  }
  async function attempt(): Promise<void> {
    try {
      const kho = await takeOver();
      say(kho === null ? "cold" : { role: kho.role, journal: kho.journal?.entries().map((entry) => entry.phase) ?? null });
    } catch (error) {
      const { name, code, message } = error as { name: string; code: string; message: string };
      say([name, code, message.replace(/\\d+/g, "N")]);
    }
    say([Deno.env.get("HEIRLOOM_HANDOVER") ?? null, ...all.map((fd) => sys.isOpenFd(fd) ? sys.getCloexec(fd) : null)]);
  }
`;

Deno.test("takeOver() is null on a cold start", async () => {
  assertEquals(await runScriptForJson(`${ANNOUNCE}; await attempt();`), [
    "cold",
    [null, false, false, false, false],
  ]);
});

Deno.test("takeOver() reads the handover, removes the announcement and arms CLOEXEC again", async () => {
  assertEquals(await runScriptForJson(`${ANNOUNCE}; announce(); await attempt(); await attempt();`), [
    { role: "update", journal: ["freezing"] },
    [null, true, true, false, true],
    "cold",
    [null, true, true, false, true],
  ]);
});

Deno.test("takeOver() of what cannot be verified throws, and has touched no descriptor", async () => {
  const untouched = [null, false, false, false, false];
  const cases: [string, unknown][] = [
    [
      `Deno.env.set("HEIRLOOM_HANDOVER", "v9:3")`,
      ["HandoverError", "BAD_ANNOUNCEMENT"],
    ],
    [`announce(999)`, ["HandoverError", "NOT_A_SEGMENT"]],
    [`announce(kept)`, ["HandoverError", "UNSEALED"]],
    [`announce(segment, nonce.with(0, 99))`, ["HandoverError", "FOREIGN"]],
  ];
  for (const [prepare, expected] of cases) {
    const [answer, state] = await runScriptForJson(`${ANNOUNCE}; ${prepare}; await attempt();`);
    assertEquals((answer as string[]).slice(0, 2), expected);
    assertEquals(state, untouched);
  }
});

Deno.test("takeOver() refuses a closed and a swapped descriptor by its number", async () => {
  const closed = `${ANNOUNCE}; announce(); sys.closeFd(kept); await attempt();`;
  assertEquals(await runScriptForJson(closed), [
    ["HandoverError", "WRONG_DESCRIPTOR", "Cannot take over fd N: it is closed (EBADF)"],
    [null, false, null, false, false],
  ]);
  const swapped = `
    ${ANNOUNCE};
    announce();
    sys.closeFd(kept);
    if (sys.openFile("/dev/null").release() !== kept) throw new Error("another number");
    await attempt();
  `;
  assertEquals((await runScriptForJson(swapped))[0], [
    "HandoverError",
    "WRONG_DESCRIPTOR",
    "Cannot take over fd N: it is another one (chardev, inode N instead of N)",
  ]);
});

Deno.test("takeOver() goes on without a journal that is closed, swapped or damaged", async () => {
  const answer = { role: "update", journal: null };
  const closed = `${ANNOUNCE}; announce(); sys.closeFd(journal.fd); await attempt();`;
  assertEquals((await runScriptForJson(closed))[0], answer);
  const swapped = `
    ${ANNOUNCE};
    announce();
    const number = journal.fd;
    sys.closeFd(number);
    if (sys.createMemfd("other", { size: 4096 }).release() !== number) throw new Error("another number");
    await attempt();
  `;
  assertEquals((await runScriptForJson(swapped))[0], answer);
  const damaged = `${ANNOUNCE}; announce(); sys.pwrite(journal.fd, new Uint8Array([1]), 9); await attempt();`;
  assertEquals((await runScriptForJson(damaged))[0], { role: "update", journal: [] });
});
