/**
 * Runs scenarios, each in a process of its own, a few at a time.
 *
 * Happy path: {@linkcode runScenario} writes the scenario into a folder, starts the child there, and reads its progress.
 *
 * Unhappy paths: a child that ends before the scenario does, or does not end, is a failure that says after which step, with
 * the end of what it wrote to stderr.
 *
 * @module
 */
import type { ScenarioResult, StepResult } from "./_result.ts";
import { readProgress } from "./_progress.ts";
import type { Scenario } from "./_scenario.ts";

/** How long a scenario may take, in milliseconds. */
const DEADLINE_MS = 180_000;

/** How many run at once. */
const AT_ONCE = 2;

/** How much of what a child wrote is told. */
const TAIL = 2000;

/** A scenario and the file that it is from. */
export interface Planned {
  /** The file. */
  file: string;
  /** The scenario. */
  scenario: Scenario;
}

/**
 * Runs all scenarios.
 *
 * @param planned the scenarios
 * @param report told of each one, in their order
 */
export async function runAll(
  planned: readonly Planned[],
  report: (result: ScenarioResult) => void,
): Promise<ScenarioResult[]> {
  const folder = Deno.makeTempDirSync({ dir: tmpfs(), prefix: "heirloom-golden-" });
  try {
    const results: (ScenarioResult | undefined)[] = planned.map(() => undefined);
    const waiting = planned.entries();
    let told = 0;
    const work = async (): Promise<void> => {
      for (const [at, each] of waiting) {
        results[at] = await runScenario(each, `${folder}/${at}`);
        // In their order, each as soon as those before it are done.
        for (let next = results[told]; next !== undefined; next = results[++told]) report(next);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return results.filter((result) => result !== undefined);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

async function runScenario({ file, scenario }: Planned, folder: string): Promise<ScenarioResult> {
  const started = performance.now();
  Deno.mkdirSync(folder);
  const [scenarioPath, progress] = [`${folder}/scenario.json`, `${folder}/progress.jsonl`];
  Deno.writeTextFileSync(scenarioPath, JSON.stringify(scenario));
  Deno.writeTextFileSync(progress, "");
  const ending = await runChild([scenarioPath, progress, folder]);
  const { results, ended } = readProgress(progress);
  return summarise({ file, scenario }, results, ended ? null : ending, performance.now() - started);
}

/** Runs the child to its end. @returns how it ended, in words */
async function runChild(args: readonly string[]): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      "--no-lock",
      "--quiet",
      new URL("_child.ts", import.meta.url).pathname,
      ...args,
    ],
    // Whoever runs this may have live update switched off, or be an application of Heirloom.
    env: { HEIRLOOM: "on", NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, DEADLINE_MS);
  const { code, signal, stderr } = await child.output();
  clearTimeout(timer);
  const words = new TextDecoder().decode(stderr).trim().slice(-TAIL);
  const how = late ? `it did not end within ${DEADLINE_MS / 1000} s` : signal ?? `it ended with code ${code}`;
  return words === "" ? how : `${how}: ${words}`;
}

function summarise(
  { file, scenario: { name, steps } }: Planned,
  results: readonly StepResult[],
  ending: string | null,
  took: number,
): ScenarioResult {
  const failed = results.find(({ outcome }) => outcome === "failed");
  const last = results.length;
  const failure = failed !== undefined
    ? `step ${failed.step} ${failed.detail}`
    : ending === null
    ? null
    : `the process was lost at step ${last} ${steps[last]?.op ?? "(the end)"}: ${ending}`;
  const skipped = results.flatMap(({ step, op, kind }) => kind === undefined ? [] : [{ step, op, kind }]);
  const deviations = results.flatMap(({ step, op, rules }) =>
    rules === undefined ? [] : [{ step, op, rules }]
  );
  const nothingRan = skipped.length === steps.length;
  return {
    name,
    file,
    outcome: failure !== null ? "failed" : nothingRan ? "skipped" : "passed",
    steps: steps.length,
    skipped,
    deviations,
    failure,
    ms: Math.round(took),
  };
}

/** Scenarios need files of a tmpfs. Where there is none, those that do fail, and say so. */
function tmpfs(): string {
  try {
    return Deno.statSync("/dev/shm").isDirectory ? "/dev/shm" : "/tmp";
  } catch {
    return "/tmp";
  }
}
