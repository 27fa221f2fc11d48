import { assert, assertEquals, assertStringIncludes } from "@std/assert";

import { runScript, type ScriptResult } from "../sys/helpers_test.ts";
import { describeError } from "./probation.ts";

/**
 * A child that plays both builds: at first it writes a segment and is on probation with it; when it starts again with an
 * announcement, it is the build that came back.
 */
async function onProbation(body: string, setup = ""): Promise<ScriptResult & { returned: unknown }> {
  const result = await runScript(`
    import { Probation } from "${import.meta.resolve("./probation.ts")}";
    import { takeOver, IncomingKho } from "${import.meta.resolve("./incoming.ts")}";
    import { Journal } from "${import.meta.resolve("./journal.ts")}";
    import { identify } from "${import.meta.resolve("./identity.ts")}";
    import { buildSegment } from "${import.meta.resolve("./segment_build.ts")}";
    import { ownMetadata, sampleImage, sampleSegment } from "${import.meta.resolve("./samples_test.ts")}";
    const back = await takeOver();
    if (back !== null) {
      const kept = back.record.fds.find(({ kind }) => kind === "preserved");
      say({
        role: back.role,
        same: sys.getPid() === back.record.metadata.pid,
        notes: back.journal?.entries().filter(({ phase }) => phase === "failed").map(({ note }) => note),
        kept: kept === undefined ? null : sys.fdLink(back.borrowFd(kept.fd)),
        count: back.record.fds.length,
      });
      Deno.exit(0);
    }
    let role: "update" | "fallback" | "recovery" | "store" = "update";
    let exec = Deno.execPath();
    let patience = 60_000n;
    ${setup}
    const memory = sys.createMemfd("kept");
    const journal = Journal.create();
    const inherited = sys.createMemfd("inherited");
    sys.setCloexec(inherited.fd, false);
    const record = sampleSegment({
      fds: [identify(memory.fd, "preserved"), identify(journal.fd, "journal"), identify(inherited.fd, "inherited")],
      image: sampleImage({ argv: ARGV, cwd: DIRECTORY, env: sys.initialEnvironmentBytes(), exec, limits: [] }),
      metadata: ownMetadata(),
    });
    const segment = buildSegment(record);
    memory.release();
    const incoming = new IncomingKho({ record, bytes: segment.bytes }, {
      fd: segment.memory.release(),
      nonce: record.metadata.nonce,
      role,
    });
    const probation = new Probation(incoming, sys.monotonicNs() + patience * 1_000_000n);
    probation.arm();
    ${body}
  `);
  const [line] = result.lines;
  return { ...result, returned: line === undefined ? null : JSON.parse(line) };
}

const RETURNED = { role: "fallback", same: true, kept: "/memfd:kept (deleted)", count: 3 };

const FAILURES: [name: string, body: string, note: string][] = [
  [
    "an exception",
    `setTimeout(() => { throw new TypeError("no luck\\nat all"); }, 1);`,
    "it threw: TypeError: no luck",
  ],
  [
    "an exception at top level",
    `throw new Error("at once");`,
    "it left a rejection unhandled: Error: at once",
  ],
  [
    "an unhandled rejection",
    `Promise.reject(new Error("left"));`,
    "it left a rejection unhandled: Error: left",
  ],
  ["a rejection with no error", `Promise.reject("text");`, "it left a rejection unhandled: text"],
  ["Deno.exit", `Deno.exit(3);`, "it ended before ready() (exit status 3)"],
  ["the end of the program", `probation.loaded();`, "it ended before ready() (exit status 0)"],
  ["giveUp()", `probation.giveUp("its own reason");`, "its own reason"],
];

for (const [name, body, note] of FAILURES) {
  Deno.test(`Probation returns to the previous build after ${name}`, async () => {
    const { code, returned, stderr } = await onProbation(body);
    const { notes, ...rest } = returned as { notes: string[] };
    assertEquals(rest, RETURNED as unknown, stderr);
    assertEquals(notes.length, 1);
    assert(notes[0]?.startsWith(note), `${notes[0]}`);
    assertStringIncludes(stderr, `heirloom: the new build gave up: ${note}`);
    assertEquals(code, 0);
  });
}

Deno.test("Probation returns to the previous build at the deadline, also of a top-level await without end", async () => {
  const { returned } = await onProbation(`await new Promise(() => {});`, "patience = 50n;");
  const { notes } = returned as { notes: string[] };
  assertEquals(notes, ["it ran past its deadline before ready()"]);
});

Deno.test("Probation returns at once when the deadline is over already", async () => {
  const { returned } = await onProbation(`await new Promise(() => {});`, "patience = -5n;");
  assertEquals((returned as { role: string }).role, "fallback");
});

Deno.test("Probation goes back without an inherited descriptor that was closed meanwhile", async () => {
  const { returned, stderr } = await onProbation(
    `sys.closeFd(inherited.fd); probation.giveUp("closed one");`,
  );
  assertEquals((returned as { role: string } | null)?.role, "fallback", stderr);
});

Deno.test("Probation.disarm() leaves failures to the runtime", async () => {
  const body =
    `say(probation.armed); probation.disarm(); probation.disarm(); say(probation.armed); throw new Error("own");`;
  const { lines, code, stderr } = await onProbation(body);
  assertEquals(lines, ["true", "false"]);
  assertEquals(code, 1);
  assertStringIncludes(stderr, "own");
});

Deno.test("Probation has no second attempt: a build that came back and fails is lost", async () => {
  for (const role of ["fallback", "recovery"]) {
    const { lines, code, stderr } = await onProbation(`throw new Error("again");`, `role = "${role}";`);
    assertEquals(lines, []);
    assertEquals(code, 70);
    assertStringIncludes(
      stderr,
      "heirloom: lost: the previous build failed as well: it left a rejection unhandled: Error: again",
    );
  }
});

Deno.test("Probation says so when the previous build cannot be started", async () => {
  const { lines, code, stderr } = await onProbation(
    `probation.giveUp("why");`,
    `exec = DIRECTORY + "/gone";`,
  );
  assertEquals(lines, []);
  assertEquals(code, 70);
  assertStringIncludes(stderr, "heirloom: lost: the previous build cannot be started again: Cannot execve");
});

Deno.test("describeError() is one line with the place", () => {
  const line = describeError(new RangeError("first\nsecond"));
  assert(/^RangeError: first \(at \/.*probation_test\.ts:\d+:\d+\)$/.test(line), line);
  assertEquals(describeError("text\nmore"), "text");
  assertEquals(describeError(undefined), "undefined");
  const bare = new Error("no stack");
  delete bare.stack;
  assertEquals(describeError(bare), "Error: no stack");
  assertEquals(describeError(new Error("in file:///a.ts:1:2")), "Error: in file:///a.ts:1:2");
});
