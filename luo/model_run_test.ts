/**
 * Plays a sequence of operations on the model and on the real thing, and compares after each of them what was answered, what
 * was called, what can be seen, and how many descriptors are open. In the end everything is closed, and nothing is left.
 *
 * Happy path: {@linkcode play} returns.
 *
 * Unhappy path: a {@linkcode Mismatch} names the operation and shows both sides.
 *
 * @module
 */
import { Model } from "./model_kit_test.ts";
import type { Op } from "./model_op_test.ts";
import { Real } from "./model_real_test.ts";

/** The model and the real thing do not agree. */
export class Mismatch extends Error {
  override readonly name = "Mismatch";
}

/**
 * Plays a sequence.
 *
 * @param ops the operations, from a cold start on
 * @param answers counts how often each answer was given
 * @throws {Mismatch} at the first difference
 */
export function play(ops: readonly Op[], answers: Map<string, number> = new Map()): void {
  const { error: speak } = console;
  // An FLB that cannot be taken back says so on stderr; here that is asked for.
  console.error = () => {};
  try {
    using real = new Real();
    const model = new Model();
    for (const [index, op] of ops.entries()) {
      const answer = `${op.op} ${step(model, real, op, `operation ${index}`).split(" ")[0]}`;
      answers.set(answer, (answers.get(answer) ?? 0) + 1);
    }
    for (const op of model.rest()) step(model, real, op, "the end");
    compare("what is left", real.alive(), model.alive());
  } finally {
    console.error = speak;
  }
}

function step(model: Model, real: Real, op: Op, where: string): string {
  const at = `${where}: ${show(op)}`;
  const expected = model.apply(op);
  let found: typeof expected;
  try {
    found = real.apply(op);
  } catch (error) {
    throw new Mismatch(`${at}: throws what is no LuoError: ${error}`, { cause: error });
  }
  compare(`${at}: the answer`, found.answer, expected.answer);
  compare(`${at}: the calls`, found.calls, expected.calls);
  compare(`${at}: the view`, real.view(), model.view());
  compare(`${at}: what must never happen`, real.violations(), []);
  // Counting is the dearest part, and what nobody tried opens nothing.
  if (found.answer === "none" || real.descriptors() === model.descriptors()) return found.answer;
  // The runtime may have opened something of its own in between; what counts is memory.
  const extra = real.extra();
  if (extra.length !== model.descriptors()) {
    throw new Mismatch(
      `${at}: ${extra.length} descriptors are open, the model has ${model.descriptors()}: ${extra}`,
    );
  }
  return found.answer;
}

function compare(what: string, found: unknown, expected: unknown): void {
  const [left, right] = [found, expected].map((side) => JSON.stringify(side));
  if (left !== right) throw new Mismatch(`${what} is ${left}, the model says ${right}`);
}

/** An operation as TypeScript has it. */
export function show(op: Op): string {
  const members = Object.entries(op).map(([name, value]) =>
    `${name}: ${typeof value === "bigint" ? `${value}n` : JSON.stringify(value)}`
  );
  return `{ ${members.join(", ")} }`;
}
