/**
 * One step: is it skipped, not run, equal, or different, and is there a rule for it?
 *
 * Happy path: {@linkcode evaluate} gives a result, whatever happens; only faults of the runner itself are thrown.
 *
 * @module
 */
import { type Before, fileOf, lookAt } from "./_conditions.ts";
import type { Context } from "./_context.ts";
import { decodeText } from "./_encoding.ts";
import { codeOf } from "./_errors.ts";
import { makeGood } from "./_make_good.ts";
import { OPERATIONS } from "./_operations.ts";
import type { StepResult } from "./_result.ts";
import { type Rule, ruleFor, ruleNotToRun, rulesFor } from "./_rules.ts";
import { type Answer, ScenarioError, type Step } from "./_scenario.ts";
import { isCompared, skipOf } from "./_skips.ts";

/** The only other process that a step can run in. */
const CHILD = "child-that-exits";

/** Members that are written as %xx. */
const ENCODED = ["data", "link", "name"];

/**
 * Runs a step and holds the answer against the kernel's.
 *
 * @param step the step
 * @param at its place in the scenario
 * @param context what it works on
 * @param rules the rules of deviation
 */
export function evaluate(step: Step, at: number, context: Context, rules: readonly Rule[]): StepResult {
  const result = { step: at, op: step.op };
  const failed = (detail: string): StepResult => ({
    ...result,
    outcome: "failed",
    detail: describe(step, detail),
  });
  if (step.process !== null && step.process !== CHILD) {
    return failed(`there is no process "${step.process}"`);
  }
  // A forked child has everything that is open, and closes only its own references.
  const own = step.process === null ? context : { ...context, world: context.world.fork() };
  try {
    const kind = skipOf(step, own.world);
    if (kind !== null) return { ...result, outcome: "skipped", kind };
    const operation = Object.hasOwn(OPERATIONS, step.op) ? OPERATIONS[step.op] : undefined;
    if (operation === undefined) return failed("unknown operation");
    const fitting = rulesFor(rules, step, own);
    const notRun = ruleNotToRun(fitting, step);
    if (notRun !== null) return { ...result, outcome: "deviation", rules: [notRun.id] };

    const before = lookAt(step, own);
    const ours = answerTo(() => operation(own, step.args));
    const found = explain(step, ours, { context: own, before, fitting });
    if (typeof found === "string") return failed(found);
    for (const id of found) {
      const again = answerTo(() => makeGood(id, step, own, before));
      const wrong = again.ok === undefined && again.errno === undefined
        ? null
        : explain(step, again, { context: own, before, fitting: [] });
      if (typeof wrong === "string") {
        return failed(`by rule "${id}" it was done in another way, and that went wrong: ${wrong}`);
      }
    }
    return found.length === 0
      ? { ...result, outcome: "equal" }
      : { ...result, outcome: "deviation", rules: found };
  } catch (error) {
    if (error instanceof ScenarioError) return failed(error.message);
    return failed(error instanceof Error ? error.stack ?? error.message : String(error));
  } finally {
    if (own !== context) own.world.end();
  }
}

/** Everything that differs is covered by rules, whose ids are returned; else a sentence says what is not. */
function explain(
  step: Step,
  ours: Answer,
  { context, before, fitting }: { context: Context; before: Before | null; fitting: readonly Rule[] },
): string[] | string {
  const found = new Set<string>();
  const fd = fileOf(step, context);
  const diverged = fd === null ? null : context.memory.of(fd)?.diverged ?? null;
  for (const member of differences(step, ours)) {
    const id = ruleFor(fitting, { step, context, before, member, ours })?.id ?? diverged;
    if (id === null) {
      return member === "errno"
        ? `kernel ${outcomeOf(step.expect)}, here ${outcomeOf(ours)}`
        : `kernel ${member} ${JSON.stringify(step.expect[member])}, here ${JSON.stringify(ours[member])}`;
    }
    found.add(id);
  }
  return [...found];
}

/** The members that differ; only `"errno"` when one side worked and the other did not. */
function differences({ op, expect }: Step, ours: Answer): string[] {
  const different = expect.errno !== ours.errno ? ["errno"] : [];
  if (different.length > 0 && (expect.errno === undefined || ours.errno === undefined)) return different;
  const members = Object.keys(expect).filter((member) => member !== "ok" && member !== "errno");
  return [
    ...different,
    ...members.filter((member) => isCompared(op, member) && !isSame(member, expect[member], ours[member])),
  ];
}

function isSame(member: string, kernel: unknown, ours: unknown): boolean {
  if (kernel === ours) return true;
  if (!ENCODED.includes(member) || typeof kernel !== "string" || typeof ours !== "string") return false;
  const [a, b] = [decodeText(kernel), decodeText(ours)];
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

/** What a call answers: its members with `ok`, or its error. */
function answerTo(run: () => Answer | void | null): Answer {
  try {
    const members = run();
    if (members === null) return {};
    return members?.errno === undefined ? { ok: true, ...members } : members;
  } catch (error) {
    return { errno: codeOf(error) };
  }
}

/** `ok`, or the error. */
export function outcomeOf(answer: Answer): string {
  return answer.errno ?? "ok";
}

/** A step in words, with what happened to it. */
export function describe({ op, args, process }: Step, detail: string): string {
  const where = process === null ? "" : ` in ${process}`;
  return `${op} ${JSON.stringify(args)}${where}: ${detail}`;
}
