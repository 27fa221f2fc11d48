/**
 * `demo`: the proof in one command. The demonstration itself is a program of its own, `scripts/demo.ts`: it looks at a
 * service from outside, with the helpers that tests use, and no part of the product may depend on those.
 *
 * Happy path: the program runs with the same runtime, its output and its exit status are ours.
 *
 * Unhappy paths: an installation without the scripts: exit 1 with the reason. A signal is passed on, so that the program
 * can clean up, and its exit status tells.
 *
 * @module
 */
import type { DemoCommand } from "./args.ts";

/** The signals that the program answers by cleaning up. */
const PASSED_ON = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Runs the demonstration.
 *
 * @param command whether its report is to be JSON
 * @returns the exit status: 0 only if all of it held
 * @throws {Error} when this Heirloom came without the program
 */
export async function demo(command: DemoCommand): Promise<number> {
  const program = new URL("../scripts/demo.ts", import.meta.url);
  if (!await isThere(program)) {
    throw new Error(`Cannot run the demo: ${program.href} is not there; it needs a whole source tree`);
  }
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", program.href, ...(command.json ? ["--json"] : [])],
    stdin: "null",
  }).spawn();
  for (const signal of PASSED_ON) {
    Deno.addSignalListener(signal, () => {
      try {
        child.kill(signal);
      } catch {
        // It has ended: its status is on the way.
      }
    });
  }
  return (await child.status).code;
}

async function isThere(file: URL): Promise<boolean> {
  if (file.protocol !== "file:") return false;
  try {
    return (await Deno.stat(file)).isFile;
  } catch {
    return false;
  }
}
