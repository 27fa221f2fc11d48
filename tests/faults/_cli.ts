/**
 * The command line as a process that can be ended in the middle.
 *
 * @module
 */
import { type CommandResult, heirloomRoot } from "../../testing/mod.ts";

/** A command that runs. */
export interface StartedCli {
  /** Its process. */
  readonly pid: number;
  /** Resolves when it has ended; the code is 128 and the signal's number if a signal ended it. */
  readonly ended: Promise<CommandResult>;
}

/**
 * Starts a command.
 *
 * @param socket the control socket
 * @param command its name
 * @param flags its flags
 */
export function startCli(socket: string, command: string, flags: readonly string[]): StartedCli {
  const kept = Object.entries(Deno.env.toObject()).filter(([name]) => !name.startsWith("HEIRLOOM_"));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `${heirloomRoot()}/main.ts`, command, "--socket", socket, ...flags],
    env: { ...Object.fromEntries(kept), NO_COLOR: "1" },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const decoder = new TextDecoder();
  const ended = child.output().then(({ code, stdout, stderr }) => ({
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  }));
  return { pid: child.pid, ended };
}
