/**
 * Check: the kernel, and the system calls that live update is made of, each of them tried.
 *
 * @module
 */
import { type ProbeName, probeSystemCalls } from "../../sys/probe.ts";
import { type Finding, note, ok, problem, warning } from "./finding.ts";
import { readNumber, readText } from "./proc_text.ts";

/** What is known of the kernel. */
export interface KernelFacts {
  /** `uname -r`, or null. */
  readonly release: string | null;
  /** The architecture, as the runtime calls it. */
  readonly arch: string;
  /** By probe: null, or what went wrong. */
  readonly probes: Readonly<Record<ProbeName, string | null>>;
  /** `vm.memfd_noexec`, or null where the kernel has no such thing. */
  readonly memfdNoexec: number | null;
}

/** The oldest kernel. */
const OLDEST = [5, 11] as const;

const NEW_KERNEL = "Use Linux 5.11 or later, and a seccomp profile that allows the system call.";

/** Those without which nothing works. */
const NEEDED: Readonly<Partial<Record<ProbeName, string>>> = {
  close_range: "the jump closes what does not cross",
  pidfd: "the guardian watches the service",
  memfd: "the handover is a sealed memfd",
  scm_rights: "the guardian holds what crosses",
};

/** Those without which one kind of resource does not work. */
const KINDS: readonly ProbeName[] = ["eventfd", "timerfd", "inotify", "epoll"];

/** Tries everything. */
export function gatherKernel(): KernelFacts {
  return {
    release: readText("/proc/sys/kernel/osrelease")?.trim() ?? null,
    arch: Deno.build.arch,
    probes: probeSystemCalls(),
    memfdNoexec: readNumber("/proc/sys/vm/memfd_noexec"),
  };
}

/** Judges it. */
export function checkKernel({ release, arch, probes, memfdNoexec }: KernelFacts): Finding[] {
  return [
    checkRelease(release),
    arch === "x86_64" || arch === "aarch64"
      ? ok("architecture", arch)
      : problem("architecture", `${arch} is not supported`, "Use x86-64 or aarch64."),
    ...(Object.keys(NEEDED) as ProbeName[]).map((name) =>
      probes[name] === null
        ? ok(name, `${name} works`)
        : problem(name, `${name} does not work: ${probes[name]}; ${NEEDED[name]}`, NEW_KERNEL)
    ),
    ...KINDS.map((name) =>
      probes[name] === null ? ok(name, `${name} works`) : warning(
        name,
        `${name} does not work: ${probes[name]}`,
        `No service here can carry one. ${NEW_KERNEL}`,
      )
    ),
    probes.eventfd_info === null ? ok("eventfd_info", "/proc tells what an eventfd is") : note(
      "eventfd_info",
      probes.eventfd_info,
      "An eventfd is told from others by less: Linux 6.5 tells it all.",
    ),
    checkDuplicates(probes),
    checkNoexec(probes, memfdNoexec),
  ];
}

function checkRelease(release: string | null): Finding {
  const [major, minor] = /^(\d+)\.(\d+)/.exec(release ?? "")?.slice(1).map(Number) ?? [];
  if (major === undefined || minor === undefined) {
    return warning(
      "kernel",
      `the release of the kernel is not known (${release})`,
      "Mount /proc with /proc/sys.",
    );
  }
  const isNew = major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
  return isNew
    ? ok("kernel", `Linux ${release}`)
    : problem("kernel", `Linux ${release} is older than ${OLDEST.join(".")}`, "Use a newer kernel.");
}

function checkDuplicates({ dup_query, kcmp }: KernelFacts["probes"]): Finding {
  if (dup_query === null) return ok("duplicates", "duplicates are told apart by F_DUPFD_QUERY");
  if (kcmp === null) return ok("duplicates", "duplicates are told apart by kcmp");
  return warning(
    "duplicates",
    `duplicates of a descriptor cannot be recognized (${dup_query}; ${kcmp})`,
    "Allow kcmp in the seccomp profile, or use Linux 6.10: until then two descriptors of one file are refused as one.",
  );
}

function checkNoexec({ noexec_seal }: KernelFacts["probes"], memfdNoexec: number | null): Finding {
  if (noexec_seal === null && memfdNoexec === 2) {
    return problem(
      "memfd_noexec",
      "vm.memfd_noexec is 2: memory that is not marked as not executable is refused, and a segment is not marked",
      "Set vm.memfd_noexec to 1 or 0.",
    );
  }
  return noexec_seal === null
    ? ok(
      "memfd_noexec",
      `memfds can be sealed against execution (vm.memfd_noexec ${memfdNoexec ?? "is not there"})`,
    )
    : note("memfd_noexec", "memfds cannot be sealed against execution: the kernel is older than 6.3");
}
