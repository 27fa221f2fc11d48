/**
 * Reads the flags of a list of arguments by a table of flags, on `parseArgs` of `node:util`, which knows the
 * spelling (`--name value`, `--name=value`, `-n`, `--`). Every rule beyond the spelling is here.
 *
 * Happy path: {@linkcode scan} gives the flags that were set and the words that are no flags.
 *
 * Unhappy paths, each a {@linkcode UsageError}: an unknown flag, with the nearest one; a flag without its value; a
 * value for a flag that has none; a flag given twice, for neither value may win silently.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { suggestion, UsageError } from "./args_error.ts";
import type { FlagSpec } from "./args_spec.ts";
import { COMMAND_NAMES, COMMANDS } from "./args_table.ts";

/** What was read. */
export interface Scan {
  /** The flags that were set; "" for one without a value. */
  readonly flags: ReadonlyMap<string, string>;
  /** The words that are no flags, each with its place in the arguments. */
  readonly words: readonly { readonly word: string; readonly index: number }[];
}

/** How to read. */
export interface ScanOptions {
  /** The flags there are. */
  readonly table: readonly FlagSpec[];
  /** Stop at the first word that is no flag: what follows is somebody else's. */
  readonly stopAtWord: boolean;
}

/**
 * Reads arguments. Help wins over everything: where `--help` is among the flags, nothing else is checked.
 *
 * @param args the arguments.
 * @param options the table, and where to stop.
 * @returns flags and words; with `stopAtWord` one word at most.
 * @throws {UsageError} when a flag is unknown, lacks its value, has one too many or comes twice.
 */
export function scan(args: readonly string[], { table, stopAtWord }: ScanOptions): Scan {
  const words: { word: string; index: number }[] = [];
  const options: Token[] = [];
  for (const token of tokensOf(args, table)) {
    if (token.kind === "positional") {
      words.push({ word: token.value, index: token.index });
      if (stopAtWord) break;
    } else if (token.kind === "option") {
      options.push(token);
    }
  }
  if (options.some(({ name }) => name === "help")) return { flags: new Map([["help", ""]]), words };
  const flags = new Map<string, string>();
  for (const token of options) {
    const spec = table.find(({ name }) => name === token.name);
    if (spec === undefined || !isSpelledOut(token, spec)) throw unknownFlag(token, args, table);
    const value = valueOf(token, spec);
    if (flags.has(spec.name)) {
      throw new UsageError(`Cannot use ${token.rawName} twice: a flag is given at most once`);
    }
    flags.set(spec.name, value);
  }
  return { flags, words };
}

interface Token {
  readonly name: string;
  readonly rawName: string;
  readonly index: number;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

function tokensOf(args: readonly string[], table: readonly FlagSpec[]) {
  const options = Object.fromEntries(
    table.map(({ name, short, value }) => [
      name,
      { type: value === undefined ? "boolean" as const : "string" as const, ...(short ? { short } : {}) },
    ]),
  );
  // Not strict: its messages name neither what is allowed nor what is near, and differ between runtimes.
  return parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true }).tokens;
}

/** `-h` is a letter of a table, `-socket` is a heap of letters of which one may happen to be. */
function isSpelledOut(token: Token, spec: FlagSpec): boolean {
  return token.rawName === `--${spec.name}` ||
    (spec.short !== undefined && token.rawName === `-${spec.short}`);
}

function valueOf(token: Token, spec: FlagSpec): string {
  const { rawName, value, inlineValue } = token;
  if (spec.value === undefined) {
    if (value === undefined) return "";
    throw new UsageError(`Cannot use ${rawName}=${value}: ${rawName} takes no value`);
  }
  if (value === undefined) throw new UsageError(`Cannot use ${rawName}: its value ${spec.value} is missing`);
  if (!inlineValue && !spec.dashedValue && value.startsWith("-") && value !== "-") {
    const hint = `${rawName}=${value} if that is the value`;
    throw new UsageError(
      `Cannot use ${rawName}: its value ${spec.value} is missing, ${value} follows; ${hint}`,
    );
  }
  return value;
}

function unknownFlag(
  { rawName, name, index }: Token,
  args: readonly string[],
  table: readonly FlagSpec[],
): UsageError {
  // A single dash is a heap of letters to the parser, and one word to whoever forgot the second dash.
  const typed = rawName.startsWith("--") ? rawName : args[index] ?? rawName;
  const owners = COMMAND_NAMES.filter((command) =>
    COMMANDS[command].flags.some((flag) => flag.name === name)
  );
  const state = owners.length === 0
    ? "there is no such flag"
    : `it goes with ${owners.join(", ")}, after the command`;
  const names = table.map((flag) => `--${flag.name}`);
  return new UsageError(`Cannot use ${typed} here: ${state}; ${suggestion(typed, names)}`);
}
