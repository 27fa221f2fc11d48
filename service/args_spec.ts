/**
 * What the table of the command line is made of.
 *
 * @module
 */

/** The names of the commands. */
export type CommandName =
  | "run"
  | "serve"
  | "status"
  | "sessions"
  | "history"
  | "check"
  | "upgrade"
  | "rollback"
  | "inspect"
  | "doctor"
  | "demo"
  | "help";

/** One flag of a command. */
export interface FlagSpec {
  /** The name without the dashes. */
  readonly name: string;
  /** One letter for a single dash. */
  readonly short?: string;
  /** How the help writes the value; a flag without one is on or off. */
  readonly value?: string;
  /** May the value begin with a dash? */
  readonly dashedValue?: boolean;
  /** What stands when the flag is left out, for the help. */
  readonly preset?: string;
  /** What it does. */
  readonly help: string;
}

/** One command. */
export interface CommandSpec {
  /** What it does, in one line of the list of commands. */
  readonly summary: string;
  /** How it is called, without the flags' help; one line per form. */
  readonly synopsis: readonly string[];
  /** Paragraphs of its help. */
  readonly description: readonly string[];
  /** Its flags beside the common ones. */
  readonly flags: readonly FlagSpec[];
  /** Whole command lines, each with what it does. */
  readonly examples: readonly (readonly [line: string, does: string])[];
}
