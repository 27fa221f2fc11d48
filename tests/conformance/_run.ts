/**
 * Runs the conformance runner as a process of its own, as its user does.
 *
 * @module
 */
import type { RunResult } from "./_result.ts";

/** What the runner left behind. */
export interface Run {
  /** Its exit status. */
  code: number;
  /** What it printed. */
  out: string;
  /** What it complained about. */
  err: string;
}

/** The folder of the runner. */
export const HERE: string = new URL(".", import.meta.url).pathname;

/**
 * Runs it.
 *
 * @param args its arguments; files are searched beside it
 * @param env its environment, beside what it inherits
 */
export async function runGolden(args: string[], env: Record<string, string> = {}): Promise<Run> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--no-lock", "--quiet", `${HERE}run_golden.ts`, ...args],
    cwd: HERE,
    env: { ...env, NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out: out ?? "", err: err ?? "" };
}

/** Its document, and how it ended. */
export type RunDocument = RunResult & Pick<Run, "code" | "err">;

/** Runs it on files and reads its document. */
export async function runJson(files: string[], env?: Record<string, string>): Promise<RunDocument> {
  const { code, out, err } = await runGolden(["--json", ...files], env);
  return { ...JSON.parse(out) as RunResult, code, err };
}

/** Runs it on scenarios of a test's own. */
export async function runScenarios(scenarios: unknown, env?: Record<string, string>): Promise<RunDocument> {
  const path = Deno.makeTempFileSync({ prefix: "heirloom-scenarios-", suffix: ".json" });
  try {
    Deno.writeTextFileSync(path, JSON.stringify(scenarios));
    return await runJson([path], env);
  } finally {
    Deno.removeSync(path);
  }
}
