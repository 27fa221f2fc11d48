/**
 * The flags that all benchmarks have.
 *
 * Happy path: {@linkcode parseOptions} fills in what is left out.
 *
 * Unhappy path: what cannot be understood is a sentence instead of options.
 *
 * @module
 */

/** What a benchmark is asked for. */
export interface BenchOptions {
  /** How often everything is measured. */
  readonly rounds: number;
  /** One JSON document instead of a table? */
  readonly json: boolean;
}

/**
 * Reads `[--rounds N] [--json]`.
 *
 * @param args the arguments
 * @param presetRounds how many rounds there are when nobody says so
 * @returns the options, or what is wrong
 */
export function parseOptions(args: readonly string[], presetRounds: number): BenchOptions | string {
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
