/**
 * Check: `/proc`, and the place of the service among processes. The guardian is a process beside the service: where the
 * service is PID 1, it dies with it.
 *
 * @module
 */
import { type Finding, note, ok, problem, warning } from "./finding.ts";
import { type Mount, mountOf, parseMounts, readText, statusField } from "./proc_text.ts";
import type { Subject } from "./subject.ts";

/** What is known of the namespaces of a process. */
export interface NamespaceFacts {
  /** Its number in each PID namespace, ours first; null without a service. */
  readonly pids: readonly number[] | null;
  /** The `/proc` that it sees, or null for none. */
  readonly proc: Mount | null;
  /** Can this very process read what live update reads there? */
  readonly isReadable: boolean;
}

/** Looks around. */
export function gatherNamespaces(subject: Subject | null): NamespaceFacts {
  const numbers = statusField(subject?.status ?? "", "NSpid");
  const mounts = parseMounts(readText(`${subject?.proc ?? "/proc/self"}/mountinfo`) ?? "");
  const proc = mountOf(mounts, "/proc");
  return {
    pids: !subject?.isService || numbers === null ? null : numbers.split(/\s+/).map(Number),
    proc: proc?.type === "proc" ? proc : null,
    isReadable: ["/proc/self/stat", "/proc/self/fdinfo/0", "/proc/sys/kernel/random/boot_id"]
      .every((path) => readText(path) !== null),
  };
}

/** Judges it. */
export function checkNamespaces({ pids, proc, isReadable }: NamespaceFacts): Finding[] {
  const findings = [checkProc(proc, isReadable)];
  if (pids === null) return findings;
  findings.push(
    pids.at(-1) === 1
      ? warning(
        "pid_1",
        "the service is PID 1 of its PID namespace: a build that is killed, crashes or hangs before the commit takes its guardian along",
        "Run it under an init (docker run --init, tini). What JavaScript can see is undone here too.",
      )
      : ok("pid_1", "the service is not PID 1: a guardian outlives it"),
  );
  if (pids.length > 1) {
    findings.push(note("pid_namespace", `the service is in a PID namespace of its own, as ${pids.at(-1)}`));
  }
  return findings;
}

function checkProc(proc: Mount | null, isReadable: boolean): Finding {
  const remedy = "Mount it: mount -t proc proc /proc.";
  if (proc === null) return problem("proc", "/proc is not mounted", remedy);
  if (proc.options.includes("subset=pid")) {
    return problem("proc", "/proc shows processes only (subset=pid)", "Remove ProcSubset=pid from the unit.");
  }
  if (!isReadable) return problem("proc", "/proc cannot be read in full", remedy);
  const hiding = proc.options.find((option) => /^hidepid=(?!0|off)/.test(option));
  return ok(
    "proc",
    hiding === undefined
      ? "/proc is mounted"
      : `/proc is mounted (${hiding}: the service sees its own processes)`,
  );
}
