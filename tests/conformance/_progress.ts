/**
 * The progress of a scenario: a file of JSON lines in which each image goes on where the one before ended.
 *
 * Happy path: `results` for each step, `jump` before a kexec, `end` after the last step. The next image reads all of it.
 *
 * @module
 */
import type { FileMemory } from "./_memory.ts";
import type { StepResult } from "./_result.ts";

/** What an image leaves to the next one. */
export interface Jump {
  /** The step that is the kexec. */
  step: number;
  /** How many kexecs there were, this one included. */
  kexecs: number;
  /** Is live update off in the next image? */
  off: boolean;
  /** Was it ever? */
  wasOff: boolean;
  /** What is remembered of files. */
  memory: Record<string, FileMemory>;
}

/** One line. */
type Line = { result: StepResult } | { jump: Jump } | { end: true };

/** What was written so far. */
export interface Written {
  /** The results, in order. */
  results: StepResult[];
  /** The last kexec, or null. */
  jump: Jump | null;
  /** Did the scenario come to its end? */
  ended: boolean;
}

/** Adds a line. */
export function append(path: string, line: Line): void {
  Deno.writeTextFileSync(path, `${JSON.stringify(line)}\n`, { append: true });
}

/** Reads what was written. */
export function readProgress(path: string): Written {
  const written: Written = { results: [], jump: null, ended: false };
  for (const text of Deno.readTextFileSync(path).split("\n")) {
    if (text === "") continue;
    const line = JSON.parse(text) as Line;
    if ("result" in line) written.results.push(line.result);
    else if ("jump" in line) written.jump = line.jump;
    else written.ended = true;
  }
  return written;
}
