/**
 * Check: can a process here replace itself by the runtime, and does the kernel tell how a process ended? A child does it for
 * real. What the service itself is allowed may be less, and `/proc` says so.
 *
 * @module
 */
import { exitStatusOf, openPidfd } from "../../sys/pidfd.ts";
import { type Finding, note, ok, problem } from "./finding.ts";
import { statusField } from "./proc_text.ts";
import type { Subject } from "./subject.ts";

/** What is known about programs here. */
export interface ExecutionFacts {
  /** Null when a child could replace itself, otherwise what went wrong. */
  readonly execve: string | null;
  /** Does a pidfd tell how a process ended that was reaped? Null where that could not be tried. */
  readonly tellsExit: boolean | null;
  /** `Seccomp` of `/proc/PID/status`: 0 none, 1 strict, 2 filter; null where it is not known. */
  readonly seccomp: number | null;
  /** Is that the service's, which this process does not share? */
  readonly isService: boolean;
}

/** How long a child may take, in milliseconds. */
const PATIENCE_MS = 10_000;

/** Lets a child do it. */
export async function gatherExecution(subject: Subject | null): Promise<ExecutionFacts> {
  const seccomp = statusField(subject?.status ?? "", "Seccomp");
  const rest = {
    seccomp: seccomp === null ? null : Number(seccomp),
    isService: subject?.isService ?? false,
  };
  try {
    const program = decodeURIComponent(new URL("exec_probe.ts", import.meta.url).pathname);
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-config", "--no-lock", "--quiet", program, Deno.execPath()],
      env: { DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    using pidfd = openPidfd(child.pid);
    const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
    const { stdout, stderr, success } = await child.output();
    clearTimeout(timer);
    const [output, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
    const isGood = success && output?.startsWith("deno ");
    return {
      ...rest,
      execve: isGood ? null : errors?.split("\n").at(-1) || "the child did not become the runtime",
      tellsExit: exitStatusOf(pidfd.fd) !== null,
    };
  } catch (error) {
    return { ...rest, execve: error instanceof Error ? error.message : String(error), tellsExit: null };
  }
}

/** Judges it. */
export function checkExecution({ execve, tellsExit, seccomp, isService }: ExecutionFacts): Finding[] {
  const findings = [
    execve === null ? ok("execve", "a process can replace itself by the runtime") : problem(
      "execve",
      `a process cannot replace itself by the runtime: ${execve}`,
      "Look for noexec mounts, seccomp profiles and mandatory access control that forbid execve of the runtime.",
    ),
  ];
  if (tellsExit !== null) {
    findings.push(
      tellsExit ? ok("pidfd_info", "a pidfd tells how a process ended") : note(
        "pidfd_info",
        "a pidfd does not tell how a process ended, so the record of a recovery may not say it either; Linux 6.15 does",
      ),
    );
  }
  if (seccomp === 2 && isService) {
    findings.push(
      note(
        "seccomp",
        "the service runs under a seccomp filter, which doctor does not: what was tried here may be refused there",
        "heirloom check and the first update show whether the filter allows what is needed.",
      ),
    );
  } else if (seccomp !== null) {
    findings.push(
      ok("seccomp", seccomp === 2 ? "under a seccomp filter, as were the probes" : "no seccomp filter"),
    );
  }
  return findings;
}
