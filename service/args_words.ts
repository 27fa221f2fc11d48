/**
 * Splits one text into words as a POSIX shell does (XCU 2.2, quoting): blanks separate words, single quotes keep
 * everything, double quotes keep blanks, a backslash keeps the next character. Nothing is expanded: no variables, no
 * patterns, no commands.
 *
 * Happy path: `-A --env-file='my env'` becomes `-A` and `--env-file=my env`.
 *
 * Unhappy paths: an open quote, or a backslash with nothing behind it, is a {@linkcode UsageError}; a guess where it
 * ends would change what is run.
 *
 * @module
 */

import { UsageError } from "./args_error.ts";

const BLANK = " \t\n";

/** What a backslash escapes between double quotes; before anything else it stands for itself. */
const ESCAPED_IN_DOUBLE = '$`"\\';

/**
 * Splits a text into words.
 *
 * @param flag the flag the text comes from, for the message.
 * @param text the text.
 * @returns the words; none for a blank text.
 * @throws {UsageError} when a quote is open or a backslash is the last character.
 */
export function splitWords(flag: string, text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    if (char === "\\" && quote !== "'") {
      const next = text.charAt(++i);
      if (next === "") throw unbalanced(flag, text, "a backslash is the last character");
      if (next === "\n") continue;
      word = (word ?? "") + (quote === "" || ESCAPED_IN_DOUBLE.includes(next) ? next : char + next);
    } else if (quote !== "") {
      if (char === quote) quote = "";
      else word += char;
    } else if (char === "'" || char === '"') {
      quote = char;
      // A quote makes a word even when there is nothing in it.
      word ??= "";
    } else if (BLANK.includes(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? "") + char;
    }
  }
  if (quote !== "") throw unbalanced(flag, text, `the quote ${quote} is not closed`);
  if (word !== undefined) words.push(word);
  return words;
}

function unbalanced(flag: string, text: string, state: string): UsageError {
  const rule = "words, quoted as for a shell: every quote closed, something behind every backslash";
  return new UsageError(
    `Cannot split ${flag} ${JSON.stringify(text)} into words: ${state}; allowed: ${rule}`,
  );
}
