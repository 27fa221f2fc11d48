/**
 * The operations of the property tests as plain data, so that a counterexample can be printed, shrunk, and kept as a named
 * test; and how the model says that one is refused.
 *
 * @module
 */

/**
 * The nth call of a callback (from 0 on) fails with this errno; `EIO` stands for an error that has none. A `canFinish`
 * that fails says no.
 */
export type Fault = readonly [call: string, nth: number, code: string];

/**
 * One operation. A session is `out NAME` or `in NAME`: the one that was created or taken under that name last. A descriptor
 * is a file of the pool (`0` to `5`), one of a second opening of it (`0 again`), or one that LUO cannot take. A `starved`
 * operation finds no free descriptor.
 */
export type Op =
  & (
    | { op: "open" | "shut" | "freeze" | "thaw" | "update" | "back" | "commit" }
    | { op: "create" | "take"; name: string }
    | { op: "preserve"; session: string; fd: string; token: bigint }
    | { op: "unpreserve" | "retrieve"; session: string; token: bigint }
    | { op: "finish" | "close"; session: string }
    | { op: "register" | "unregister"; handler: string }
    | { op: "link" | "unlink"; handler: string; flb: string }
    | { op: "getIncoming" | "putIncoming" | "getOutgoing" | "putOutgoing"; flb: string }
  )
  & { fault?: Fault; starved?: boolean };

/** What the handlers are like: which files they accept, and whether they have the optional callbacks and `getId`. */
export const HANDLERS: Readonly<Record<string, { accepts: string; full: boolean; flbs: string[] }>> = {
  inode: { accepts: "0134", full: true, flbs: ["x", "y", "z"] },
  open: { accepts: "235", full: false, flbs: ["y"] },
};

/**
 * Which file needs which other one, if both are in one session: freezing it finds the token of the other, retrieving it
 * retrieves the other. All three at once need each other, which cannot work.
 */
export const NEEDS: Readonly<Record<string, string>> = { "0": "1", "1": "4", "4": "0" };

/** Tokens from here on are too large for the records of the handlers, which then need nothing. */
export const LARGE_TOKEN = 1n << 30n;

/** A refused operation. */
class Refused extends Error {}

/** Ends an operation of the model with an errno. */
export function fail(code: string): never {
  throw new Refused(code);
}

/** The errno with which {@linkcode fail} ended an operation; whatever else was thrown is a fault of the model. */
export function codeOfRefusal(error: unknown): string {
  if (error instanceof Refused) return error.message;
  throw error;
}
