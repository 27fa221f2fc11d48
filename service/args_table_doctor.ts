/**
 * The part of the table of the command line that is about `doctor`, in the words of the help text, and the flag that it
 * shares with all questions to a service.
 *
 * @module
 */

import type { CommandSpec, FlagSpec } from "./args_spec.ts";

/** Seconds to wait for an answer unless told otherwise. */
export const DEFAULT_ANSWER_SECONDS = 10;

/** How long to wait for an answer. */
export const ANSWER_TIMEOUT: FlagSpec = {
  name: "timeout",
  value: "S",
  preset: String(DEFAULT_ANSWER_SECONDS),
  help: "Wait at most S seconds for the answer.",
};

/** `doctor`. */
export const DOCTOR: CommandSpec = {
  summary: "Check whether updates can work here",
  synopsis: ["doctor [--build PATH] [--timeout S]"],
  description: [
    "Checks this machine, and the service if one answers at the socket: kernel, runtime, limits, memory, PID namespace, " +
    "systemd, backlog, folders, open descriptors. What can be tried is tried, nothing is changed, and the service is " +
    "only asked.",
    "A problem keeps updates from working, or loses something in one; a warning does so when something else goes wrong " +
    "as well; a note is worth knowing. Exit code 0 means that there is no problem.",
  ],
  flags: [
    { name: "build", value: "PATH", help: "The build to look at, instead of the one that runs." },
    ANSWER_TIMEOUT,
  ],
  examples: [
    ["heirloom doctor", "this machine, and the service at the default socket"],
    ["heirloom doctor --build ./v2 --json", "before an upgrade to ./v2, for programs"],
  ],
};
