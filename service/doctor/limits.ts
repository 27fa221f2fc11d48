/**
 * Check: resource limits against what an update needs, and limits of the kernel for each user.
 *
 * @module
 */
import type { FdReport } from "../../control/types.ts";
import { size } from "../text.ts";
import { type Finding, note, ok, problem, warning } from "./finding.ts";
import { parseLimits, type ProcessLimits, readNumber, readText, statusField } from "./proc_text.ts";
import type { Service, Subject } from "./subject.ts";

/** What is known of limits. */
export interface LimitFacts {
  /** The limits of the process, or null. */
  readonly limits: ProcessLimits | null;
  /** What the service holds now, or null without one. */
  readonly held: Held | null;
  /** Threads of the user of the process, or null for root, whom the limit does not hold. */
  readonly threads: number | null;
  /** Virtual memory of the process in bytes, or null. */
  readonly virtualBytes: number | null;
  /** Limits of the kernel for each user: `fs.inotify.max_user_watches` and so on; null where they are not known. */
  readonly watches: number | null;
  readonly instances: number | null;
  readonly pipePages: number | null;
}

/** What a service holds. */
export interface Held {
  /** Open descriptors. */
  readonly fds: number;
  /** Those that are preserved. */
  readonly files: number;
  /** Connections that will be taken along. */
  readonly connections: number;
}

/** Descriptors that the runtime needs for itself while it starts; as in `live/update.ts`. */
const RUNTIME_DESCRIPTORS = 64;
/** The largest handover segment, which is a file to the limit. */
const SEGMENT_BYTES = 256 * 1024 * 1024;
/** Threads of a check of a build and of a guardian. */
const UPDATE_THREADS = 40;
const FEW_WATCHES = 8192;
const FEW_INSTANCES = 64;
const FEW_PIPE_PAGES = 1024;

/** Reads the limits. */
export function gatherLimits(subject: Subject | null, service: Service | null): LimitFacts {
  const limits = subject === null ? null : readText(`${subject.proc}/limits`);
  const virtual = /^(\d+) kB$/.exec(statusField(subject?.status ?? "", "VmSize") ?? "")?.[1];
  return {
    limits: limits === null ? null : parseLimits(limits),
    held: service === null ? null : heldBy(service),
    threads: subject === null || subject.uid === 0 ? null : threadsOf(subject.uid),
    virtualBytes: virtual === undefined ? null : Number(virtual) * 1024,
    watches: readNumber("/proc/sys/fs/inotify/max_user_watches"),
    instances: readNumber("/proc/sys/fs/inotify/max_user_instances"),
    pipePages: readNumber("/proc/sys/fs/pipe-user-pages-soft"),
  };
}

/** Judges them. */
export function checkLimits(facts: LimitFacts): Finding[] {
  const { limits } = facts;
  return [
    ...(limits === null ? [] : [
      checkFiles(limits, facts.held),
      checkSize(limits),
      checkSpace(limits, facts),
      checkThreads(limits, facts),
    ]),
    ...checkUser(facts),
  ];
}

/** How many descriptors an update needs; the same sum as in `live/update.ts`. */
export function neededDescriptors({ fds, files, connections }: Held): number {
  return Math.max(fds + connections, 2 * (files + connections)) + RUNTIME_DESCRIPTORS;
}

function checkFiles({ nofile: { soft } }: ProcessLimits, held: Held | null): Finding {
  const limit = soft ?? Number.POSITIVE_INFINITY;
  const shown = soft === null ? "unlimited" : String(soft);
  const advice =
    "Raise the limit (LimitNOFILE= in the unit, ulimit -Hn in a shell) and start the service anew: " +
    "an update needs up to three descriptors for each connection.";
  if (held === null) {
    return limit >= 1024
      ? ok("nofile", `descriptors: the limit (RLIMIT_NOFILE) is ${shown}`)
      : warning("nofile", `descriptors: the limit (RLIMIT_NOFILE) is ${shown}`, advice);
  }
  const needed = neededDescriptors(held);
  const what = `descriptors: an update now needs ${needed}, the limit (RLIMIT_NOFILE) is ${shown}`;
  if (needed > limit) return problem("nofile", what, advice);
  return needed > limit / 2 ? warning("nofile", what, advice) : ok("nofile", what);
}

