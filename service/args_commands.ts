/**
 * From flags and words to the typed options of each command: which value is read how, what stands when a flag is left
 * out, and which flags and words go together.
 *
 * Happy path: {@linkcode BUILDERS} has one function per command.
 *
 * Unhappy path: a value, a word or a combination that a command does not have is a {@linkcode UsageError}.
 *
 * @module
 */

import { nearest, UsageError } from "./args_error.ts";
import type { CommandName } from "./args_spec.ts";
import { COMMANDS, COMMON_FLAGS, DEFAULT_HTTP_ADDRESS } from "./args_table.ts";
import { DEFAULT_ANSWER_SECONDS } from "./args_table_doctor.ts";
import { DEFAULT_CHECK_SECONDS, DEFAULT_UPGRADE_SECONDS } from "./args_table_update.ts";
import type {
  BuildOptions,
  CheckCommand,
  CommonOptions,
  DoctorCommand,
  Environment,
  InspectCommand,
  ParsedCommand,
  QueryCommand,
  RollbackCommand,
  RunCommand,
  ServeCommand,
  UpdateOptions,
  UpgradeCommand,
} from "./args_types.ts";
import {
  defaultSocket,
  parseAddress,
  parseCount,
  parseSeconds,
  parseSocketPath,
  parseText,
} from "./args_values.ts";
import { splitWords } from "./args_words.ts";
import { DEFAULT_QUOTAS } from "./segments/quotas.ts";

/** One command's flags and words, with the readers that its options need. */
export class Line {
  /** The command. */
  readonly name: CommandName;
  /** The words that are no flags. */
  readonly words: readonly string[];
  readonly #flags: ReadonlyMap<string, string>;
  readonly #env: Environment;

  /**
   * @param name the command.
   * @param flags the flags that were set.
   * @param words the words that are no flags.
   * @param env the environment.
   */
  constructor(
    name: CommandName,
    flags: ReadonlyMap<string, string>,
    words: readonly string[],
    env: Environment,
  ) {
    this.name = name;
    this.words = words;
    this.#flags = flags;
    this.#env = env;
  }

  /** Is the flag set? */
  has(flag: string): boolean {
    return this.#flags.has(flag);
  }

  /** The value of a flag, read by its parser; undefined when the flag is left out. */
  get<T>(flag: string, parse: (flag: string, text: string) => T): T | undefined {
    const text = this.#flags.get(flag);
    return text === undefined ? undefined : parse(`--${flag}`, text);
  }

