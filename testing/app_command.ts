/**
 * The command line and environment with which a service under test is started.
 *
 * @module
 */

import { resolve } from "./paths.ts";
import type { StartOptions } from "./app_types.ts";

/** The variable that marks the processes of a service under test; its value is the private directory. */
export const APP_VARIABLE = "HEIRLOOM_TEST_APP";

/** What to start. */
export interface AppCommand {
  /** The whole command of the service. */
  readonly argv: readonly string[];
  /** The command that runs Heirloom's command line, without its arguments. */
  readonly cli: readonly string[];
  /** The whole environment of the service. */
  readonly env: Readonly<Record<string, string>>;
  /** The whole environment of the command line. */
  readonly cliEnv: Readonly<Record<string, string>>;
}

/**
 * Builds the command of a service.
 *
 * @param options What to start.
 * @param dir The private directory.
 * @param socket The path of the control socket.
 * @returns Command and environment.
 * @throws {TypeError} If there is no entry where one is needed, or one too many.
 */
export function appCommand(options: StartOptions, dir: string, socket: string): AppCommand {
  const { mode = "run", entry, args = [], denoArgs = [], prefix = [], deno = Deno.execPath() } = options;
  if ((mode === "serve") !== (entry === undefined)) {
    throw new TypeError(
      `Cannot start the service: mode "${mode}" takes ${mode === "serve" ? "no" : "an"} entry`,
    );
  }
  const main = `${options.heirloom === undefined ? heirloomRoot() : resolve(options.heirloom)}/main.ts`;
  const cliEnv = { ...inherited(), NO_COLOR: "1" };
  const env: Record<string, string> = {
    ...cliEnv,
    XDG_STATE_HOME: `${dir}/state`,
    [APP_VARIABLE]: dir,
    ...(mode === "plain" ? { HEIRLOOM_SOCKET: socket } : {}),
    ...options.env,
  };
  return { argv: [...prefix, deno, ...denoCommand()], cli: [deno, "run", "-A", main], env, cliEnv };

  function denoCommand(): string[] {
    switch (mode) {
      case "run":
        return ["run", "-A", main, "run", "--socket", socket, ...joined(denoArgs), resolve(entry!), ...args];
      case "serve":
        return ["run", "-A", ...denoArgs, main, "serve", "--socket", socket, ...args];
      case "plain":
        return ["run", "-A", ...denoArgs, resolve(entry!), ...args];
    }
  }
}

/**
 * The Heirloom that this module belongs to.
 *
 * @returns The path of its directory, or its URL if it was not loaded from a file; no slash at the end.
 */
export function heirloomRoot(): string {
  const root = new URL("..", import.meta.url);
  return (root.protocol === "file:" ? decodeURIComponent(root.pathname) : root.href).replace(/\/$/, "");
}

/** `--deno-args` takes all flags in one argument, divided by spaces. */
function joined(denoArgs: readonly string[]): string[] {
  const bad = denoArgs.find((arg) => /\s/.test(arg));
  if (bad !== undefined) throw new TypeError(`Cannot start the service: the flag "${bad}" has a space in it`);
  // In one word with its name: the value itself begins with a dash.
  return denoArgs.length === 0 ? [] : [`--deno-args=${denoArgs.join(" ")}`];
}

/** The caller's environment, without what would make the service take itself for a part of another one. */
function inherited(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(([name]) => !name.startsWith("HEIRLOOM_")),
  );
}
