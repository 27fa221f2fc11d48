/**
 * The help text, made from the table of the command line.
 *
 * Happy path: {@linkcode usage} gives the page of one command or of all, in at most 80 columns.
 *
 * Unhappy path: none; a command without text does not type-check.
 *
 * @module
 */

import type { CommandName, FlagSpec } from "./args_spec.ts";
import { COMMAND_NAMES, COMMANDS, COMMON_FLAGS, EXIT_MEANINGS } from "./args_table.ts";

const COLUMNS = 80;
const INDENT = 2;

const ENVIRONMENT: readonly (readonly [name: string, does: string])[] = [
  ["HEIRLOOM_SOCKET", "The control socket, where --socket is not given."],
  ["XDG_RUNTIME_DIR", "The folder of heirloom/control.sock, where neither is given."],
  ["HEIRLOOM", "off: an app runs as ever, without live update."],
  ["NO_COLOR", "No colours, whatever the terminal can do."],
];

/**
 * The help text.
 *
 * @param command one command; all of them when it is left out.
 * @returns the text, its last line ended by a newline.
 */
export function usage(command?: CommandName): string {
  return command === undefined ? overview() : pageOf(command);
}

function overview(): string {
  const commands = COMMAND_NAMES.map((name) => [name, COMMANDS[name].summary] as const);
  const first = COMMAND_NAMES.flatMap((name) => COMMANDS[name].examples.slice(0, 1));
  return page([
    ["NAME", wrap("heirloom - replace a running service by a newer build, in place", INDENT)],
    ["SYNOPSIS", synopsis(["COMMAND [FLAG ...] [ARG ...]"])],
    [
      "DESCRIPTION",
      paragraphs([
        "Runs an app under live update: a newer build takes over in the same process, with the listening sockets, " +
        "connections, files and shared memory of the old one. If it does not come up, the old one comes back.",
        "`heirloom help COMMAND` explains one command.",
      ]),
    ],
    ["COMMANDS", columns(commands)],
    ["COMMON FLAGS", columns(COMMON_FLAGS.map(flagRow))],
    ["ENVIRONMENT", columns(ENVIRONMENT)],
    ["EXIT CODES", exitCodes()],
    ["EXAMPLES", examples(first)],
  ]);
}

function pageOf(name: CommandName): string {
  const { summary, synopsis: forms, description, flags, examples: lines } = COMMANDS[name];
  const title = `heirloom ${name} - ${summary.charAt(0).toLowerCase()}${summary.slice(1)}`;
  return page([
    ["NAME", wrap(title, INDENT)],
    ["SYNOPSIS", synopsis(forms)],
    ["DESCRIPTION", paragraphs(description)],
    ["FLAGS", columns(flags.map(flagRow))],
    ["COMMON FLAGS", columns(COMMON_FLAGS.map(flagRow))],
    ["EXIT CODES", exitCodes()],
    ["EXAMPLES", examples(lines)],
  ]);
}

type Section = readonly [title: string, lines: readonly string[]];

function page(sections: readonly Section[]): string {
  const full = sections.filter(([, lines]) => lines.length > 0);
  return `${full.map(([title, lines]) => [title, ...lines].join("\n")).join("\n\n")}\n`;
}

/** The forms of a command; a form that is too long goes on under its own first flag. */
function synopsis(forms: readonly string[]): string[] {
  return forms.flatMap((form) => wrap(`heirloom ${form}`, INDENT, "heirloom ".length, / (?=\[)/));
}

function paragraphs(texts: readonly string[]): string[] {
  return texts.flatMap((text, i) => i === 0 ? wrap(text, INDENT) : ["", ...wrap(text, INDENT)]);
}

function exitCodes(): string[] {
  return columns(EXIT_MEANINGS.map(([code, meaning]) => [String(code), meaning]));
}

function examples(lines: readonly (readonly [line: string, does: string])[]): string[] {
  return lines.flatMap(([line, does]) => [`${" ".repeat(INDENT)}${line}`, ...wrap(does, INDENT + 4)]);
}

function flagRow({ name, short, value, preset, help }: FlagSpec): readonly [string, string] {
  const left = `--${name}${value === undefined ? "" : ` ${value}`}${
    short === undefined ? "" : `, -${short}`
  }`;
  return [left, preset === undefined ? help : `${help} Default: ${preset}.`];
}

/** Two columns, the left one as wide as its widest entry. */
function columns(rows: readonly (readonly [left: string, right: string])[]): string[] {
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return rows.flatMap(([left, right]) => {
    const lines = wrap(right, INDENT + width + 2);
    return lines.map((line, i) =>
      i === 0 ? `${" ".repeat(INDENT)}${left.padEnd(width + 2)}${line.trimStart()}` : line
    );
  });
}

/** Breaks a text into indented lines; the lines after the first are indented by `hang` more. */
function wrap(text: string, indent: number, hang = 0, at: RegExp = / /): string[] {
  const lines: string[] = [];
  let line = "";
  let margin = indent;
  for (const word of text.split(at)) {
    if (line !== "" && margin + line.length + 1 + word.length > COLUMNS) {
      lines.push(" ".repeat(margin) + line);
      margin = indent + hang;
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, " ".repeat(margin) + line];
}
