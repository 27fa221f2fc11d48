/**
 * What may become of a damaged input, and how that is told: an error of the handover that says what is wrong, or a document
 * that means exactly these bytes. It has no tests itself; the name keeps it out of the published package.
 *
 * Happy path: `judge(bytes, read, write, codes)` is `equal`, or the code of the error.
 *
 * Unhappy path: anything else is a `Violation`.
 *
 * @module
 */
import { equalBytes } from "./cbor_items_test.ts";
import { HandoverError, type HandoverErrorCode } from "./errors.ts";

/** A promise of the formats was broken. */
export class Violation extends Error {
  /** Always `Violation`. */
  override readonly name = "Violation";
}

/** One damaged input. */
export interface Case {
  /** Which family made it. */
  readonly family: string;
  /** What was done to what. */
  readonly how: string;
  /** The input: what a reader gets. */
  readonly bytes: Uint8Array;
  /**
   * Gives the input to its reader.
   *
   * @returns what became of it
   * @throws {Violation} when a promise is broken
   */
  run(): string | Promise<string>;
}

/** What a document was read as, if it was. */
const EQUAL = "equal";

/** How our own messages begin; what stands behind the colon is never empty. */
const MESSAGE = /^Cannot (read|take over)\b[^]*: [^]*\S/;

/** What an engine says of its own accord: a sign that nobody looked at the input before it was used. */
const ACCIDENTS =
  /\[object |is not a function|is not iterable|properties of|call stack|Invalid (array|typed)/;

/** Most characters of a message: what it quotes of the input is cut. */
const MAX_MESSAGE = 1000;

/**
 * Reads bytes that may be anything.
 *
 * @param read the reader
 * @param write writes what was read
 * @param codes what the reader may answer
 * @returns `equal` or the code of the error
 * @throws {Violation} an error of another kind, or a document that means other bytes too
 */
export async function judge<T>(
  bytes: Uint8Array,
  read: (bytes: Uint8Array) => T | Promise<T>,
  write: (value: T) => Uint8Array,
  codes: readonly HandoverErrorCode[],
): Promise<string> {
  const before = new Uint8Array(bytes);
  let value: T;
  try {
    value = await read(bytes);
  } catch (error) {
    checkUnchanged(before, bytes);
    return codeOf(error, codes);
  }
  checkUnchanged(before, bytes);
  const again = write(value);
  if (!equalBytes(again, bytes)) {
    throw new Violation(`what was read is written as ${again.toHex().slice(0, 1000)}`);
  }
  return EQUAL;
}

/**
 * The code of an error that a reader may answer with.
 *
 * @throws {Violation} when it is no such error, or does not say what is wrong
 */
export function codeOf(error: unknown, codes: readonly HandoverErrorCode[]): HandoverErrorCode {
  if (!(error instanceof HandoverError)) {
    throw new Violation(`the error has no type: ${error instanceof Error ? error.stack : String(error)}`);
  }
  const { code, message } = error;
  if (!codes.includes(code)) {
    throw new Violation(`the code ${code} is not one of ${codes}: ${message.slice(0, 500)}`);
  }
  if (!MESSAGE.test(message)) {
    throw new Violation(`the message does not say what is wrong: ${message.slice(0, 500)}`);
  }
  if (message.length > MAX_MESSAGE) {
    throw new Violation(`the message has ${message.length} characters: ${message.slice(0, 200)} …`);
  }
  checkCause(error);
  return code;
}

function checkUnchanged(before: Uint8Array, after: Uint8Array): void {
  if (!equalBytes(before, after)) throw new Violation("the reader changed its input");
}

/** What stands behind an error is a finding of the codec, too, and no accident of the engine that was caught on its way. */
function checkCause(error: Error): void {
  for (let cause = error.cause; cause !== undefined; cause = (cause as Error).cause) {
    const found = cause instanceof SyntaxError || cause instanceof RangeError
      ? cause.message.startsWith("Cannot decode the document: ")
      : cause instanceof Error && cause.constructor === Error;
    if (!found || ACCIDENTS.test((cause as Error).message)) {
      throw new Violation(`an accident is behind the error: ${cause instanceof Error ? cause.stack : cause}`);
    }
  }
}