function checkSize({ fsize: { soft } }: ProcessLimits): Finding {
  if (soft === null) return ok("fsize", "size of files: no limit (RLIMIT_FSIZE)");
  const what = `size of files: the limit (RLIMIT_FSIZE) is ${
    size(soft)
  }, and memory that is shared counts as a file`;
  return soft >= SEGMENT_BYTES
    ? note("fsize", what)
    : warning("fsize", what, `A handover may have up to ${size(SEGMENT_BYTES)}: raise or remove the limit.`);
}

function checkSpace({ as: { soft } }: ProcessLimits, { virtualBytes }: LimitFacts): Finding {
  if (soft === null) return ok("address_space", "address space: no limit (RLIMIT_AS)");
  const what = `address space: the limit (RLIMIT_AS) is ${size(soft)}` +
    (virtualBytes === null ? "" : `, the service uses ${size(virtualBytes)}`);
  return virtualBytes !== null && soft >= 2 * virtualBytes ? note("address_space", what) : warning(
    "address_space",
    what,
    "The runtime reserves much more than it uses. Limit the memory of the control group instead (MemoryMax=).",
  );
}

function checkThreads({ nproc: { soft } }: ProcessLimits, { threads }: LimitFacts): Finding {
  if (soft === null || threads === null) {
    return ok("nproc", "processes: no limit (RLIMIT_NPROC) that holds the service");
  }
  const what = `processes: the user has ${threads} threads, the limit (RLIMIT_NPROC) is ${soft}`;
  return threads + UPDATE_THREADS <= soft ? ok("nproc", what) : problem(
    "nproc",
    what,
    `An update starts the check of the build and the guardian, some ${UPDATE_THREADS} threads: raise the limit.`,
  );
}

function checkUser({ watches, instances, pipePages }: LimitFacts): Finding[] {
  const findings: Finding[] = [];
  const look = (id: string, name: string, value: number | null, least: number, effect: string): void => {
    if (value === null) return;
    const isMuch = value >= least || (id === "pipe_pages" && value === 0);
    findings.push(isMuch ? ok(id, `${name} is ${value}`) : note(id, `${name} is ${value}: ${effect}`));
  };
  look(
    "inotify_watches",
    "fs.inotify.max_user_watches",
    watches,
    FEW_WATCHES,
    "a carried watch counts once, a new one more",
  );
  look(
    "inotify_instances",
    "fs.inotify.max_user_instances",
    instances,
    FEW_INSTANCES,
    "carried and new ones count alike",
  );
  look(
    "pipe_pages",
    "fs.pipe-user-pages-soft",
    pipePages,
    FEW_PIPE_PAGES,
    "new pipes of the user get one page",
  );
  return findings;
}

/** From the descriptors, or where the service does not tell of them, from its sessions. */
export function heldBy({ status }: Service): Held {
  const fds: readonly FdReport[] = status.fds ?? [];
  const files = status.sessions.filter(({ direction }) => direction === "outgoing")
    .reduce((sum, { files }) => sum + files.length, 0);
  const isConnection = (report: FdReport): boolean =>
    report.token === null && report.compatible === "stream-v1" && report.name !== null;
  const connections = fds.filter(isConnection).length;
  return { fds: Math.max(fds.length, files), files, connections };
}

function threadsOf(uid: number): number {
  let threads = 0;
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const status = readText(`/proc/${name}/status`) ?? "";
    if (Number(statusField(status, "Uid")?.split(/\s+/)[0]) !== uid) continue;
    threads += Number(statusField(status, "Threads") ?? 0);
  }
  return threads;
}
