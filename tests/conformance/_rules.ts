/**
 * The rules of deviation: where this library answers otherwise than the kernel, and why.
 *
 * A rule names operations, conditions on the step, and both answers. It never knows which scenario it is in. Three forms:
 * 1. `"ours": "not run"`: the step would do what the kernel refused, so it is not run.
 * 2. `errno` or `ok` on both sides: one works where the other fails, or they fail differently.
 * 3. other members on both sides: both work, and these members differ. A value is what it must be, or one of the words of
 *    {@linkcode WORDS}, such as `"as preserved"`: the value that the file had when it was preserved.
 *
 * Unhappy path: a rule that is not well-formed is an error when the rules are read.
 *
 * @module
 */
import { type Before, CONDITIONS, fileOf } from "./_conditions.ts";
import type { Context } from "./_context.ts";
import { encodeText } from "./_encoding.ts";
import type { FileMemory } from "./_memory.ts";
import type { Answer, Step } from "./_scenario.ts";

/** What one side answers: member by member, a value, several of them, or a word for some. */
export type Pattern = Readonly<Record<string, boolean | string | readonly string[]>>;

/** A rule of `deviations.json`. */
export interface Rule {
  /** Its name, for reports. */
  readonly id: string;
  /** The operations. */
  readonly op: readonly string[];
  /** The conditions, all of which must hold. */
  readonly when: readonly string[];
  /** What the kernel answers. */
  readonly kernel: Pattern;
  /** What the library answers. */
  readonly ours: Pattern | "not run";
  /** Why, in a sentence. */
  readonly why: string;
}

/** One difference: the step, our answer to it, and the member that differs. */
export interface Difference {
  /** The step. */
  readonly step: Step;
  /** What it worked on. */
  readonly context: Context;
  /** The file, before the step was run. */
  readonly before: Before | null;
  /** What was answered here. */
  readonly ours: Answer;
  /** `"errno"` when one side worked and the other did not or they failed differently, or a member that both have. */
  readonly member: string;
}

/** Where the rules are. */
export const RULES_PATH: string = new URL("deviations.json", import.meta.url).pathname;

/** Most rules that are allowed. */
export const MAX_RULES = 12;

/** The members that tell whether a step worked. */
const OUTCOME = ["ok", "errno"];

/**
 * Reads the rules.
 *
 * @param operations the operations that there are
 * @param text the rules; those of the project if absent
 * @throws {TypeError} for a rule that is not well-formed
 */
export function readRules(operations: readonly string[], text = Deno.readTextFileSync(RULES_PATH)): Rule[] {
  const rules: unknown = JSON.parse(text);
  if (!Array.isArray(rules)) throw new TypeError("Cannot read the rules of deviation: not a list");
  const seen = new Set<string>();
  for (const rule of rules as Rule[]) {
    const wrong = faultOf(rule, operations) ?? (seen.has(rule.id) ? "its id is there twice" : null);
    if (wrong !== null) {
      throw new TypeError(`Cannot read rule ${JSON.stringify(rule?.id)} of deviation: ${wrong}`);
    }
    seen.add(rule.id);
  }
  return rules as Rule[];
}

function faultOf(rule: Rule, operations: readonly string[]): string | null {
  if (typeof rule !== "object" || rule === null) return "it is not an object";
  const members = Object.keys(rule).sort().join();
  if (members !== "id,kernel,op,ours,when,why") return `its members are ${members}`;
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(rule.id)) return "its id is not a name in small letters";
  if (!Array.isArray(rule.op) || rule.op.length === 0) return "it has no operations";
  const unknown = rule.op.find((op) => !operations.includes(op));
  if (unknown !== undefined) return `there is no operation "${unknown}"`;
  if (!Array.isArray(rule.when) || rule.when.length === 0) return "it has no conditions";
  const odd = rule.when.find((condition) => !Object.hasOwn(CONDITIONS, condition));
  if (odd !== undefined) return `there is no condition "${odd}"`;
  for (const side of [rule.kernel, rule.ours]) {
    if (side === rule.ours && side === "not run") continue;
    if (typeof side !== "object" || side === null || Object.keys(side).length === 0) {
      return "a side is no pattern";
    }
  }
  if (!/^[A-Z][^.]+\.$/.test(rule.why)) return "its reason is not one sentence";
  return null;
}

