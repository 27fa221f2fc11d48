/**
 * Both files of the kernel's measurements, and the rest of their vocabulary, against the API; and the rules of deviation.
 *
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { OPERATIONS } from "./_operations.ts";
import type { ScenarioResult } from "./_result.ts";
import { MAX_RULES, readRules, RULES_PATH } from "./_rules.ts";
import { HERE, type RunDocument, runJson } from "./_run.ts";
import { readScenarios } from "./_scenario.ts";
import { SKIPS } from "./_skips.ts";

const MEASURED = ["golden.json", "golden-fuzz.json"];
const ALL = [...MEASURED, "vocabulary.json"];

/** How long both files of measurements may take, in milliseconds. */
const MEASURED_MS = 120_000;

/** All files are run once, for all tests here. */
let running: Promise<RunDocument> | undefined;

function all(): Promise<RunDocument> {
  running ??= runJson(ALL);
  return running;
}

async function of(files: readonly string[]): Promise<ScenarioResult[]> {
  return (await all()).scenarios.filter(({ file }) => files.includes(file));
}

Deno.test("every step that a real kernel answered is answered so here, or there is a rule why not", async () => {
  const { code, scenarios, err } = await all();
  const failures = scenarios.filter(({ failure }) => failure !== null)
    .map(({ name, failure }) => `${name}: ${failure}`);
  assertEquals(failures, [], err);
  assertEquals(code, 0);
  const measured = await of(MEASURED);
  assertEquals(measured.length, MEASURED.flatMap((file) => readScenarios(`${HERE}${file}`)).length);
  assertEquals(measured.filter(({ outcome }) => outcome !== "passed"), []);
  // Two at a time share the cores: the sum is about twice what the run takes.
  assert(measured.reduce((sum, { ms }) => sum + ms, 0) < 2 * MEASURED_MS);
});

Deno.test("what the README of the measurements lists is in the vocabulary", async () => {
  const words = new Set(
    ALL.flatMap((file) => readScenarios(`${HERE}${file}`))
      .flatMap(({ steps }) => steps.map(({ op }) => op)),
  );
  const silent = Object.keys(OPERATIONS).filter((op) => !words.has(op));
  assertEquals(silent, [], "operations that no scenario uses");
  const ran = new Set<string>();
  const results = new Map((await of(ALL)).map((result) => [`${result.file} ${result.name}`, result]));
  for (const file of ALL) {
    for (const { name, steps } of readScenarios(`${HERE}${file}`)) {
      const skipped = new Set(results.get(`${file} ${name}`)?.skipped.map(({ step }) => step));
      steps.forEach(({ op }, at) => skipped.has(at) || ran.add(op));
    }
  }
  const never = Object.keys(OPERATIONS).filter((op) => !ran.has(op));
  assertEquals(never, [], "operations that are always skipped");
});

Deno.test("every skip is of a kind that is listed, and no kind is listed in vain", async () => {
  const used = new Set((await of(ALL)).flatMap(({ skipped }) => skipped.map(({ kind }) => kind)));
  assertEquals([...used].sort(), (Object.keys(SKIPS) as (keyof typeof SKIPS)[]).sort());
});

Deno.test("there are few rules of deviation, each well-formed and in use", async () => {
  const rules = readRules(Object.keys(OPERATIONS));
  assert(rules.length <= MAX_RULES, `${rules.length} rules`);
  const used = new Set((await of(ALL)).flatMap(({ deviations }) => deviations.flatMap(({ rules }) => rules)));
  assertEquals(rules.map(({ id }) => id).filter((id) => !used.has(id)), [], "rules that nothing needs");
});

Deno.test("a rule that is not well-formed is refused, with the reason", () => {
  const good = JSON.parse(Deno.readTextFileSync(RULES_PATH)) as Record<string, unknown>[];
  const [first = {}] = good;
  const faults: [Record<string, unknown>, string][] = [
    [{ ...first, op: ["frobnicate"] }, 'there is no operation "frobnicate"'],
    [{ ...first, when: ["the moon is full"] }, 'there is no condition "the moon is full"'],
    [{ ...first, when: [] }, "it has no conditions"],
    [{ ...first, kernel: {} }, "a side is no pattern"],
    [{ ...first, ours: "whatever" }, "a side is no pattern"],
    [{ ...first, why: "" }, "its reason is not one sentence"],
    [{ ...first, scenario: "x_basic" }, "its members are"],
  ];
  for (const [rule, reason] of faults) {
    assertThrows(() => readRules(Object.keys(OPERATIONS), JSON.stringify([rule])), TypeError, reason);
  }
  const twice = JSON.stringify([first, first]);
  assertThrows(() => readRules(Object.keys(OPERATIONS), twice), TypeError, "its id is there twice");
});
