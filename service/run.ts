/**
 * `run`: the launcher. It finds out what belongs to the application, and becomes it: the process that was started is the
 * process that runs the application, so a supervisor sees one.
 *
 * Happy path: `execve` of the runtime with the boot module, and no way back here.
 *
 * Unhappy paths: an entry that is not there, a socket that another process serves, a runtime that cannot be started:
 * exit 1 with the reason; nothing has been started then.
 *
 * @module
 */
import { ownerOf } from "../live/address.ts";
import { prepareFolder } from "../live/control_socket.ts";
import { composeArguments, type LaunchSpec, nearestConfig } from "../live/launch.ts";
import { prepareLock } from "../live/lock_file.ts";
import { resolveEntry } from "../live/resolve.ts";
import { ROOT } from "../live/version.ts";
import { blockForExec, commandLine, execve, initialEnvironmentBytes, maskToHex } from "../sys/mod.ts";
import type { RunCommand } from "./args.ts";

/**
 * Becomes the application.
 *
 * @throws {Error} what keeps it from being started
 */
export async function run(command: RunCommand): Promise<never> {
  const name = absolute(command.entry);
  const entry = await resolveEntry(name);
  return await launch({
    mode: "run",
    entry,
    name,
    heirloom: ROOT,
    heirloomName: ROOT,
    config: nearestConfig(entry),
    denoArgs: [...command.denoArgs],
    execName: findRuntime(),
    socket: absolute(command.socket),
    hup: command.hup,
    sigmask: "0",
  }, command.args);
}

/**
 * Becomes what a launch says.
 *
 * @param spec how it is started
 * @param args its own arguments
 * @throws {Error} when another process serves the control socket
 * @throws {SysError} what `execve` answers
 */
// deno-lint-ignore require-await -- a failure has to be a rejection, like those before it
export async function launch(spec: LaunchSpec, args: readonly string[]): Promise<never> {
  const owner = ownerOf({ family: "unix", path: spec.socket });
  if (owner !== null) throw new Error(`Cannot start: process ${owner.pid} serves ${spec.socket}`);
  prepareFolder(spec.socket);
  prepareLock(spec);
  // Threads of the runtime inherit this: later on a signal reaches the main thread only, which can hold it for a jump.
  spec.sigmask = maskToHex(blockForExec());
  return execve(Deno.execPath(), composeArguments(spec, args), initialEnvironmentBytes());
}

/** A path as it would be found from here, without following symlinks. */
export function absolute(path: string): string {
  return path.startsWith("/") ? path : `${Deno.cwd().replace(/\/+$/, "")}/${path}`;
}

/**
 * The path by which this process's runtime was found: the next update follows it anew, so that a package upgrade of the
 * runtime takes effect.
 *
 * @returns an absolute path that leads to the runtime now, or null when there is none but the resolved one
 */
export function findRuntime(): string | null {
  const word = commandLine()[0] ?? "";
  const folders = word.includes("/") ? [""] : (Deno.env.get("PATH") ?? "").split(":");
  for (const folder of folders) {
    const path = absolute(folder === "" ? word : `${folder}/${word}`);
    try {
      if (Deno.realPathSync(path) === Deno.realPathSync(Deno.execPath())) return path;
    } catch {
      // Not there: the next folder.
    }
  }
  return null;
}
