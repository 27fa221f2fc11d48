/**
 * Random sequences of operations for the property tests, and the property: the model and the real thing agree.
 *
 * Happy path: {@linkcode checkSequences} plays as many as asked for, two updates deep.
 *
 * Unhappy path: the outcome has the shortest sequence found on which they differ, as TypeScript that can be kept as a test,
 * and the seed that finds it again.
 *
 * @module
 */
import fc from "fast-check";

import type { Fault, Op } from "./model_op_test.ts";
import { Mismatch, play, show } from "./model_run_test.ts";

/** What became of a run. */
export interface Outcome {
  /** The same seed gives the same sequences. */
  readonly seed: number;
  /** How many sequences were played. */
  readonly sequences: number;
  /** How often each answer of each operation was there, such as `retrieve ENOENT`. */
  readonly answers: ReadonlyMap<string, number>;
  /** How long it took. */
  readonly ms: number;
  /** The shrunk counterexample with its reason, or null. */
  readonly failure: string | null;
}

type Weighted<T> = readonly [weight: number, arbitrary: fc.Arbitrary<T>];

const names = pick<string>([5, fc.constantFrom("a", "b")], [1, fc.constant("c")]);
const outgoing = names.map((name) => `out ${name}`);
const incoming = names.map((name) => `in ${name}`);
const tokens = pick<bigint>(
  [8, fc.constantFrom(0n, 1n)],
  [4, fc.constant(2n)],
  [1, fc.constantFrom((1n << 64n) - 1n, -1n, 1n << 64n)],
);
const fds = pick<string>(
  [9, fc.constantFrom("0", "1", "2", "3", "4", "5")],
  [3, fc.constantFrom("0 again", "2 again", "3 again", "5 again")],
  [1, fc.constantFrom("closed", "path", "null")],
);
const handler = fc.constantFrom("inode", "open");
const flb = fc.constantFrom("x", "y", "z");

const create = of(["create"], {
  name: pick<string>([9, names], [1, fc.constantFrom("", "a\0b", "n".repeat(64))]),
});
const take = of(["take"], { name: names });
const preserve = of(["preserve"], { session: mostly(outgoing), fd: fds, token: tokens });
const retrieve = of(["retrieve"], { session: mostly(incoming), token: tokens });
const finish = of(["finish"], { session: mostly(incoming) });
const close = of(["close"], { session: pick([1, outgoing], [1, incoming]) });

const created: Op[] = [{ op: "create", name: "a" }, { op: "create", name: "b" }];
const taken: Op[] = [{ op: "take", name: "a" }, { op: "take", name: "b" }];

/** What can be done at any moment; taking back only where something may have arrived. */
function operation(back: number): fc.Arbitrary<Op> {
  return pick<Op>(
    [4, starving(create)],
    [4 * back, starving(take)],
    [24, failing(starving(preserve), "preserve", "x.preserve", "y.preserve", "z.preserve")],
    [4, of(["unpreserve"], { session: mostly(outgoing), token: tokens })],
    [18 * back + 1, failing(starving(retrieve), "retrieve")],
    [2 * back + 1, failing(finish, "canFinish", "x.retrieve", "y.retrieve")],
    [4, failing(close, "canFinish", "x.retrieve", "y.retrieve")],
    [1, of(["open"], {})],
    [1, of(["shut"], {})],
    [1, of(["commit"], {})],
    [1, fault(["freeze"]).map((chosen): Op => ({ op: "update", fault: chosen }))],
    [1, of(["register", "unregister"], { handler })],
    [1, of(["link", "unlink"], { handler, flb })],
    [3, of(["getOutgoing", "putOutgoing"], { flb })],
    [4 * back, failing(of(["getIncoming", "putIncoming"], { flb }), "x.retrieve", "y.retrieve")],
  );
}

/**
 * One operation; or many files at once; or some while an update freezes that comes to nothing; or another image, or the
 * previous one again; or a handler that goes and comes back.
 */
