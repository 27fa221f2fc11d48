/**
 * The conformance runner: runs scenarios that were measured on a real kernel against the in-process API, in real processes.
 *
 * ```sh
 * deno run -A tests/conformance/run_golden.ts FILE... [--json] [--only NAME]
 * ```
 *
 * It prints a line for each scenario and `N passed, N failed, N skipped`; with `--json` one JSON document instead. Exit
 * status: 0 all passed, 1 any failed, 2 wrong usage or a file that cannot be read.
 *
 * A `kexec` step is a real re-exec. What cannot be compared in a process is skipped by kind (`_skips.ts`), what answers
 * otherwise for a reason is a rule (`deviations.json`), and everything else that differs fails.
 *
 * @module
 */
import type { RunResult, ScenarioResult } from "./_result.ts";
import { type Planned, runAll } from "./_runner.ts";
import { readScenarios, ScenarioError } from "./_scenario.ts";

const USAGE = "usage: run_golden.ts FILE... [--json] [--only NAME]";
const HELP = ["-h", "--help"];

interface Options {
  files: string[];
  json: boolean;
  only: string | null;
}

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: readonly string[]): Promise<number> {
  if (args.some((arg) => HELP.includes(arg))) {
    console.log(USAGE);
    return 0;
  }
  let planned: Planned[];
  let options: Options;
  try {
    options = parse(args);
    planned = options.files.flatMap((file) => readScenarios(file).map((scenario) => ({ file, scenario })));
    const { only } = options;
    if (only !== null) planned = planned.filter(({ scenario }) => scenario.name === only);
    if (planned.length === 0) throw new ScenarioError("Cannot run: there is no scenario");
  } catch (error) {
    if (!(error instanceof ScenarioError)) throw error;
    console.error(error.message);
    return 2;
  }
  const { json } = options;
  const scenarios = await runAll(planned, (result) => json || console.log(lineOf(result)));
  const run = { ...count(scenarios), scenarios };
  const { passed, failed, skipped } = run;
  console.log(json ? JSON.stringify(run, null, 2) : `${passed} passed, ${failed} failed, ${skipped} skipped`);
  return failed > 0 ? 1 : 0;
}

function parse(args: readonly string[]): Options {
  const options: Options = { files: [], json: false, only: null };
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (arg === "--json") options.json = true;
    else if (arg === "--only" && at + 1 < args.length) options.only = args[++at] ?? null;
    else if (arg.startsWith("-")) throw new ScenarioError(`Cannot use ${arg}: no such option\n${USAGE}`);
    else options.files.push(arg);
  }
  if (options.files.length === 0) throw new ScenarioError(`Cannot run: no file is named\n${USAGE}`);
  return options;
}

function count(scenarios: readonly ScenarioResult[]): Omit<RunResult, "scenarios"> {
  const of = (wanted: string): number => scenarios.filter(({ outcome }) => outcome === wanted).length;
  return { passed: of("passed"), failed: of("failed"), skipped: of("skipped") };
}

/** A scenario in one line. */
function lineOf({ name, outcome, steps, skipped, deviations, failure }: ScenarioResult): string {
  if (outcome === "failed") return `FAILED ${name}: ${failure}`;
  if (outcome === "skipped") return `skipped ${name} (${steps} steps)`;
  const notes = [`${steps} steps`];
  if (skipped.length > 0) notes.push(`${skipped.length} skipped`);
  if (deviations.length > 0) {
    const rules = [...new Set(deviations.flatMap((each) => each.rules))].join(", ");
    notes.push(`${deviations.length} ${deviations.length > 1 ? "deviations" : "deviation"}: ${rules}`);
  }
  return `ok ${name} (${notes.join(", ")})`;
}
