/**
 * The longer run of the property tests: random sequences of operations on sessions, files and FLBs, two updates deep, are
 * played on a model and on the real thing.
 *
 *     deno run -A scripts/properties.ts [--sequences N] [--seed S] [--answers]
 *
 * Happy path: seed, count and time; with `--answers` also how often each operation had each answer. Exit 0.
 *
 * Unhappy paths: a sequence on which the two differ is shrunk and printed as a test, with the seed that finds it again:
 * exit 1. Flags that nobody knows: exit 2. SIGINT and SIGTERM end it at once.
 *
 * @module
 */
import { checkSequences, type Outcome, randomSeed } from "../luo/model_commands_test.ts";

/** Played at a time; a line on stderr tells of each lot. */
const LOT = 1000;

const USAGE = `properties.ts [--sequences N] [--seed S] [--answers]

Plays random sequences of operations on a model and on the real thing.

  --sequences N   how many (20000)
  --seed S        a whole number; the same one gives the same sequences (random)
  --answers       also print how often each operation had each answer
  --help          print this`;

interface Options {
  readonly sequences: number;
  readonly seed: number;
  readonly answers: boolean;
}

/**
 * Plays the sequences.
 *
 * @param args the flags
 * @returns the exit status
 */
export function main(args: readonly string[]): number {
  const options = parse(args);
  if (options === "help") {
    console.log(USAGE);
    return 0;
  }
  if (typeof options === "string") {
    console.error(`properties: ${options}\n\n${USAGE}`);
    return 2;
  }
  const { sequences, seed } = options;
  const totals = { sequences: 0, ms: 0, answers: new Map<string, number>() };
  let failed = false;
  for (let lot = 0; totals.sequences < sequences; lot++) {
    const outcome = checkSequences(Math.min(LOT, sequences - totals.sequences), (seed + lot) | 0);
    add(totals, outcome);
    failed = outcome.failure !== null;
    if (failed) {
      console.log(`${outcome.failure}\n\nAgain: --sequences ${LOT} --seed ${outcome.seed}`);
      break;
    }
    console.error(`${totals.sequences} of ${sequences}`);
  }
  if (options.answers) console.log(table(totals.answers));
  console.log(`seed ${seed}: ${totals.sequences} sequences in ${(totals.ms / 1000).toFixed(1)} s`);
  return failed ? 1 : 0;
}

function parse(args: readonly string[]): Options | string {
  let [sequences, seed, answers] = [20_000, randomSeed(), false];
  const rest = args.flatMap((arg) => arg.startsWith("--") ? arg.split("=") : [arg]);
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === "--help" || arg === "-h") return "help";
    if (arg === "--answers") {
      answers = true;
      continue;
    }
    if (arg !== "--sequences" && arg !== "--seed") return `Cannot understand "${arg}"`;
    const value = Number(rest.shift() || NaN);
    if (arg === "--sequences" && (!Number.isSafeInteger(value) || value < 1)) {
      return "Cannot understand --sequences: a whole number, 1 or more, is needed";
    }
    if (arg === "--seed" && value !== (value | 0)) {
      return "Cannot understand --seed: a whole number of 32 bits is needed";
    }
    if (arg === "--seed") seed = value;
    else sequences = value;
  }
  return { sequences, seed, answers };
}

function add(
  totals: { sequences: number; ms: number; answers: Map<string, number> },
  outcome: Outcome,
): void {
  totals.sequences += outcome.sequences;
  totals.ms += outcome.ms;
  for (const [answer, count] of outcome.answers) {
    totals.answers.set(answer, (totals.answers.get(answer) ?? 0) + count);
  }
}

function table(answers: ReadonlyMap<string, number>): string {
  const lines = [...answers].sort(([a], [b]) => a < b ? -1 : 1);
  return lines.map(([answer, count]) => `${String(count).padStart(9)}  ${answer}`).join("\n");
}

if (import.meta.main) Deno.exit(main(Deno.args));
