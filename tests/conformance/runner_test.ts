/**
 * The runner itself: that it finds what is wrong, and says so.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { HERE, runGolden, runScenarios } from "./_run.ts";
import type { Answer } from "./_scenario.ts";

interface RawStep {
  op: string;
  args: Record<string, unknown>;
  expect: Answer;
  process?: string;
}

interface RawScenario {
  name: string;
  steps: RawStep[];
}

function measured(name: string): RawScenario {
  const scenarios = JSON.parse(Deno.readTextFileSync(`${HERE}golden.json`)) as RawScenario[];
  const found = scenarios.find((scenario) => scenario.name === name);
  if (found === undefined) throw new Error(`there is no scenario ${name}`);
  return structuredClone(found);
}

/** A measured scenario with another answer of the kernel at one step. */
function corrupted(name: string, at: number, expect: Answer): RawScenario {
  const scenario = measured(name);
  const step = scenario.steps[at];
  if (step === undefined) throw new Error(`${name} has no step ${at}`);
  step.expect = expect;
  return { ...scenario, name: `${name} with another step ${at}` };
}

const OPEN: RawStep = { op: "open_dev", args: { as: "d" }, expect: { ok: true } };

Deno.test("a kernel that had answered otherwise fails, wherever the answer differs", async () => {
  const scenarios = [
    corrupted("create_duplicate", 2, { ok: true }),
    corrupted("create_duplicate", 2, { errno: "EBUSY" }),
    corrupted("preserve_basic_tokens", 10, { errno: "EEXIST" }),
    corrupted("x_basic", 14, { errno: "ENOENT" }),
    corrupted("x_basic", 21, { ok: true, n: 5, data: "jello" }),
    corrupted("x_basic", 20, { ok: true, size: 8192, fnv: "0033e61bae45c32c" }),
    // Members that a rule of deviation covers for some files, and for some values.
    corrupted("x_properties", 39, { ok: true, mode: "100700" }),
    corrupted("preserve_freezes_the_memfd", 4, { ok: true, blocks: 16 }),
    corrupted("preserve_freezes_the_memfd", 24, { errno: "EPERM" }),
    corrupted("x_next_kernel_without_liveupdate", 6, { errno: "EBUSY" }),
    corrupted("x_many_files", 6, { ok: true, good: 99, failed: 1 }),
    corrupted("x_empty_session", 3, { errno: "EINVAL" }),
  ];
  const { code, passed, failed, scenarios: results } = await runScenarios(scenarios);
  assertEquals(results.filter(({ outcome }) => outcome !== "failed").map(({ name }) => name), []);
  assertEquals([code, passed, failed], [1, 0, scenarios.length]);
  const [first, , , , read] = results;
  assertStringIncludes(first?.failure ?? "", "step 2 create ");
  assertStringIncludes(first?.failure ?? "", "kernel ok, here EEXIST");
  assertStringIncludes(read?.failure ?? "", 'kernel data "jello", here "hello"');
});

Deno.test("what the vocabulary does not have is a clear failure and no crash", async () => {
  const odd: [RawStep, RegExp][] = [
    [{ op: "frobnicate", args: {}, expect: { ok: true } }, /frobnicate .*unknown operation/],
    [{ op: "toString", args: {}, expect: { ok: true } }, /toString .*unknown operation/],
    [{ op: "fd", args: { as: "x", kind: "spoon" }, expect: { ok: true } }, /no kind of descriptor "spoon"/],
    [{ op: "create", args: { as: "s", name: "n" }, expect: { ok: true } }, /argument "dev" is missing/],
    [{ op: "ftruncate", args: { fd: "d2", bytes: "many" }, expect: { ok: true } }, /kernel ok, here EBADF/],
    [{ ...OPEN, args: { as: "e" }, process: "another" }, /there is no process "another"/],
    [{ op: "memfd", args: { as: "m", bytes: "much" }, expect: { ok: true } }, /"bytes" is no whole number/],
  ];
  const { code, scenarios } = await runScenarios(
    odd.map(([step], at) => ({ name: `odd ${at}`, steps: [OPEN, step] })),
  );
  assertEquals(code, 1);
  odd.forEach(([, message], at) => assertMatch(scenarios[at]?.failure ?? "", message));
  assert(scenarios.every(({ failure }) => !failure?.includes("file://")), "a stack is no clear failure");
});

Deno.test("a kexec fails where the kernel's did not, and the other way round", async () => {
  const kexec: RawStep = { op: "kexec", args: {}, expect: { ok: true } };
  const refused = await runScenarios([{
    name: "x",
    steps: [OPEN, { ...kexec, expect: { errno: "EBUSY" } }],
  }]);
  assertStringIncludes(refused.scenarios[0]?.failure ?? "", "step 1 kexec {}: kernel EBUSY, here ok");

  const env = { HEIRLOOM_FAULT: "booting:throw" };
  const broken = await runScenarios([{ name: "x", steps: [OPEN, kexec, OPEN] }], env);
  const { failure = "" } = broken.scenarios[0] ?? {};
  assertEquals(failure, "step 1 kexec {}: the next image failed, and the one before came back (fallback)");
});

Deno.test("a file that cannot be used ends the run before it begins", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "heirloom-scenarios-" });
  try {
    const write = (name: string, text: string): string => {
      Deno.writeTextFileSync(`${folder}/${name}`, text);
      return `${folder}/${name}`;
    };
    const step = (text: string): string => `[{"name": "x", "steps": [${text}]}]`;
    const cases: [string[], RegExp][] = [
      [[], /no file is named[\s\S]*usage/],
      [["--frob", "golden.json"], /no such option/],
      [[`${folder}/absent.json`], /Cannot read .*absent\.json: .*No such file/],
      [[folder], /Cannot read .*: Is a directory/],
      [[write("text.json", "hello")], /Cannot read .*text\.json: not JSON/],
      [[write("object.json", "{}")], /not a list of scenarios/],
      [[write("empty.json", "[]")], /there is no scenario/],
      [[write("nameless.json", '[{"steps": []}]')], /scenario 0 has no name/],
      [[write("stepless.json", '[{"name": "x"}]')], /has no list of steps/],
      [[write("opless.json", step('{"expect": {"ok": true}}'))], /step 0 has no "op"/],
      [
        [write("silent.json", step('{"op": "create", "args": {}, "expect": {}}'))],
        /neither "ok": true nor "errno"/,
      ],
      [["golden.json", `${folder}/text.json`], /text\.json: not JSON/],
      [["golden.json", "--only", "no_such_scenario"], /there is no scenario/],
    ];
    for (const [args, message] of cases) {
      const { code, out, err } = await runGolden(args);
      assertEquals([code, out], [2, ""], args.join(" "));
      assertMatch(err, message);
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("it prints a line for each scenario, in their order, and the counts", async () => {
  const { code, out, err } = await runGolden([
    "golden.json",
    "--only",
    "preserve_then_write_seal_no_mapping",
  ]);
  assertEquals(
    [code, out, err],
    [
      0,
      "ok preserve_then_write_seal_no_mapping (10 steps, 1 deviation: write-seal-not-refused)\n" +
      "1 passed, 0 failed, 0 skipped\n",
      "",
    ],
  );
  const skipped = await runGolden(["vocabulary.json", "--only", "only_for_kernels_at_all"]);
  assertEquals(
    [skipped.code, skipped.out],
    [0, "skipped only_for_kernels_at_all (2 steps)\n0 passed, 0 failed, 1 skipped\n"],
  );
});
