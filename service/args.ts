/**
 * The command line: arguments in, one typed command out.
 *
 * Happy path:
 * 1. {@linkcode parseCommand} reads the common flags that stand before the command, then the command, then its
 *    flags, by the table in `args_table.ts`.
 * 2. `main.ts` switches on `command` and runs it.
 *
 * Unhappy path: a {@linkcode UsageError}, one sentence for stderr and exit code 2. Nothing is looked up and nothing
 * is opened here, so a wrong command line has no effect at all.
 *
 * @module
 */

import { suggestion, UsageError } from "./args_error.ts";
import { BUILDERS, Line, runCommand, tooMany } from "./args_commands.ts";
import { scan } from "./args_scan.ts";
import type { CommandName } from "./args_spec.ts";
import { COMMAND_NAMES, COMMANDS, COMMON_FLAGS, isCommandName } from "./args_table.ts";
import type { Environment, ParsedCommand } from "./args_types.ts";

export { UsageError } from "./args_error.ts";
export type { CommandName } from "./args_spec.ts";
export { EXIT } from "./args_table.ts";
export type {
  BuildOptions,
  CheckCommand,
  CommonOptions,
  DemoCommand,
  DoctorCommand,
  Environment,
  HelpCommand,
  InspectCommand,
  ParsedCommand,
  QueryCommand,
  RollbackCommand,
  RunCommand,
  ServeCommand,
  UpdateOptions,
  UpgradeCommand,
  VersionCommand,
} from "./args_types.ts";
export { isCommandName } from "./args_table.ts";
export { usage } from "./args_usage.ts";
export { defaultSocket, type HttpAddress } from "./args_values.ts";

/**
 * Understands a command line.
 *
 * @param args the arguments, without the program.
 * @param env the environment, for the path of the control socket.
 * @returns the command with its options, every default filled in.
 * @throws {UsageError} when it is wrong in any way.
 */
export function parseCommand(args: readonly string[], env: Environment): ParsedCommand {
  const before = scan(args, { table: COMMON_FLAGS, stopAtWord: true });
  const [first] = before.words;
  if (before.flags.has("help")) {
    return { command: "help", topic: first && isCommandName(first.word) ? first.word : undefined };
  }
  if (first === undefined) {
    if (before.flags.has("version")) return { command: "version", json: before.flags.has("json") };
    throw new UsageError(`Cannot tell what to do: no command is given; allowed: ${COMMAND_NAMES.join(", ")}`);
  }
  const name = commandOf(first.word);
  const rest = args.slice(first.index + 1);
  const table = [...COMMANDS[name].flags, ...COMMON_FLAGS];
  const after = scan(rest, { table, stopAtWord: name === "run" });
  const flags = new Map(before.flags);
  for (const [flag, value] of after.flags) {
    if (flags.has(flag)) {
      throw new UsageError(`Cannot use --${flag} twice: it stands before and after ${name}`);
    }
    flags.set(flag, value);
  }
  if (flags.has("help")) return { command: "help", topic: name };
  if (flags.has("version")) return { command: "version", json: flags.has("json") };
  const words = after.words.map(({ word }) => word);
  if (name === "help") return { command: "help", topic: helpTopic(words) };
  const line = new Line(name, flags, words, env);
  if (name === "run") return runCommand(line, rest.slice((after.words[0]?.index ?? 0) + 1));
  return BUILDERS[name](line);
}

function commandOf(word: string): CommandName {
  if (isCommandName(word)) return word;
  const state = `there is no such command; ${suggestion(word, COMMAND_NAMES)}`;
  throw new UsageError(`Cannot do ${JSON.stringify(word)}: ${state}`);
}

function helpTopic(words: readonly string[]): CommandName | undefined {
  const [topic, extra] = words;
  if (extra !== undefined) throw tooMany("help", extra);
  return topic === undefined ? undefined : commandOf(topic);
}
