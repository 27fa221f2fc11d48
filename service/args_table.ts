/**
 * The command line as a table: every command, every flag, in the words of the help text. The parser reads it and the
 * help is made from it, so neither knows a flag that the other does not.
 *
 * Happy path: {@linkcode COMMANDS} is looked up by name.
 *
 * Unhappy path: none; this is data. What a value must look like is in `args_values.ts`.
 *
 * @module
 */

import type { CommandName, CommandSpec, FlagSpec } from "./args_spec.ts";
import { ANSWER_TIMEOUT, DOCTOR } from "./args_table_doctor.ts";
import { CHECK, ROLLBACK, UPGRADE } from "./args_table_update.ts";
import { DEFAULT_QUOTAS } from "./segments/quotas.ts";

/** What a process ends with. `EXIT.usage` is for a {@linkcode UsageError}. */
export const EXIT = { done: 0, refused: 1, usage: 2, noService: 3, noVerdict: 4 } as const;

/** What each exit code means, for the help text. */
export const EXIT_MEANINGS: readonly (readonly [code: number, meaning: string])[] = [
  [
    EXIT.done,
    "Done; for an update: committed, and nothing less; for a check: it would take over; for doctor: no problem.",
  ],
  [
    EXIT.refused,
    "Refused, rolled back, recovered, lost or failed; a check: it would not; doctor: a problem; the reason is on stderr.",
  ],
  [EXIT.usage, "Wrong usage; nothing was done."],
  [EXIT.noService, "No service at that socket."],
  [EXIT.noVerdict, "No answer or no verdict in time; an update may still be under way."],
];

/** Where `serve` listens unless told otherwise. */
export const DEFAULT_HTTP_ADDRESS = "127.0.0.1:8787";
/** The flags of every command. */
export const COMMON_FLAGS: readonly FlagSpec[] = [
  {
    name: "socket",
    value: "PATH",
    preset: "$HEIRLOOM_SOCKET, else $XDG_RUNTIME_DIR/heirloom/control.sock, else /run/heirloom/control.sock",
    help: "The control socket.",
  },
  { name: "json", help: "Print one JSON document with stable keys instead of text." },
  { name: "help", short: "h", help: "Print help and exit." },
  { name: "version", help: "Print the version and exit." },
];

const HUP: FlagSpec = {
  name: "hup",
  help:
    "Let SIGHUP start an update also with a controlling terminal, where it otherwise means that the terminal hung up.",
};

