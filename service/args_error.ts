/**
 * Wrong usage of the command line, and what the user probably meant.
 *
 * Happy path: nobody throws one.
 *
 * Unhappy path: {@linkcode UsageError} carries one sentence: what is wrong, what is allowed, and the nearest word
 * that exists. `main.ts` prints it on stderr and exits 2.
 *
 * @module
 */

/** The command line is wrong; nothing was done. */
export class UsageError extends Error {
  /** Always `UsageError`. */
  override readonly name = "UsageError";
}

/** A word is taken for a slip of another when there is at most one edit between them per so many characters. */
const CHARACTERS_PER_EDIT = 3;

/**
 * Finds the word that somebody probably meant.
 *
 * @param word what was typed.
 * @param candidates what exists.
 * @returns the nearest candidate, or undefined when none is near: one edit away per three characters (insert, delete,
 * replace, swap of neighbours), or begun and not finished.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: { candidate: string; distance: number } | undefined;
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate);
    const limit = Math.ceil(Math.max(word.length, candidate.length) / CHARACTERS_PER_EDIT);
    if (distance <= limit && (best === undefined || distance < best.distance)) best = { candidate, distance };
  }
  if (best !== undefined) return best.candidate;
  return word.length >= 2 ? candidates.find((candidate) => candidate.startsWith(word)) : undefined;
}

/**
 * The second half of a message about an unknown word.
 *
 * @param word what was typed.
 * @param candidates what exists.
 * @returns a guess when there is one, and what exists.
 */
export function suggestion(word: string, candidates: readonly string[]): string {
  const near = nearest(word, candidates);
  const list = `allowed: ${candidates.join(", ")}`;
  return near === undefined ? list : `did you mean ${near}? (${list})`;
}

/** Optimal string alignment: Levenshtein's distance with swaps of neighbours. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, at(beforeLast, j - 2) + 1);
      }
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return at(last, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}