function stretch(ops: fc.Arbitrary<Op>): fc.Arbitrary<Op[]> {
  const frozen = fc.array(ops, { maxLength: 4 });
  return pick<Op[]>(
    [30, ops.map((op) => [op])],
    [3, fc.array(preserve, { minLength: 2, maxLength: 6 })],
    [1, frozen.map((inner) => [{ op: "freeze" }, ...inner, { op: "thaw" }])],
    [1, fault(["freeze"]).map((chosen) => [{ op: "freeze", fault: chosen }, { op: "thaw" }])],
    [1, of(["update", "back"], {}).map((op) => [op, { op: "open" }, ...taken, ...created])],
    [
      1,
      fc.tuple(handler, fc.uniqueArray(flb)).map(([name, flbs]) => [
        { op: "unregister", handler: name },
        { op: "register", handler: name },
        ...flbs.map((each): Op => ({ op: "link", handler: name, flb: each })),
      ]),
    ],
  );
}

/** The life of one image: it opens the device, mostly makes and takes sessions, and goes on at random. */
function generation(start: readonly Op[], back: number): fc.Arbitrary<Op[]> {
  const begin = fc.tuple(...start.map((op) => fc.option(fc.constant(op), { freq: 8 })));
  const rest = fc.array(stretch(operation(back)), { maxLength: 26, size: "max" });
  return fc.tuple(begin, rest).map(([ops, stretches]) => [
    { op: "open" },
    ...ops.filter((op) => op !== null),
    ...stretches.flat(),
  ]);
}

const later = fc.option(generation([...taken, ...created], 1), { freq: 9 })
  .map((ops): Op[] => ops === null ? [] : [{ op: "update" }, ...ops]);

/** A whole life: mostly with two updates. */
const sequence: fc.Arbitrary<Op[]> = fc.tuple(generation(created, 0), later, later).map((all) => all.flat());

/**
 * Plays random sequences.
 *
 * @param sequences how many
 * @param seed gives the same sequences again
 */
export function checkSequences(sequences: number, seed: number): Outcome {
  const answers = new Map<string, number>();
  const began = performance.now();
  const property = fc.property(sequence, (ops) => play(ops, answers));
  const result = fc.check(property, { numRuns: sequences, seed, verbose: fc.VerbosityLevel.None });
  const ms = performance.now() - began;
  return { seed, sequences: result.numRuns, answers, ms, failure: describe(result) };
}

/** A seed that nobody chose. */
export function randomSeed(): number {
  return crypto.getRandomValues(new Int32Array(1))[0] as number;
}

function describe(result: fc.RunDetails<[Op[]]>): string | null {
  if (!result.failed) return null;
  const { counterexample, errorInstance, seed, counterexamplePath, numShrinks } = result;
  const ops = counterexample?.[0] ?? [];
  const reason = errorInstance instanceof Mismatch
    ? errorInstance.message
    : errorInstance instanceof Error
    ? errorInstance.stack
    : String(errorInstance);
  const lines = ops.map((op) => `  ${show(op)},`);
  const found = `seed ${seed}, path "${counterexamplePath}", shrunk ${numShrinks} times`;
  return [`${reason}`, `${found}:`, "play([", ...lines, "]);"].join("\n");
}

function pick<T>(...choices: Weighted<T>[]): fc.Arbitrary<T> {
  return fc.oneof(...choices.map(([weight, arbitrary]) => ({ weight, arbitrary })));
}

/** Mostly the right kind of session, sometimes the other one. */
function mostly(right: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return pick([10, right], [1, pick([1, outgoing], [1, incoming])]);
}

/** Operations of these kinds with these members. */
function of(ops: readonly Op["op"][], members: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Op> {
  return fc.record({ op: fc.constantFrom(...ops), ...members }, { noNullPrototype: true }) as fc.Arbitrary<
    Op
  >;
}

/** Now and then there is no free descriptor. */
function starving(ops: fc.Arbitrary<Op>): fc.Arbitrary<Op> {
  return fc.tuple(ops, fc.nat(15)).map(([op, n]): Op => n < 15 ? op : { ...op, starved: true });
}

/** Now and then one of these callbacks fails. */
function failing(ops: fc.Arbitrary<Op>, ...calls: string[]): fc.Arbitrary<Op> {
  return fc.tuple(ops, fc.nat(4), fault(calls)).map(([op, n, chosen]): Op =>
    n < 4 ? op : { ...op, fault: chosen }
  );
}

/** One of these callbacks fails, if it is called often enough. */
function fault(calls: readonly string[]): fc.Arbitrary<Fault> {
  return fc.tuple(
    fc.constantFrom(...calls),
    pick([4, fc.constant(0)], [3, fc.nat(3)]),
    fc.constantFrom("EAGAIN", "EIO"),
  );
}
