/**
 * What a command line comes to: one type per command, told apart by `command`, every default filled in.
 *
 * Happy path: `main.ts` switches on `command`.
 *
 * Unhappy path: none; a wrong command line comes to no value but to a {@linkcode UsageError}.
 *
 * @module
 */

import type { CommandName } from "./args_spec.ts";
import type { HttpAddress } from "./args_values.ts";
import type { Quotas } from "./segments/quotas.ts";

/** What every command has. */
export interface CommonOptions {
  /** The path of the control socket, as it was given; at most 107 bytes. */
  readonly socket: string;
  /** Print JSON instead of text? */
  readonly json: boolean;
}

/** `run`: an app under live update. */
export interface RunCommand extends CommonOptions {
  readonly command: "run";
  /** Flags for `deno run`, split into words. */
  readonly denoArgs: readonly string[];
  /** Does SIGHUP start an update even with a controlling terminal? */
  readonly hup: boolean;
  /** The app's entry module, as it was given. */
  readonly entry: string;
  /** The app's arguments, untouched. */
  readonly args: readonly string[];
}

/** `serve`: the built-in service. */
export interface ServeCommand extends CommonOptions {
  readonly command: "serve";
  /** Where HTTP is served. */
  readonly http: HttpAddress;
  /** The file with the token of those who write; undefined: nobody writes. */
  readonly httpTokenFile: string | undefined;
  /** The file that gets a line per request; undefined: none. */
  readonly accessLog: string | undefined;
  /** The limits of the segments. */
  readonly quotas: Quotas;
  /** Does SIGHUP start an update even with a controlling terminal? */
  readonly hup: boolean;
}

/** `status`, `sessions` and `history`: questions to the service. */
export interface QueryCommand extends CommonOptions {
  readonly command: "status" | "sessions" | "history";
  /** How long to wait for the answer, in milliseconds. */
  readonly timeoutMs: number;
  /** With `status`: every open descriptor as well? */
  readonly fds: boolean;
}

/** `doctor`: is this machine, and the service, in a state in which updates work? */
export interface DoctorCommand extends CommonOptions {
  readonly command: "doctor";
  /** The build to look at, as it was given; undefined: that of the service. */
  readonly build: string | undefined;
  /** How long to wait for the service, in milliseconds. */
  readonly timeoutMs: number;
}

/** What names a build. */
export interface BuildOptions {
  /** The new build, as it was given; undefined: the present name, resolved anew. */
  readonly build: string | undefined;
  /** Another runtime, as it was given; undefined: the present name, resolved anew. */
  readonly deno: string | undefined;
  /** A newer Heirloom under the same app, as it was given; undefined: the present one. */
  readonly heirloom: string | undefined;
}

/** How an update goes, whatever it goes to. */
export interface UpdateOptions {
  /** The deadline of the whole update, in milliseconds. */
  readonly timeoutMs: number;
  /** How long the new build is to serve before the commit, in milliseconds, less than the deadline; undefined: not at all. */
  readonly commitAfterMs: number | undefined;
  /** Is there to be a guardian? */
  readonly guardian: boolean;
}

/** `check`: would a build take over? */
export interface CheckCommand extends CommonOptions, BuildOptions {
  readonly command: "check";
  /** After how many milliseconds a build that is not ready would not take over. */
  readonly timeoutMs: number;
}

/** `upgrade`: an update, and its verdict. */
export interface UpgradeCommand extends CommonOptions, BuildOptions, UpdateOptions {
  readonly command: "upgrade";
}

/** `rollback`: an update to the previous build, and its verdict. */
export interface RollbackCommand extends CommonOptions, UpdateOptions {
  readonly command: "rollback";
}

/** `inspect`: a segment from a file, or of the running service. */
export type InspectCommand =
  & CommonOptions
  & { readonly command: "inspect" }
  & (
    | {
      readonly live: false;
      /** The file, as it was given. */
      readonly file: string;
    }
    | {
      readonly live: true;
      /** How long to wait for the answer, in milliseconds. */
      readonly timeoutMs: number;
    }
  );

/** `demo`: the proof. */
export interface DemoCommand extends CommonOptions {
  readonly command: "demo";
}

/** `help` or `--help`. */
export interface HelpCommand {
  readonly command: "help";
  /** The command to be explained; undefined: all of them. */
  readonly topic: CommandName | undefined;
}

/** `--version`. */
export interface VersionCommand {
  readonly command: "version";
  /** Print JSON instead of text? */
  readonly json: boolean;
}

/** One command line, understood. */
export type ParsedCommand =
  | RunCommand
  | ServeCommand
  | QueryCommand
  | CheckCommand
  | UpgradeCommand
  | RollbackCommand
  | InspectCommand
  | DoctorCommand
  | DemoCommand
  | HelpCommand
  | VersionCommand;

/** The environment variables that matter here. */
export type Environment = Readonly<Record<string, string | undefined>>;
