/**
 * The fault matrix: everything that can go wrong in an update is made to go wrong, on a service under load, and what became
 * of the service is looked at from outside.
 *
 *     deno task faults [--only TEXT] [--rounds N] [--json]
 *
 * `--only` takes the rows whose group, name or phase has the text in it.
 *
 * Happy path: a line for each row as it ends, and a table (with `--json` one document); exit 0.
 *
 * Unhappy paths: a row that does not hold is shown with its reason, the others are played all the same: exit 1. No row
 * for the text, or flags that nobody knows: exit 2. SIGINT and SIGTERM: what was started is ended, and the exit status
 * is 128 and the signal's number.
 *
 * @module
 */
import { columns, duration, strong } from "../service/text.ts";
import { type RowResult, runMatrix, selectRows } from "../tests/faults/_matrix.ts";
import { ROWS } from "../tests/faults/_rows.ts";

const SIGNALS = { SIGINT: 2, SIGTERM: 15 } as const;

interface Options {
  readonly only: string;
  readonly rounds: number;
  readonly json: boolean;
}

/**
 * Plays the matrix.
 *
 * @param args the flags
 * @returns the exit status
 */
export async function main(args: readonly string[]): Promise<number> {
  const options = parse(args);
  if (typeof options === "string") {
    console.error(`faults: ${options}\n\nfaults.ts [--only TEXT] [--rounds N] [--json]`);
    return 2;
  }
  const rows = selectRows(ROWS, options.only);
  if (rows.length === 0) {
    console.error(`faults: Cannot find a row with "${options.only}"`);
    return 2;
  }
  let stopped = 0;
  for (const [name, number] of Object.entries(SIGNALS)) {
    Deno.addSignalListener(name as keyof typeof SIGNALS, () => stopped = 128 + number);
  }
  const began = performance.now();
  const results: RowResult[] = [];
  for (let round = 1; round <= options.rounds && stopped === 0; round++) {
    for await (const result of runMatrix(rows)) {
      results.push(result);
      tell(`${results.length} of ${rows.length * options.rounds}`, result);
      // Leaving the loop ends the service of the row.
      if (stopped > 0) break;
    }
  }
  const ms = performance.now() - began;
  console.log(options.json ? JSON.stringify({ ms, results }) : report(results, ms).join("\n"));
  return stopped > 0 ? stopped : results.some(({ ok }) => ok === false) ? 1 : 0;
}

/** A line for whoever waits. */
function tell(progress: string, result: RowResult): void {
  const { group, name, phase, problem } = result;
  const note = problem === null ? "" : `: ${problem}`;
  console.error(`[${progress}] ${word(result)} ${group}: ${name} (${phase}), ${duration(result.ms)}${note}`);
}

function word({ ok }: RowResult): string {
  return ok === null ? "skipped" : ok ? "held" : "FAILED";
}

function report(results: readonly RowResult[], ms: number): string[] {
  const counts = new Map<string, number>();
  for (const result of results) counts.set(word(result), (counts.get(word(result)) ?? 0) + 1);
  const table = columns([
    ["what goes wrong", "", "when", "expected", "ended", "failed", "took", ""],
    ...results.map((result) => [
      result.group,
      result.name,
      result.phase,
      result.expected.join(", "),
      result.outcome ?? "-",
      String(result.failed),
      duration(result.ms),
      word(result),
    ]),
  ]);
  const all = [...counts].map(([name, count]) => `${count} ${name}`).join(", ");
  return [table, "", strong(`${results.length} rows in ${duration(ms)}: ${all}`)];
}

function parse(args: readonly string[]): Options | string {
  let only = "";
  let rounds = 1;
  let json = false;
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const equals = arg.indexOf("=");
    const [name, inline] = equals < 0 ? [arg] : [arg.slice(0, equals), arg.slice(equals + 1)];
    switch (name) {
      case "--json":
        json = true;
        break;
      case "--only": {
        const text = inline ?? rest.shift();
        if (text === undefined) return "Cannot understand --only: a text is needed";
        only = text;
        break;
      }
      case "--rounds":
        rounds = Number(inline ?? rest.shift());
        if (!Number.isSafeInteger(rounds) || rounds < 1) {
          return "Cannot understand --rounds: a whole number, 1 or more, is needed";
        }
        break;
      default:
        return `Cannot understand "${arg}"`;
    }
  }
  return { only, rounds, json };
}

if (import.meta.main) Deno.exit(await main(Deno.args));