/** Every command, in the order of the help. */
export const COMMANDS: Readonly<Record<CommandName, CommandSpec>> = {
  run: {
    summary: "Run an app under live update",
    synopsis: ["run [--deno-args ARGS] [--hup] [--] ENTRY [ARG ...]"],
    description: [
      "Runs the module ENTRY under live update, with its own deno.json, and opens a control socket beside it. " +
      "Everything after ENTRY goes to the app untouched, also what looks like a flag.",
    ],
    flags: [
      {
        name: "deno-args",
        value: "ARGS",
        dashedValue: true,
        help:
          "Flags for `deno run`, as one word; it is split like a shell splits words, quotes and backslashes " +
          "included, and nothing is expanded. Without a flag that grants permissions, -A is added.",
      },
      HUP,
    ],
    examples: [
      ["heirloom run app.ts --port 8080", "run app.ts; --port is the app's"],
      ["heirloom run --deno-args \"--unstable-kv --env-file='my env'\" app.ts", "with flags for Deno"],
    ],
  },
  serve: {
    summary: "Run the built-in service",
    synopsis: ["serve [--http ADDR] [--http-token-file FILE] [FLAG ...]"],
    description: [
      "Runs the built-in service: shared-memory segments over HTTP, a status page and a control socket, all of it " +
      "under live update. Without a token file the segments can be read and not written.",
      "ADDR is HOST:PORT, [IPV6]:PORT (port 0: any free one) or unix:/PATH.",
    ],
    flags: [
      { name: "http", value: "ADDR", preset: DEFAULT_HTTP_ADDRESS, help: "Where HTTP is served." },
      {
        name: "http-token-file",
        value: "FILE",
        help: "The bearer token that a request that writes must bring.",
      },
      { name: "access-log", value: "FILE", help: "Append a line per request to FILE." },
      {
        name: "max-segments",
        value: "N",
        preset: String(DEFAULT_QUOTAS.maxSegments),
        help: "How many segments there may be.",
      },
      {
        name: "max-segment-bytes",
        value: "N",
        preset: String(DEFAULT_QUOTAS.maxSegmentBytes),
        help: "Bytes of one segment.",
      },
      {
        name: "max-total-bytes",
        value: "N",
        preset: String(DEFAULT_QUOTAS.maxTotalBytes),
        help: "Bytes of all segments together.",
      },
      {
        name: "max-body-bytes",
        value: "N",
        preset: String(DEFAULT_QUOTAS.maxBodyBytes),
        help: "Bytes of the body of one request that writes.",
      },
      HUP,
    ],
    examples: [
      ["heirloom serve", `serve on ${DEFAULT_HTTP_ADDRESS}, for reading`],
      ["heirloom serve --http [::1]:9000 --http-token-file token", "on IPv6, for writing too"],
    ],
  },
  status: {
    summary: "Show what is running",
    synopsis: ["status [--fds] [--timeout S]"],
    description: [
      "Shows the service: PID, generation, state, build, sessions and the last update.",
      "With --fds also every open descriptor and what becomes of it at the next update: preserved, inherited, " +
      "heirloom and runtime are taken care of; unknown is closed, and a hint says how it could be carried.",
    ],
    flags: [{ name: "fds", help: "Show every open descriptor, too." }, ANSWER_TIMEOUT],
    examples: [
      ["heirloom status --json", "for programs"],
      ["heirloom status --fds", "with what the next update would close"],
    ],
  },
  sessions: {
    summary: "Show what is preserved",
    synopsis: ["sessions [--timeout S]"],
    description: [
      "Shows the sessions of the service and the files in each: token, handler, descriptor and name.",
    ],
    flags: [ANSWER_TIMEOUT],
    examples: [["heirloom sessions", "every session and its files"]],
  },
  history: {
    summary: "Show the updates done",
    synopsis: ["history [--timeout S]"],
    description: ["Shows the updates of the service, with the outcome, the pause and the phases of each."],
    flags: [ANSWER_TIMEOUT],
    examples: [["heirloom history --json", "every record in full"]],
  },
  check: CHECK,
  upgrade: UPGRADE,
  rollback: ROLLBACK,
  inspect: {
    summary: "Print a handover segment",
    synopsis: ["inspect FILE", "inspect --live [--timeout S]"],
    description: [
      "Prints a handover segment: one saved in FILE, or with --live what the running service would hand over now.",
    ],
    flags: [
      { name: "live", help: "Ask the running service." },
      { ...ANSWER_TIMEOUT, help: "With --live: wait at most S seconds for the answer." },
    ],
    examples: [
      ["heirloom inspect --live --json", "what would cross now"],
      ["heirloom inspect handover.cbor", "a segment from a file"],
    ],
  },
  doctor: DOCTOR,
  demo: {
    summary: "Prove it: upgrade a loaded service, lose nothing",
    synopsis: ["demo"],
    description: [
      "Starts a service with every kind of resource open and clients on it, updates it several times, then to a " +
      "build that breaks, and prints what survived. Exit code 0 means that all of it held.",
    ],
    flags: [],
    examples: [["heirloom demo", "no privileges and no configuration needed"]],
  },
  help: {
    summary: "Print help",
    synopsis: ["help [COMMAND]"],
    description: ["Prints the help of COMMAND, or the list of commands."],
    flags: [],
    examples: [["heirloom help upgrade", "all about one command"]],
  },
};

/** The names of all commands, in the order of the help. */
export const COMMAND_NAMES: readonly CommandName[] = Object.keys(COMMANDS) as CommandName[];

/**
 * Is this the name of a command?
 *
 * @param word any word.
 * @returns true when it is.
 */
export function isCommandName(word: string): word is CommandName {
  return Object.hasOwn(COMMANDS, word);
}
