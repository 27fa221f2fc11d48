/**
 * What all benchmarks are as commands: two flags, one document or a table, an exit status.
 *
 * Happy path: {@linkcode runBench} measures and prints; exit 0, or 1 where a figure misses its limit.
 *
 * Unhappy paths: flags that nobody knows: exit 2. What cannot be measured: exit 1 with the reason. SIGINT and SIGTERM: what
 * was started is ended, and the exit status is 128 and the signal's number.
 *
 * @module
 */

const SIGNALS = { SIGINT: 2, SIGTERM: 15 } as const;

/** What was measured. */
export interface BenchResult {
  /** What `--json` prints. */
  readonly document: unknown;
  /** What is printed otherwise. */
  readonly text: string;
  /** Were all limits met? */
  readonly met: boolean;
}

/**
 * Runs a benchmark.
 *
 * @param name of the script, without its ending
 * @param args its arguments: `[--rounds N] [--json]`
 * @param presetRounds how many rounds there are when nobody says so
 * @param measure measures; what it starts is ended behind it
 * @returns the exit status
 */
export async function runBench(
  name: string,
  args: readonly string[],
  presetRounds: number,
  measure: (options: BenchOptions, started: AsyncDisposableStack) => Promise<BenchResult>,
): Promise<number> {
  const options = parseOptions(args, presetRounds);
  if (typeof options === "string") {
    console.error(`${name}: ${options}\n\n${name}.ts [--rounds N] [--json]`);
    return 2;
  }
  const interrupted = Promise.withResolvers<number>();
  for (const [signal, number] of Object.entries(SIGNALS)) {
    Deno.addSignalListener(signal as keyof typeof SIGNALS, () => interrupted.resolve(128 + number));
  }
  await using started = new AsyncDisposableStack();
  try {
    const result = await Promise.race([measure(options, started), interrupted.promise]);
    if (typeof result === "number") return result;
    console.log(options.json ? JSON.stringify(result.document) : result.text);
    return result.met ? 0 : 1;
  } catch (error) {
    console.error(`${name}: ${error instanceof Error ? error.message : error}`);
    return 1;
  }
}

/** What a benchmark is asked for. */
export interface BenchOptions {
  /** How often everything is measured. */
  readonly rounds: number;
  /** One JSON document instead of a table? */
  readonly json: boolean;
}

/** The options, or what is wrong with them. */
function parseOptions(args: readonly string[], presetRounds: number): BenchOptions | string {
  let rounds = presetRounds;
  let json = false;
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const [name, value] = arg.startsWith("--rounds=") ? ["--rounds", arg.slice("--rounds=".length)] : [arg];
    switch (name) {
      case "--json":
        json = true;
        break;
      case "--rounds":
        rounds = Number(value ?? rest.shift());
        if (!Number.isSafeInteger(rounds) || rounds < 1) {
          return "Cannot understand --rounds: a whole number, 1 or more, is needed";
        }
        break;
      default:
        return `Cannot understand "${arg}"`;
    }
  }
  return { rounds, json };
}
