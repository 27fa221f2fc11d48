/**
 * What a build can do wrong before it is ready: each kind as a build that does it only where it takes over for real, which
 * is rolled back, and as one that does it in the check as well, which is refused.
 *
 * @module
 */
import { type AppParts, onlyForReal, opensInCheck, READY_IN_CHECK } from "./_fixtures.ts";

/** A kind of failure. */
export interface Failure {
  /** What the build does. */
  readonly name: string;
  /** The build that does it only for real. */
  readonly late: AppParts | string;
  /** What the record of the rollback must say. */
  readonly undone: RegExp;
  /** The build that does it always. */
  readonly early: AppParts | string;
  /** What the record of the refusal must say. */
  readonly refused: RegExp;
}

/** Where in the build the code stands: is it all of it, or a part? */
type Place = "module" | "use" | "ready";

type Row = readonly [name: string, place: Place, code: string, undone: RegExp, refused: RegExp];

/** The first build has what some of the failing ones stumble over. */
export const FIRST: AppParts = {
  use: `live.state("extra", { version: 3, save: () => 3, load: () => {} });
await live.segment("extra-memory", { size: 10 });`,
};

const ROWS: readonly Row[] = [
  [
    "throws at load",
    "module",
    'throw new Error("no luck today");',
    /threw.*no luck today/,
    /ended before ready\(\) \(exit status 1\): .*no luck today/,
  ],
  [
    "throws after open",
    "use",
    'throw new Error("half way");',
    /threw.*half way/,
    /ended before ready\(\) \(exit status 1\): .*half way/,
  ],
  [
    "throws when it holds everything",
    "ready",
    'throw new Error("nearly");',
    /threw.*nearly/,
    /ended before ready\(\) \(exit status 1\): .*nearly/,
  ],
  [
    "exits at load",
    "module",
    'console.error("I am going"); Deno.exit(7);',
    /ended before ready\(\) \(exit status 7\)/,
    /ended before ready\(\) \(exit status 7\): I am going$/,
  ],
  [
    "exits with 0 before ready",
    "ready",
    "Deno.exit(0);",
    /ended before ready\(\) \(exit status 0\)/,
    /ended before ready\(\) \(exit status 0\)$/,
  ],
  [
    "runs off its end",
    "module",
    "export const nothing = 1;",
    /ended before ready\(\)/,
    /ended before ready\(\) \(exit status 0\)$/,
  ],
  [
    "serves, but never says that it is ready",
    "ready",
    "",
    /ended before ready\(\)/,
    /ended before ready\(\) \(exit status 0\)$/,
  ],
  [
    "leaves a rejection unhandled",
    "ready",
    'Promise.reject(new TypeError("nobody cares"));',
    /rejection unhandled.*nobody cares/,
    /ended before ready\(\) \(exit status 1\): .*nobody cares/,
  ],
  [
    "throws in a timer",
    "ready",
    'setTimeout(() => { throw new Error("late"); }, 0);',
    /threw.*late/,
    /ended before ready\(\) \(exit status 1\): .*late/,
  ],
  [
    "abandons",
    "ready",
    'live.abandon("the database is away");',
    /abandoned: the database is away/,
    /in the check: it abandoned: the database is away$/,
  ],
  [
    "misses a module that it imports while it runs",
    "ready",
    'await import("./miss" + "ing.ts");',
    /missing\.ts/,
    /ended before ready\(\) \(exit status 1\): .*missing\.ts/,
  ],
  [
    "cannot load a state",
    "use",
    'live.state("extra", { version: 3, save: () => 0, load: () => { throw new Error("cannot read that"); } });',
    /cannot read that/,
    /in the check: cannot read that$/,
  ],
  [
    "does not read the version of a state",
    "use",
    'live.state("extra", { version: 9, reads: [8, 9], save: () => 0, load: () => {} });',
    /state "extra": it has version 3, this build reads 8 to 9/,
    /in the check: .*state "extra": it has version 3, this build reads 8 to 9$/,
  ],
  [
    "wants a name as something else",
    "use",
    'await live.file("extra-memory", "app.log");',
    /"extra-memory" as a file: it was handed over as a segment/,
    /ended before ready\(\) \(exit status 1\): .*"extra-memory" as a file: it was handed over as a segment/,
  ],
];

/** All kinds. */
export const FAILURES: readonly Failure[] = ROWS.map(([name, place, code, undone, refused]) => ({
  name,
  late: place === "module"
    ? opensInCheck(code)
    : place === "use"
    ? { use: onlyForReal(code) }
    : { ready: `${READY_IN_CHECK}${code}` },
  undone,
  early: place === "module" ? code : { [place]: code },
  refused,
}));
