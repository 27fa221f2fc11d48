/**
 * Programs that reboot: started as a process of their own, and waited for until the last of their images ends.
 *
 * Happy path: `await runProgram([path, "argument"])` has the PID, the exit status, and each line of output as JSON.
 *
 * Unhappy path: a program that hangs is ended after {@linkcode DEADLINE_MS}, which shows in its exit status.
 *
 * @module
 */

/** How long a program may take on a busy machine. */
export const DEADLINE_MS = 240_000;

/** What a program came to. */
export interface ProgramResult {
  /** The process that was started. */
  pid: number;
  /** Exit status of its last image. */
  code: number;
  /** What all its images wrote to standard output, a JSON document in each line. */
  lines: unknown[];
  /** What they wrote to standard error. */
  stderr: string;
}

/** The environment without what Heirloom reads, so that a program starts cold. */
export function coldEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(([name]) => !name.startsWith("HEIRLOOM")),
  );
}

/**
 * Runs a program with all permissions.
 *
 * @param args its module and its arguments, flags of the runtime before them
 */
export async function runProgram(args: readonly string[]): Promise<ProgramResult> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", ...args],
    clearEnv: true,
    env: coldEnvironment(),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(DEADLINE_MS),
  }).spawn();
  const { code, stdout, stderr } = await child.output();
  const text = new TextDecoder();
  const lines = text.decode(stdout).split("\n").filter((line) => line !== "");
  return { pid: child.pid, code, lines: lines.map((line) => JSON.parse(line)), stderr: text.decode(stderr) };
}