  /** The options of every command. */
  common(): CommonOptions {
    return {
      socket: this.get("socket", parseSocketPath) ?? defaultSocket(this.#env),
      json: this.has("json"),
    };
  }

  /** Refuses words, for a command that has none. */
  noWords(): void {
    const [extra] = this.words;
    if (extra !== undefined) throw tooMany(this.name, extra);
  }
}

/** How each command is made of its line; `run` and `help` have words of their own. */
export const BUILDERS: Readonly<Record<Exclude<CommandName, "run" | "help">, (line: Line) => ParsedCommand>> =
  {
    serve: serveCommand,
    status: (line) => queryCommand("status", line),
    sessions: (line) => queryCommand("sessions", line),
    history: (line) => queryCommand("history", line),
    check: checkCommand,
    upgrade: upgradeCommand,
    rollback: rollbackCommand,
    inspect: inspectCommand,
    doctor: doctorCommand,
    demo: (line) => {
      line.noWords();
      return { command: "demo", ...line.common() };
    },
  };

/**
 * Makes `run`, which has one word of its own and leaves the rest to the app.
 *
 * @param line what was read before the app's arguments.
 * @param args the app's arguments, untouched.
 * @returns the command.
 * @throws {UsageError} when ENTRY is missing or an option is wrong.
 */
export function runCommand(line: Line, args: readonly string[]): RunCommand {
  const [entry] = line.words;
  if (!entry) {
    throw new UsageError(
      "Cannot run an app: ENTRY is missing; allowed: heirloom run [FLAG ...] ENTRY [ARG ...]",
    );
  }
  const denoArgs = line.get("deno-args", splitWords) ?? [];
  return { command: "run", ...line.common(), denoArgs, hup: line.has("hup"), entry, args };
}

function serveCommand(line: Line): ServeCommand {
  line.noWords();
  return {
    command: "serve",
    ...line.common(),
    http: line.get("http", parseAddress) ?? parseAddress("--http", DEFAULT_HTTP_ADDRESS),
    httpTokenFile: line.get("http-token-file", parseText),
    accessLog: line.get("access-log", parseText),
    quotas: {
      maxSegments: line.get("max-segments", parseCount) ?? DEFAULT_QUOTAS.maxSegments,
      maxSegmentBytes: line.get("max-segment-bytes", parseCount) ?? DEFAULT_QUOTAS.maxSegmentBytes,
      maxTotalBytes: line.get("max-total-bytes", parseCount) ?? DEFAULT_QUOTAS.maxTotalBytes,
      maxBodyBytes: line.get("max-body-bytes", parseCount) ?? DEFAULT_QUOTAS.maxBodyBytes,
    },
    hup: line.has("hup"),
  };
}

function queryCommand(command: QueryCommand["command"], line: Line): QueryCommand {
  line.noWords();
  return { command, ...line.common(), timeoutMs: answerTimeout(line), fds: line.has("fds") };
}

function doctorCommand(line: Line): DoctorCommand {
  line.noWords();
  const build = line.get("build", parseText);
  return { command: "doctor", ...line.common(), build, timeoutMs: answerTimeout(line) };
}

function checkCommand(line: Line): CheckCommand {
  line.noWords();
  const timeoutMs = line.get("timeout", parseSeconds) ?? DEFAULT_CHECK_SECONDS * 1000;
  return { command: "check", ...line.common(), ...buildOptions(line), timeoutMs };
}

function upgradeCommand(line: Line): UpgradeCommand {
  line.noWords();
  return { command: "upgrade", ...line.common(), ...buildOptions(line), ...updateOptions(line) };
}

function rollbackCommand(line: Line): RollbackCommand {
  line.noWords();
  return { command: "rollback", ...line.common(), ...updateOptions(line) };
}

function buildOptions(line: Line): BuildOptions {
  return {
    build: line.get("build", parseText),
    deno: line.get("deno", parseText),
    heirloom: line.get("heirloom", parseText),
  };
}

function updateOptions(line: Line): UpdateOptions {
  const timeoutMs = line.get("timeout", parseSeconds) ?? DEFAULT_UPGRADE_SECONDS * 1000;
  const commitAfterMs = line.get("commit-after", parseSeconds);
  if (commitAfterMs !== undefined && commitAfterMs >= timeoutMs) {
    throw new UsageError(
      `Cannot commit after ${commitAfterMs / 1000} s: the deadline is ${timeoutMs / 1000} s; ` +
        "allowed is a --commit-after that is less than --timeout",
    );
  }
  return { timeoutMs, commitAfterMs, guardian: !line.has("no-guardian") };
}

function inspectCommand(line: Line): InspectCommand {
  const [file, extra] = line.words;
  const allowed = "allowed: heirloom inspect FILE, or heirloom inspect --live [--timeout S]";
  if (line.has("live")) {
    if (file !== undefined) throw new UsageError(`Cannot inspect FILE and --live at once: ${allowed}`);
    return { command: "inspect", ...line.common(), live: true, timeoutMs: answerTimeout(line) };
  }
  if (extra !== undefined) throw tooMany("inspect", extra);
  if (!file) throw new UsageError(`Cannot inspect: neither FILE nor --live is given; ${allowed}`);
  if (line.has("timeout")) {
    throw new UsageError(`Cannot use --timeout with a FILE: nothing is waited for; ${allowed}`);
  }
  return { command: "inspect", ...line.common(), live: false, file };
}

function answerTimeout(line: Line): number {
  return line.get("timeout", parseSeconds) ?? DEFAULT_ANSWER_SECONDS * 1000;
}

/**
 * The refusal of a word that a command has no use for.
 *
 * @param name the command.
 * @param word the word.
 * @returns the error, to be thrown.
 */
export function tooMany(name: CommandName, word: string): UsageError {
  const flags = [...COMMANDS[name].flags, ...COMMON_FLAGS].map((flag) => `--${flag.name}`);
  const near = nearest(`--${word}`, flags);
  const guess = near === undefined ? "" : `; did you mean ${near}?`;
  const allowed = COMMANDS[name].synopsis.map((form) => `heirloom ${form}`).join(", or ");
  return new UsageError(
    `Cannot use ${JSON.stringify(word)}: ${name} takes no such word${guess}; allowed: ${allowed}`,
  );
}
