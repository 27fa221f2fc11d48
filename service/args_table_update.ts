/**
 * The part of the table of the command line that is about updates: `check`, `upgrade` and `rollback`, in the words of the
 * help text.
 *
 * @module
 */

import type { CommandSpec, FlagSpec } from "./args_spec.ts";

/** Seconds that a whole update may take unless told otherwise. */
export const DEFAULT_UPGRADE_SECONDS = 30;
/** Seconds that a check may take unless told otherwise. */
export const DEFAULT_CHECK_SECONDS = 30;

const BUILD: readonly FlagSpec[] = [
  { name: "build", value: "PATH", help: "The new build." },
  { name: "deno", value: "PATH", help: "Another runtime." },
  { name: "heirloom", value: "DIR", help: "A newer Heirloom under the same app." },
];

const BUILD_NAMES =
  "Without --build, --deno and --heirloom the present names are resolved anew. A build is a directory with a " +
  "main.ts, or a module: under `run` the app's new entry, under `serve` a newer Heirloom.";

const SAFETY: readonly FlagSpec[] = [
  {
    name: "timeout",
    value: "S",
    preset: String(DEFAULT_UPGRADE_SECONDS),
    help: "The deadline of the whole update in seconds; the verdict is awaited 10 seconds longer.",
  },
  {
    name: "commit-after",
    value: "S",
    help:
      "Commit only after S healthy seconds in which the new build serves already; less than --timeout. If it " +
      "fails in that time, the old one comes back, but requests that it was answering are lost.",
  },
  {
    name: "no-guardian",
    help:
      "No guardian process: a new build that is killed, crashes or hangs in native code before its verdict is " +
      "not recovered.",
  },
];

/** `check`. */
export const CHECK: CommandSpec = {
  summary: "Tell whether a build would take over",
  synopsis: ["check [--build PATH] [--deno PATH] [--heirloom DIR] [--timeout S]"],
  description: [
    "Starts the build beside the running service, with a description of everything that would be handed over and " +
    "without any of it, and tells for each file and each state what the build would do with it. The service does " +
    "not notice. Exit code 0 means that it would take over; what it would not claim is listed even so.",
    BUILD_NAMES,
    "With --json the report is printed for exit codes 0 and 1; without a report there is no document.",
  ],
  flags: [
    ...BUILD,
    {
      name: "timeout",
      value: "S",
      preset: String(DEFAULT_CHECK_SECONDS),
      help: "A build that is not ready after S seconds would not take over.",
    },
  ],
  examples: [
    ["heirloom check --build ./v2", "before an upgrade to ./v2"],
    ["heirloom check --build ./v2 --json", "for a deploy pipeline"],
  ],
};

/** `upgrade`. */
export const UPGRADE: CommandSpec = {
  summary: "Update in place and wait for the verdict",
  synopsis: [
    "upgrade [--build PATH] [--deno PATH] [--heirloom DIR] [--timeout S] [--commit-after S] [--no-guardian]",
  ],
  description: [
    "Replaces the service by a newer build, in the same process, and waits for the verdict. The new build is " +
    "checked first; if it does not come up, the old one comes back with everything it had. Exit code 0 means " +
    "committed.",
    BUILD_NAMES,
  ],
  flags: [...BUILD, ...SAFETY],
  examples: [
    ["heirloom upgrade", "the same names, resolved anew"],
    ["heirloom upgrade --build ./v2 --timeout 60", "to another build, in a minute at most"],
  ],
};

/** `rollback`. */
export const ROLLBACK: CommandSpec = {
  summary: "Update to the previous build and wait for the verdict",
  synopsis: ["rollback [--timeout S] [--commit-after S] [--no-guardian]"],
  description: [
    "Goes back to the build that ran before the last committed update, as an update like any other: it is checked " +
    "first, and if it does not come up, the present build comes back. Exit code 0 means committed.",
  ],
  flags: SAFETY,
  examples: [["heirloom rollback", "undo the last upgrade"]],
};
