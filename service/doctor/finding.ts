/**
 * What `doctor` finds: one sentence about one thing, how bad it is, and what to do.
 *
 * @module
 */

/**
 * How bad it is: `ok`; a `note` is worth knowing; a `warning` loses something when something else goes wrong as well; a
 * `problem` keeps updates from working, or loses something in one.
 */
export type Level = "ok" | "note" | "warning" | "problem";

/** One thing that was looked at. */
export interface Finding {
  /** What was looked at: a name that stays. */
  readonly id: string;
  /** How bad it is. */
  readonly level: Level;
  /** What was found. */
  readonly what: string;
  /** What to do about it; null where nothing is to be done. */
  readonly advice: string | null;
}

/** All is well. */
export function ok(id: string, what: string): Finding {
  return { id, level: "ok", what, advice: null };
}

/** Something worth knowing. */
export function note(id: string, what: string, advice: string | null = null): Finding {
  return { id, level: "note", what, advice };
}

/** Something that loses something when something else goes wrong as well. */
export function warning(id: string, what: string, advice: string): Finding {
  return { id, level: "warning", what, advice };
}

/** Something that keeps updates from working. */
export function problem(id: string, what: string, advice: string): Finding {
  return { id, level: "problem", what, advice };
}
