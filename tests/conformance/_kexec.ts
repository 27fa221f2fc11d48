/**
 * The kexec of a scenario: a real re-exec of the process that runs it.
 *
 * Happy path: {@linkcode kexec} does not come back; the next image finds with {@linkcode arrived} that the step worked.
 *
 * Unhappy paths: `reboot()` throws, and the step has its error; the next image fails, and the one before is started again.
 *
 * @module
 */
import { reboot } from "../../mod.ts";
import { takeover } from "../../live/takeover.ts";
import type { Context } from "./_context.ts";
import { codeOf } from "./_errors.ts";
import { describe, outcomeOf } from "./_evaluate.ts";
import { append, type Jump } from "./_progress.ts";
import type { StepResult } from "./_result.ts";
import type { Scenario, Step } from "./_scenario.ts";

/** Jumps to the next image, and goes on only if that did not work. */
export async function kexec(step: Step, at: number, context: Context, progress: string): Promise<StepResult> {
  const { memory, kexecs } = context;
  const off = switchOf(step) ?? context.off;
  const jump = { step: at, kexecs: kexecs + 1, off, wasOff: context.wasOff || off, memory: memory.toJSON() };
  if (step.process !== null) return failed(step, at, "a kexec takes all processes along");
  append(progress, { jump });
  try {
    return await reboot();
  } catch (error) {
    const errno = codeOf(error);
    if (step.expect.errno === errno) return { step: at, op: step.op, outcome: "equal" };
    const message = error instanceof Error ? error.message : errno;
    return failed(step, at, `kernel ${outcomeOf(step.expect)}, here ${errno}: ${message}`);
  }
}

/** What came of the kexec that began this image. */
export function arrived(step: Step, jump: Jump): StepResult {
  const role = takeover.incoming?.role ?? "nothing";
  if (role !== "update") {
    return failed(step, jump.step, `the next image failed, and the one before came back (${role})`);
  }
  if (step.expect.errno !== undefined) {
    return failed(step, jump.step, `kernel ${step.expect.errno}, here ok`);
  }
  return { step: jump.step, op: step.op, outcome: "equal" };
}

/** Does the scenario begin in a kernel without live update? Its first look at the device says so. */
export function startsOff({ steps }: Scenario): boolean {
  const kexecAt = steps.findIndex(({ op }) => op === "kexec");
  const before = kexecAt < 0 ? steps : steps.slice(0, kexecAt);
  const look = before.find(({ op }) => op === "state" || op === "open_dev");
  return look?.op === "state" ? look.expect["dev"] === 0 : look?.expect.errno === "ENOENT";
}

/** What the next kernel is told about live update, or null for nothing; what it was told before stays. */
function switchOf({ args }: Step): boolean | null {
  if (!args.has("cmdline")) return null;
  let off: boolean | null = null;
  for (const word of args.text("cmdline").split(/[\s,]+/)) {
    const [, action = "add", name, value = "on"] =
      /^(?:(drop|add|set):)?(liveupdate|kho)(?:=(.*))?$/.exec(word) ?? [];
    if (name === undefined) continue;
    off = action === "drop" || ["0", "off", "n", "no", "false"].includes(value);
  }
  return off;
}

function failed(step: Step, at: number, detail: string): StepResult {
  return { step: at, op: step.op, outcome: "failed", detail: describe(step, detail) };
}
