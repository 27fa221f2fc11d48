/**
 * Surroundings in which a service can be started: little memory, few descriptors, a full state directory.
 *
 * @module
 */
import type { ServiceSettings } from "./_types.ts";

/** A JavaScript heap that is soon full: the runtime ends the process then. */
export const SMALL_HEAP: ServiceSettings = { denoArgs: ["--v8-flags=--max-old-space-size=96"] };

/** Few descriptors. */
export const FEW_DESCRIPTORS: ServiceSettings = {
  prefix: ["sh", "-c", 'ulimit -n 256 && exec "$@"', "sh"],
};

/**
 * A command before a command: it sees a full file system at a directory. Nobody else does.
 *
 * @param directory where; made if it is not there
 */
export function fullDirectory(directory: string): string[] {
  // One inode: it is the root's, and nothing can be made below it.
  const script = `mkdir -p "$0" && mount -t tmpfs -o size=4k,nr_inodes=1 none "$0" && exec "$@"`;
  return ["unshare", "--map-root-user", "--mount", "sh", "-c", script, directory];
}

/** Can a file system be mounted in a namespace of its own? Null, or why not. */
export async function canMount(): Promise<string | null> {
  const command = ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/tmp"];
  try {
    const { success, stderr } = await new Deno.Command(command[0]!, { args: command.slice(1) }).output();
    return success ? null : `no file system can be mounted here: ${new TextDecoder().decode(stderr).trim()}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "unshare(1) is not here";
    throw error;
  }
}
