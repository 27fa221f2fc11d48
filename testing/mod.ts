/**
 * Helpers for integration tests of services that run under Heirloom: start one, load it, update it, and see from outside
 * that nothing was lost. Heirloom's own tests, demonstration and benchmarks use them too.
 *
 * ```ts ignore
 * import { assertNoFailures, assertNothingLost, freePort, snapshot, startApp, startLoad } from "@heirloom/heirloom/testing";
 *
 * Deno.test("my service survives an update", async () => {
 *   const port = freePort();
 *   await using app = await startApp({ entry: "main.ts", args: [String(port)] });
 *   const before = await snapshot(app);
 *
 *   await using load = startLoad({ target: { hostname: "127.0.0.1", port } });
 *   load.mark("update");
 *   const record = await app.upgrade({ build: "next/main.ts" });
 *   const report = await load.stop();
 *
 *   if (record.outcome !== "committed") throw new Error(record.reason ?? "not committed");
 *   assertNoFailures(report);
 *   assertNothingLost(before, await snapshot(app), { updates: 1 });
 * });
 * ```
 *
 * - {@linkcode startApp} starts a service as a process of its own, asks it over its control socket, and ends it.
 * - {@linkcode startLoad} asks it on a schedule, whatever happens, and accounts for every request.
 * - {@linkcode snapshot} and {@linkcode assertNothingLost} compare what it holds before and after.
 * - {@linkcode descriptors}, {@linkcode children}, {@linkcode residentBytes} and others look at any process through `/proc`.
 * - {@linkcode writeApp} and {@linkcode copyTree} make builds to update to.
 * - {@linkcode waitFor}, {@linkcode freePort} and {@linkcode tempDir} are the small change.
 *
 * Linux only, and the test needs `--allow-all`.
 *
 * @module
 */

export { startApp } from "./app.ts";
export { APP_VARIABLE, heirloomRoot } from "./app_command.ts";
export type {
  AppExit,
  CheckOptions,
  CommandResult,
  StartOptions,
  TestApp,
  UpgradeOptions,
} from "./app_types.ts";
export { assertNoFailures, assertNothingLost } from "./assertions.ts";
export type { NothingLostOptions } from "./assertions.ts";
export { copyTree, writeApp } from "./build.ts";
export type { AppFiles } from "./build.ts";
export { ClientConnection, ConnectionFault } from "./connection.ts";
export type { ConnectTarget, FaultReason } from "./connection.ts";
export { callControl, ControlCallError } from "./control.ts";
export type { ControlCall } from "./control.ts";
export { describeDescriptors, descriptors } from "./descriptors.ts";
export type { Descriptor } from "./descriptors.ts";
export type { HttpAnswer } from "./http_response.ts";
export { startLoad } from "./load.ts";
export type { Load } from "./load.ts";
export type { LoadOptions } from "./load_plan.ts";
export { describeLoad } from "./load_report.ts";
export type {
  LoadFailure,
  LoadFailureReason,
  LoadFigures,
  LoadKind,
  LoadReport,
  LoadWindow,
} from "./load_report.ts";
export {
  attributes,
  children,
  isRunning,
  peakResidentBytes,
  processes,
  processInfo,
  residentBytes,
  sampleResident,
  startTicks,
  threads,
} from "./process.ts";
export type { ProcessInfo, ResidentSampler } from "./process.ts";
export { snapshot } from "./snapshot.ts";
export type { Snapshot, SnapshotSource } from "./snapshot.ts";
export type {
  BuildInfo,
  CheckReport,
  FileInfo,
  ServiceState,
  SessionInfo,
  StateReport,
  StatusReport,
  TokenReport,
  TokenVerdict,
  UpdateOutcome,
  UpdatePhase,
  UpdateRecord,
} from "./types.ts";
export { delay, freePort, tempDir, waitFor } from "./wait.ts";
export type { TempDir, WaitOptions } from "./wait.ts";
