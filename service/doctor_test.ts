import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { STATUS } from "../control/helpers_test.ts";
import { note, ok, problem, warning } from "./doctor/finding.ts";
import { findScene } from "./doctor/subject.ts";
import { diagnose, diagnosisText, doctor } from "./doctor.ts";
import { cli, json, printed, sampleRecord, startFake } from "./helpers_test.ts";

const NOBODY = "/nowhere/heirloom.sock";
const base = { command: "doctor", socket: NOBODY, build: undefined, timeoutMs: 30_000 } as const;

Deno.test("diagnose() is not ok with a problem, and only then", () => {
  const good = [ok("a", "fine"), note("b", "so so"), warning("c", "careful", "do this")];
  assertEquals(diagnose({ pid: 7, generation: 2 }, good), {
    ok: true,
    service: { pid: 7, generation: 2 },
    findings: good,
  });
  assertEquals(diagnose(null, [...good, problem("d", "bad", "do that")]).ok, false);
});

Deno.test("diagnosisText() has a line for each finding, its advice below, and a sum", () => {
  const findings = [
    ok("a", "fine"),
    note("b", "so so"),
    warning("c", "careful", "do this"),
    problem("d", "bad", "do that"),
  ];
  assertEquals(
    diagnosisText(diagnose(null, findings)),
    `ok       fine
note     so so
warning  careful
         do this
problem  bad
         do that
updates do not work here: 1 problem, 1 warning, 1 note`,
  );
  assertEquals(
    diagnosisText(diagnose(null, [])),
    "updates can work here: no problems, no warnings, no notes",
  );
});

Deno.test("doctor() checks the machine alone where nobody serves the socket", async () => {
  const { out, err } = await printed(async () => assertEquals(await doctor({ ...base, json: true }), 0));
  assertEquals([out.length, err], [1, []]);
  const document = JSON.parse(out[0] ?? "");
  assertEquals(Object.keys(document), ["ok", "service", "findings"]);
  assertEquals([document.ok, document.service], [true, null]);
  for (const finding of document.findings) {
    assertEquals(Object.keys(finding), ["id", "level", "what", "advice"]);
  }
  const ids: string[] = document.findings.map(({ id }: { id: string }) => id);
  assertEquals(new Set(ids).size, ids.length, "each is there once");
  assertEquals(document.findings[0], note("service", `no service at ${NOBODY}: machine checks only`));
  assert(!ids.includes("descriptors") && !ids.includes("pid_1"), ids.join());
  const text = await printed(() => doctor({ ...base, json: false }));
  assertStringIncludes(text.out[0] ?? "", "updates can work here: ");
});

Deno.test("findScene() says so when somebody answers whose process is not to be seen, or nobody in time", async () => {
  await using fake = await startFake(({ url }, response) => {
    json(response, 200, url === "/v1/history" ? { updates: [sampleRecord()] } : { ...STATUS, pid: 2 ** 22 });
  });
  const hidden = await findScene(fake.socket, 30_000);
  assertEquals([hidden.subject, hidden.finding.level, hidden.service?.history.length], [null, "note", 1]);
  assertEquals(fake.requests, ["GET /v1/status?fds=1", "GET /v1/history"]);
  await using silent = await startFake(() => {});
  const none = await findScene(silent.socket, 200);
  assertEquals([none.service, none.finding.level], [null, "problem"]);
  assertStringIncludes(none.finding.what, "no answer after 0.2 s");
});

Deno.test("doctor exits 0 without a problem, 1 with one, 2 for wrong usage", async () => {
  const good = await cli(["doctor", "--socket", NOBODY]);
  assertEquals([good.code, good.stderr], [0, ""], good.stdout);
  const bad = await cli(["doctor", "--socket", NOBODY, "--build", "/nowhere", "--json"]);
  assertEquals([bad.code, bad.stderr, JSON.parse(bad.stdout).ok], [1, "", false]);
  const wrong = await cli(["doctor", "now"]);
  assertEquals([wrong.code, wrong.stdout], [2, ""]);
});
