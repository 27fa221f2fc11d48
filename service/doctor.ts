/**
 * `doctor`: can updates work here? This machine, and the service if one answers.
 *
 * Happy path: everything is looked at, then judged (`doctor/`), then printed: exit 0.
 *
 * Unhappy paths: a problem: exit 1. No service is none: the machine is checked alone, and a note says so.
 *
 * @module
 */
import { type DoctorCommand, EXIT } from "./args.ts";
import { checkBacklog, gatherBacklog, longestPause } from "./doctor/backlog.ts";
import { checkBuild, checkFolders, gatherBuild, gatherFolders } from "./doctor/build.ts";
import { checkDescriptors } from "./doctor/descriptors.ts";
import { checkExecution, gatherExecution } from "./doctor/execution.ts";
import type { Finding, Level } from "./doctor/finding.ts";
import { checkKernel, gatherKernel } from "./doctor/kernel.ts";
import { checkLimits, gatherLimits } from "./doctor/limits.ts";
import { checkMemory, gatherMemory } from "./doctor/memory.ts";
import { checkNamespaces, gatherNamespaces } from "./doctor/namespaces.ts";
import { checkRuntime, gatherRuntime } from "./doctor/runtime.ts";
import { findScene, type Scene } from "./doctor/subject.ts";
import { checkUnit, gatherUnit } from "./doctor/systemd.ts";
import { strong } from "./text.ts";

/** What `doctor --json` prints. */
export interface Diagnosis {
  /** Is there no problem? */
  readonly ok: boolean;
  /** The service that answered, or null. */
  readonly service: { readonly pid: number; readonly generation: number } | null;
  /** What was found, in the order of looking. */
  readonly findings: readonly Finding[];
}

/**
 * Checks everything, and prints what was found.
 *
 * @returns the exit status: 0 no problem, 1 a problem
 */
export async function doctor(command: DoctorCommand): Promise<number> {
  const scene = await findScene(command.socket, command.timeoutMs);
  const findings = [scene.finding, ...await examine(command, scene)];
  const diagnosis = diagnose(scene.service?.status ?? null, findings);
  console.log(command.json ? JSON.stringify(diagnosis) : diagnosisText(diagnosis));
  return diagnosis.ok ? EXIT.done : EXIT.refused;
}

/** Puts the document together. */
export function diagnose(
  service: { pid: number; generation: number } | null,
  findings: readonly Finding[],
): Diagnosis {
  return {
    ok: findings.every(({ level }) => level !== "problem"),
    service: service === null ? null : { pid: service.pid, generation: service.generation },
    findings,
  };
}

async function examine(command: DoctorCommand, { service, subject }: Scene): Promise<Finding[]> {
  const build = command.build ?? service?.status.build.path ?? null;
  return [
    ...checkKernel(gatherKernel()),
    ...checkExecution(await gatherExecution(subject)),
    ...checkRuntime(await gatherRuntime(subject)),
    ...checkLimits(gatherLimits(subject, service)),
    ...checkMemory(gatherMemory(subject)),
    ...checkNamespaces(gatherNamespaces(subject)),
    ...checkUnit(await gatherUnit(subject, longestPause(service))),
    ...checkBacklog(gatherBacklog(subject, service)),
    ...checkBuild(await gatherBuild(build, subject)),
    ...checkFolders(gatherFolders(command.socket, service, subject)),
    ...(service === null ? [] : checkDescriptors(service.status.fds, service.status.state)),
  ];
}

const MARKS: Readonly<Record<Level, string>> = {
  ok: "ok",
  note: "note",
  warning: "warning",
  problem: "problem",
};
const COLOURS: Readonly<Partial<Record<Level, "green" | "red">>> = { ok: "green", problem: "red" };
const WIDTH = Math.max(...Object.values(MARKS).map(({ length }) => length));

/** A line for each finding, the advice below it, and a line that sums it up. */
export function diagnosisText({ ok, findings }: Diagnosis): string {
  const lines = findings.flatMap(({ level, what, advice }) => {
    const mark = strong(MARKS[level].padEnd(WIDTH), COLOURS[level]);
    const indent = " ".repeat(WIDTH + 2);
    return [`${mark}  ${what}`, ...(advice === null ? [] : [`${indent}${advice}`])];
  });
  const count = (level: Level, one: string): string => {
    const number = findings.filter((finding) => finding.level === level).length;
    return `${number === 0 ? "no" : number} ${number === 1 ? one : `${one}s`}`;
  };
  const counts = [count("problem", "problem"), count("warning", "warning"), count("note", "note")].join(", ");
  return [...lines, `${ok ? "updates can work here" : "updates do not work here"}: ${counts}`].join("\n");
}
