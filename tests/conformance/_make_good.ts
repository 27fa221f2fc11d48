/**
 * What is done after a step that deviated by a rule, so that later steps find what they would find in the kernel.
 *
 * Happy path: {@linkcode makeGood} undoes what the kernel refused, or does in another way what it did.
 *
 * Unhappy path: where that is not possible, the file is remembered as diverged, and later differences of that file count
 * to the same rule.
 *
 * @module
 */
import { OwnedFd, pwrite, seek, truncate } from "../../sys/mod.ts";
import { type Before, fileOf, isReadOnly } from "./_conditions.ts";
import type { Context } from "./_context.ts";
import { reopened } from "./_file_operations.ts";
import { create, retrieveSession, tokenOf } from "./_luo_operations.ts";
import { OPERATIONS } from "./_operations.ts";
import type { Answer, Step } from "./_scenario.ts";
import { Shared, World } from "./_world.ts";

type Repair = (step: Step, context: Context, before: Before | null) => Answer | void;

const REPAIRS: Readonly<Record<string, Repair>> = {
  "write-across-the-end"(step, context, before) {
    const fd = fileOf(step, context);
    if (fd === null || before === null) return;
    const written = Number(step.expect["n"]);
    truncate(fd, before.size);
    pwrite(fd, before.tail.subarray(written), before.place + written);
    if (!step.args.has("at")) seek(fd, before.place + written, "set");
  },
  "no-largest-file": ({ args }, { world }) => world.session(args.text("session")).unpreserveFd(tokenOf(args)),
  "names-are-text": ({ op, args }, context) =>
    op === "create" ? create(context, args, true) : retrieveSession(context, args, true),
  "same-file-refusals"(step, context) {
    const fd = fileOf(step, context);
    if (fd === null) return;
    if (isReadOnly(fd)) return throughAnother(fd, step, context);
    const file = context.memory.of(fd);
    if (file !== null) file.diverged = "same-file-refusals";
  },
};

/**
 * Makes a deviation good.
 *
 * @param rule the id of the rule
 * @returns the answer to what was done instead, which must be the kernel's; null where nothing was asked again
 */
export function makeGood(rule: string, step: Step, context: Context, before: Before | null): Answer | null {
  const repair = REPAIRS[rule];
  if (repair === undefined) return null;
  const answer = repair(step, context, before);
  const isAsked = rule === "names-are-text";
  return answer ?? (isAsked ? {} : null);
}

/** Runs a step once more, through a descriptor of the same file that can be written to. */
function throughAnother(fd: number, step: Step, context: Context): Answer | void {
  using other = reopened(fd);
  seek(other.fd, seek(fd, 0, "cur"), "set");
  const world = new World();
  const own = OwnedFd.adopt(other.release());
  world.bind(step.args.text("fd"), new Shared({ kind: "file", fd: own, named: false }));
  const answer = OPERATIONS[step.op]?.({ ...context, world }, step.args);
  seek(fd, seek(own.fd, 0, "cur"), "set");
  for (const [name, mapping] of world.mapped) context.world.mapped.set(name, mapping);
  world.end();
  return answer ?? {};
}
