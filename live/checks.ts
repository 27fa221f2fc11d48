/**
 * Checks of builds that are asked for by themselves: `heirloom check` and `POST /v1/check`.
 *
 * Happy path: {@linkcode checkRequest} resolves the build and reports.
 *
 * Unhappy paths: a build that cannot be resolved is a report whose `ok` is false. While an update runs there are no checks
 * (`EBUSY`), and an update that begins ends those that are under way: they would see a service that stands still.
 *
 * @module
 */
import type { CheckReport, CheckRequest } from "../control/types.ts";
import { LuoError } from "../luo/errors.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { resolveBuild } from "./resolve.ts";
import { checkTimeout } from "./update_request.ts";

const running = new Set<AbortController>();

/**
 * Checks the build that is asked for.
 *
 * @param life the service
 * @param request which build, and how long it may take
 * @throws {LuoError} `EBUSY` the service is not ready or an update is under way, `EINVAL` a time that is none,
 * `EOPNOTSUPP` live update is off
 */
export async function checkRequest(life: Lifecycle, request: CheckRequest): Promise<CheckReport> {
  const timeoutMs = checkTimeout(request, "check: a time");
  if (life.device === null) throw new LuoError("EOPNOTSUPP", "Cannot check: live update is off");
  if (life.state !== "serving") throw new LuoError("EBUSY", `Cannot check: the service is ${life.state}`);
  life.finishReady();
  const end = new AbortController();
  const timer = setTimeout(() => end.abort(), timeoutMs);
  running.add(end);
  try {
    const report = await check(life, request, end.signal);
    const cut = end.signal.reason === UPDATE_BEGAN;
    return cut ? { ...report, ok: false, reason: "Cannot finish the check: an update began" } : report;
  } finally {
    clearTimeout(timer);
    running.delete(end);
  }
}

const UPDATE_BEGAN = "update began";

/** Ends the checks that are under way. */
export function endChecks(): void {
  for (const end of running) end.abort(UPDATE_BEGAN);
}

async function check(life: Lifecycle, request: CheckRequest, signal: AbortSignal): Promise<CheckReport> {
  const self = await life.build.running();
  try {
    const resolved = await resolveBuild(self, request);
    return await life.check(resolved, signal);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const build = { path: request.build ?? life.build.info().path, version: null, id: null };
    return { ok: false, build, startup_ms: null, reason, stderr: "", tokens: [], states: [] };
  }
}
