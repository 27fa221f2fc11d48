/**
 * Check: is there memory for an update? While the service runs, the check of the new build and the guardian run beside it.
 *
 * @module
 */
import { size } from "../text.ts";
import { type Finding, ok, problem, warning } from "./finding.ts";
import { kilobytes, readText } from "./proc_text.ts";
import type { Subject } from "./subject.ts";

/** What is known of memory. */
export interface MemoryFacts {
  /** Memory of the service that is in RAM, in bytes, or null. */
  readonly resident: number | null;
  /** What the machine can still give, in bytes, or null. */
  readonly available: number | null;
  /** The tightest control group: what it can still give, and its limit; null where there is no limit. */
  readonly group: { readonly room: number; readonly limit: number; readonly path: string } | null;
}

/** A guardian, with room to spare, in bytes. */
const GUARDIAN_BYTES = 64 * 1024 * 1024;
/** The smallest service that runs in this runtime, in bytes. */
const SMALLEST_BYTES = 48 * 1024 * 1024;
/** From this limit on there is none (cgroup v1 writes the largest number of pages). */
const NO_LIMIT = 2 ** 60;

/** Reads what there is. */
export function gatherMemory(subject: Subject | null): MemoryFacts {
  const groups = subject === null ? [] : groupsOf(readText(`${subject.proc}/cgroup`) ?? "");
  const limited = groups.map(roomIn).filter((group) => group !== null);
  return {
    resident: subject?.isService ? kilobytes(subject.status, "VmRSS") : null,
    available: kilobytes(readText("/proc/meminfo") ?? "", "MemAvailable"),
    group: limited.sort((a, b) => a.room - b.room)[0] ?? null,
  };
}

/** Judges it. */
export function checkMemory({ resident, available, group }: MemoryFacts): Finding[] {
  const needed = Math.max(resident ?? 0, SMALLEST_BYTES) + GUARDIAN_BYTES;
  const findings: Finding[] = [];
  const judge = (id: string, room: number, what: string, remedy: string): void => {
    const text = `${what}; an update may need ${size(needed)} more than the service has`;
    if (room >= needed) findings.push(ok(id, text));
    else if (room >= GUARDIAN_BYTES) findings.push(warning(id, text, remedy));
    else findings.push(problem(id, text, remedy));
  };
  if (available !== null) {
    judge(
      "memory",
      available,
      `memory: ${size(available)} available`,
      "Free memory, or use a larger machine.",
    );
  }
  if (group !== null) {
    const { room, limit, path } = group;
    judge(
      "group_memory",
      room,
      `control group ${path}: ${size(room)} of ${size(limit)} left`,
      "Raise memory.max (MemoryMax= in the unit): what the check of a build needs comes on top.",
    );
  }
  return findings;
}

/** The folders of a process in the hierarchies that know of memory, and all above them. */
export function groupsOf(cgroup: string): string[] {
  return cgroup.split("\n").flatMap((line) => {
    const [, controllers = "", path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path === undefined) return [];
    if (controllers !== "" && !controllers.split(",").includes("memory")) return [];
    const root = controllers === "" ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    const parts = path.split("/").filter(Boolean);
    return Array.from({ length: parts.length + 1 }, (_, at) => [root, ...parts.slice(0, at)].join("/"));
  });
}

function roomIn(path: string): MemoryFacts["group"] {
  const number = (name: string): number => Number(readText(`${path}/${name}`)?.trim() || Number.NaN);
  const [limit, used] = [number("memory.max"), number("memory.current")];
  const [limit1, used1] = [number("memory.limit_in_bytes"), number("memory.usage_in_bytes")];
  const found = Number.isNaN(limit) ? [limit1, used1] : [limit, used];
  const [most = Number.NaN, now = Number.NaN] = found;
  if (Number.isNaN(most) || Number.isNaN(now) || most >= NO_LIMIT) return null;
  // Pages of files that nobody uses are given up first.
  const stat = readText(`${path}/memory.stat`) ?? "";
  const inactive = Number(/^(?:total_)?inactive_file (\d+)$/m.exec(stat)?.[1] ?? 0);
  return { room: Math.max(0, most - now + inactive), limit: most, path };
}
