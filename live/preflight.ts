/**
 * The check of a build, seen from the service: would that build take over what is here now?
 *
 * Happy path: the module graph loads, the child that runs the build in check mode reports on every file and state, and
 * {@linkcode checkBuild} makes one document of it.
 *
 * Unhappy paths: whatever keeps the build from coming up is the `reason` of a report whose `ok` is false, with the end of
 * what the child wrote to stderr. Only a service that cannot describe itself (a state that cannot be saved) throws.
 *
 * @module
 */
import type { CheckReport } from "../control/types.ts";
import { preflight, type PreflightResult } from "../kho/preflight.ts";
import type { ChildReport } from "./check.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { previewSegment } from "./preview.ts";
import { inspectBuild, type ResolvedBuild } from "./resolve.ts";

/** Lines of the child's stderr that become part of the reason. */
const REASON_LINES = 12;

/**
 * Checks a build.
 *
 * @param life the service
 * @param resolved the build; its fingerprint is filled in
 * @param signal ends the check: the build then counts as not ready in time
 * @throws whatever a `save` of the application throws
 */
export async function checkBuild(
  life: Lifecycle,
  resolved: ResolvedBuild,
  signal: AbortSignal,
): Promise<CheckReport> {
  const nothing = { startup_ms: null, stderr: "", tokens: [], states: [] };
  try {
    await inspectBuild(resolved, signal);
  } catch (error) {
    const reason = signal.aborted ? late(resolved) : error instanceof Error ? error.message : String(error);
    return { ok: false, build: resolved.build.info, reason, ...nothing };
  }
  const result = await preflight(resolved.image, previewSegment(life, { complete: true }), signal);
  const said = isReport(result.report) ? result.report : null;
  const reason = reasonOf(resolved, result, said);
  return {
    ok: reason === null,
    build: resolved.build.info,
    startup_ms: said === null ? null : Math.round(result.elapsedMs),
    reason,
    stderr: result.stderr,
    tokens: said?.tokens ?? [],
    states: said?.states ?? [],
  };
}

function late({ build }: ResolvedBuild): string {
  return `Cannot use build ${build.name}: it could not be loaded in time`;
}

function reasonOf(
  { build }: ResolvedBuild,
  { failure, stderr }: PreflightResult,
  said: ChildReport | null,
): string | null {
  const action = `Cannot use build ${build.name}: in the check`;
  if (failure !== null) return `${action}, ${failure}${tailOf(stderr)}`;
  if (said === null) return `${action}, its report cannot be read${tailOf(stderr)}`;
  return said.ok ? null : `${action}: ${said.reason ?? "it gave no reason"}`;
}

/** The message of the runtime first, then what led to it. */
function tailOf(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "");
  const message = lines.findLast((line) => /^(error|fatal|# fatal)\b/i.test(line.trim())) ?? lines.at(-1);
  if (message === undefined) return "";
  return lines.length === 1 ? `: ${message}` : `: ${message}\n${lines.slice(-REASON_LINES).join("\n")}`;
}

/** The child is a program that failed or did not: what it prints is believed only as far as it has the right form. */
function isReport(value: unknown): value is ChildReport {
  if (typeof value !== "object" || value === null) return false;
  const { ok, reason, tokens, states } = value as Record<string, unknown>;
  return typeof ok === "boolean" && (reason === null || typeof reason === "string") &&
    Array.isArray(tokens) && Array.isArray(states);
}
