/**
 * Faults from the inside, by `HEIRLOOM_FAULT`: where no build and no signal reaches. Each has a service of its own, whose
 * second update is hit; the first one is that with which every service begins.
 *
 * @module
 */
import type { Need, Row, Verdict } from "./_types.ts";

/** Seconds until the deadline of an update that hangs. */
const HANGING_S = 3;

/** Faults after which only time tells. */
const HANGS = /^(loop|stop)$/;

function injected(phase: string, fault: string, expect: readonly Verdict[], ...needs: Need[]): Row {
  return {
    group: "injected",
    name: fault,
    phase,
    needs: ["fault", ...needs],
    service: { env: { HEIRLOOM_FAULT: `${phase}:${fault}@2` } },
    expect,
    ...(HANGS.test(fault) ? { timeoutS: HANGING_S } : {}),
    selected: phase === "booting" && fault === "throw",
  };
}

/** The phases of the old build in which an exception refuses the update. */
const OLD = ["requested", "loading", "guarding", "quiescing", "preserving", "freezing", "jumping"];

/** The phases of the new build. */
const NEW = ["booting", "retrieving", "probation"];

/** Faults from the inside. */
export const INJECTED_ROWS: readonly Row[] = [
  ...OLD.map((phase) => injected(phase, "throw", ["refused"])),
  injected("jumping", "e2big", ["refused"]),
  // What is damaged or missing is found before the jump or after it; a copy of everything is with the guardian.
  ...["segment", "journal", "close", "replace"].map((fault) =>
    injected(
      "jumping",
      fault,
      fault === "journal" ? ["committed", "refused"] : ["refused", "rolled-back", "recovered"],
      "guardian",
    )
  ),
  ...["exit", "kill", "segv", "stop", "loop"].map((fault) =>
    injected("jumping", fault, ["recovered"], "guardian")
  ),
  ...NEW.flatMap((phase) => [
    ...["throw", "exit", "exit0"].map((fault) => injected(phase, fault, ["rolled-back"])),
    injected(phase, "emfile", ["rolled-back", "recovered", "committed"], "guardian"),
    ...["kill", "segv", "abort", "stop", "loop"].map((fault) =>
      injected(phase, fault, ["recovered"], "guardian")
    ),
  ]),
];
