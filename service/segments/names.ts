/**
 * The names of segments: 1 to 63 bytes of `[A-Za-z0-9._-]`, the first not `.` and not `-`. So a name is the same
 * in a URL, in a file system, on a command line and in a LUO session, and never needs quoting.
 *
 * Happy path: {@linkcode parseSegmentName} gives the name back.
 *
 * Unhappy path: anything else is a 400, a percent sign included: what has to be encoded is no name, and what need
 * not be encoded has one spelling only.
 *
 * @module
 */

import { invalidRequest, quoted } from "./errors.ts";

/** The longest name in bytes; the limit of LUO names. */
export const MAX_SEGMENT_NAME = 63;

/** The rule for names, in words. */
export const SEGMENT_NAME_RULE: string =
  `A name of 1 to ${MAX_SEGMENT_NAME} characters A-Z a-z 0-9 . _ -, the first not . or -, nothing percent-encoded`;

const PATTERN = new RegExp(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,${MAX_SEGMENT_NAME - 1}}$`);

/**
 * Is this the name of a segment?
 *
 * @param text any text.
 * @returns true when it keeps the rule.
 */
export function isSegmentName(text: string): boolean {
  return PATTERN.test(text);
}

/**
 * Checks the name in a path.
 *
 * @param text a path component as it was sent, not decoded.
 * @returns the name.
 * @throws {HttpError} 400 EINVAL when it breaks the rule.
 */
export function parseSegmentName(text: string): string {
  if (isSegmentName(text)) return text;
  throw invalidRequest(
    `Cannot use ${quoted(text)} as a segment name: it breaks the rule for names`,
    SEGMENT_NAME_RULE,
  );
}