/** The rules whose operation and conditions fit a step, which has not been run yet. */
export function rulesFor(rules: readonly Rule[], step: Step, context: Context): Rule[] {
  return rules.filter(({ op, when }) =>
    op.includes(step.op) && when.every((name) => CONDITIONS[name]?.(step, context) === true)
  );
}

/** The rule by which a step is not run, or null. */
export function ruleNotToRun(fitting: readonly Rule[], step: Step): Rule | null {
  return fitting.find(({ ours, kernel }) => ours === "not run" && matchesOutcome(kernel, step.expect)) ??
    null;
}

/**
 * The rule that covers a difference, or null.
 *
 * @param fitting the rules that fit the step
 * @param difference the difference
 */
export function ruleFor(
  fitting: readonly Rule[],
  difference: Difference,
): Rule | null {
  const { step, member, ours } = difference;
  return fitting.find((rule) => {
    if (rule.ours === "not run") return false;
    if (OUTCOME.includes(member)) {
      return matchesOutcome(rule.kernel, step.expect) && matchesOutcome(rule.ours, ours);
    }
    const [kernel, here] = [rule.kernel[member], rule.ours[member]];
    return kernel !== undefined && here !== undefined &&
      matches(kernel, step.expect[member], difference) && matches(here, ours[member], difference);
  }) ?? null;
}

function matchesOutcome(pattern: Pattern, answer: Answer): boolean {
  if (answer.errno !== undefined) {
    return pattern["errno"] !== undefined && matches(pattern["errno"], answer.errno);
  }
  return pattern["ok"] === true;
}

function matches(pattern: boolean | string | readonly string[], value: unknown, where?: Difference): boolean {
  if (typeof pattern !== "string") {
    return typeof pattern === "boolean" ? pattern === value : pattern.some((each) => each === value);
  }
  const word = Object.hasOwn(WORDS, pattern) ? WORDS[pattern] : undefined;
  return word === undefined || where === undefined ? pattern === value : word(value, where);
}

const PAGE = 4096;
const BLOCK = 512;

/** What a pattern can say of a member instead of naming its value. */
const WORDS: Readonly<Record<string, (value: unknown, where: Difference) => boolean>> = {
  "as preserved": (value, where) => {
    const file = memoryOf(where);
    if (file === null) return false;
    const { mode, fl, link, seals } = file;
    const was: Record<string, string> = {
      mode,
      fl,
      link: encodeText(new TextEncoder().encode(link)),
      seals: seals.toString(16),
    };
    return was[where.member] === value;
  },
  "as the kernel keeps them": (value, where) => memoryOf(where)?.kernelSeals.toString(16) === value,
  "more of its pages": (value, { ours, before }) => {
    const most = Math.ceil((before?.size ?? 0) / PAGE) * (PAGE / BLOCK);
    return typeof value === "number" && value > Number(ours["blocks"]) && value <= most &&
      value % (PAGE / BLOCK) === 0;
  },
  "fewer": (value, { step, member }) => Number(value) < Number(step.expect[member]),
  "up to a page before the end": (value, { before }) =>
    before !== null && typeof value === "number" && before.place + value <= before.size &&
    (before.place + value) % PAGE === 0,
  "all of it": (value, { step }) => value === step.args.bytes("data").length,
};

function memoryOf({ step, context }: Difference): FileMemory | null {
  const fd = fileOf(step, context);
  return fd === null ? null : context.memory.of(fd);
}
