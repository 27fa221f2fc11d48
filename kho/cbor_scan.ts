/**
 * A first look at CBOR bytes, before any decoder sees them: well-formed to the end, nested no deeper than allowed, no
 * length that runs past the input, nothing outside the profile of `codec.ts`, and everything but floats in the
 * deterministic form of RFC 8949 section 4.2.1. What passes means exactly one document, and no other bytes mean the same.
 *
 * Happy path: one pass over the heads of the items, with one frame per open array or map.
 *
 * Unhappy paths: a length bomb, a truncated item, an indefinite length, a tag, a float, deep nesting, a longer form than
 * needed, keys out of order or twice, text that is no UTF-8: refused here, in constant memory, where a recursive decoder
 * could run out of stack.
 *
 * @module
 */

/** How deeply arrays and maps may be nested, the outermost counting as one. */
export const MAX_DEPTH = 16;

/** Major type of a byte string. */
export const BYTES = 2;
/** Major type of a text. */
export const TEXT = 3;
/** Major type of an array. */
export const ARRAY = 4;
/** Major type of a map. */
export const MAP = 5;
const TAG = 6;
const SIMPLE = 7;

/** An open array or map. */
interface Frame {
  /** Children that are still to come; of a map, keys and values. */
  left: number;
  readonly isMap: boolean;
  /** Where the last key of a map begins and ends; both 0 before the first. */
  keyStart: number;
  keyEnd: number;
}

/**
 * Checks that the bytes are exactly one item of the profile.
 *
 * @param bytes the whole input
 * @param floats whether floating-point items are allowed; whether each is in its shortest form is not looked at
 * @returns whether there is one
 * @throws {SyntaxError} anything that is not exactly one such item
 * @throws {RangeError} nesting deeper than {@linkcode MAX_DEPTH}
 */
export function scanCbor(bytes: Uint8Array, floats = false): boolean {
  const end = bytes.byteLength;
  const open: Frame[] = [];
  let frame: Frame | undefined;
  let at = 0;
  let hasFloats = false;
  do {
    const start = at;
    const first = bytes[at];
    if (first === undefined) throw malformed(at, "the document is truncated");
    const major = first >> 5;
    const info = first & 31;
    if (major === TAG) throw malformed(at, "tags are not allowed");
    if (info > 27) throw malformed(at, "indefinite lengths are not allowed");
    const width = info < 24 ? 0 : 1 << (info - 24);
    if (at + 1 + width > end) throw malformed(at, "the document is truncated");
    let argument = info;
    if (width > 0) {
      argument = 0;
      for (let i = 1; i <= width; i++) argument = argument * 256 + (bytes[at + i] ?? 0);
    }
    if (major === SIMPLE) hasFloats = checkSimple(info, at, floats) || hasFloats;
    else if (width > 0 && argument < SMALLEST[info - 24]!) {
      throw malformed(at, "a shorter form would have done");
    }
    at += 1 + width;

    if (frame !== undefined) {
      if (frame.isMap && (frame.left & 1) === 0) {
        if (major !== TEXT) throw malformed(start, "a key is no text");
        checkKey(bytes, frame, start, Math.min(at + argument, end));
      }
      frame.left--;
    }
    if (major === BYTES || major === TEXT) {
      if (argument > end - at) throw malformed(at, "a length runs past the end");
      if (major === TEXT) checkText(bytes, at, at + argument);
      at += argument;
    } else if (major === ARRAY || major === MAP) {
      const children = argument * (major - 3);
      // Each child takes at least one byte, so a longer list cannot be there.
      if (children > end - at) throw malformed(at, "a count runs past the end");
      if (open.length >= MAX_DEPTH) {
        throw new RangeError(
          `Cannot decode the document: it is nested deeper than ${MAX_DEPTH} at byte ${at}`,
        );
      }
      frame = { left: children, isMap: major === MAP, keyStart: 0, keyEnd: 0 };
      open.push(frame);
    }
    // What ended may end the items around it as well.
    while (frame !== undefined && frame.left === 0) {
      open.pop();
      frame = open[open.length - 1];
    }
  } while (frame !== undefined);
  if (at !== end) throw malformed(at, `${end - at} bytes follow the document`);
  return hasFloats;
}

/** The smallest argument that needs 1, 2, 4 or 8 bytes. */
const SMALLEST = [24, 0x100, 0x10000, 0x100000000] as const;

/** Keys are in ascending order of their encoded bytes, so that each is there once. */
function checkKey(bytes: Uint8Array, frame: Frame, start: number, end: number): void {
  const { keyStart, keyEnd } = frame;
  frame.keyStart = start;
  frame.keyEnd = end;
  if (keyEnd === 0) return;
  for (let i = 0; keyStart + i < keyEnd; i++) {
    const before = bytes[keyStart + i] ?? 0;
    const here = bytes[start + i] ?? 0;
    if (here > before) return;
    if (here < before) throw malformed(start, "a key is out of order");
  }
  throw malformed(start, "a key is there twice");
}

function checkText(bytes: Uint8Array, start: number, end: number): void {
  for (let at = start; at < end; at++) {
    if ((bytes[at] ?? 0) >= 0x80) return checkUtf8(bytes.subarray(start, end), start);
  }
}

function checkUtf8(text: Uint8Array, at: number): void {
  // Whoever decodes UTF-8 takes a byte order mark away, and what is read would not be what was written.
  if (text[0] === 0xef && text[1] === 0xbb && text[2] === 0xbf) {
    throw malformed(at, "a text begins with a byte order mark");
  }
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(text);
  } catch {
    throw malformed(at, "a text is not UTF-8");
  }
}

/** Major type 7 holds false, true, null and, where allowed, the floats of 16, 32 and 64 bits. Is it one of those? */
function checkSimple(info: number, at: number, floats: boolean): boolean {
  if (info >= 20 && info <= 22) return false;
  if (info >= 25 && floats) return true;
  throw malformed(
    at,
    info >= 25 ? "floats are not allowed" : "undefined and other simple values are not allowed",
  );
}

function malformed(at: number, what: string): SyntaxError {
  return new SyntaxError(`Cannot decode the document: ${what}, at byte ${at}`);
}
