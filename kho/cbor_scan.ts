/**
 * A first look at CBOR bytes, before any decoder sees them: well-formed to the end, nested no deeper than allowed, no
 * length that runs past the input, nothing outside the profile of `codec.ts`.
 *
 * Happy path: one pass over the heads of the items, with one counter per open array or map.
 *
 * Unhappy paths: a length bomb, a truncated item, an indefinite length, a tag, a float, deep nesting: refused here, in
 * constant memory, where a recursive decoder could run out of stack.
 *
 * @module
 */

/** How deeply arrays and maps may be nested, the outermost counting as one. */
export const MAX_DEPTH = 16;

/** A head of one item: its major type, its argument, and where the next byte stands. */
interface Head {
  major: number;
  argument: number;
  next: number;
}

/**
 * Checks that the bytes are exactly one item of the profile.
 *
 * @param bytes the whole input
 * @param floats whether floating-point items are allowed
 * @throws {SyntaxError} anything that is not exactly one such item
 * @throws {RangeError} nesting deeper than {@linkcode MAX_DEPTH}
 */
export function scanCbor(bytes: Uint8Array, floats = false): void {
  const open: number[] = [];
  let at = 0;
  do {
    const head = readHead(bytes, at, floats);
    at = head.next;
    let children = 0;
    if (head.major === 2 || head.major === 3) {
      if (head.argument > bytes.byteLength - at) throw malformed(at, "a length runs past the end");
      at += head.argument;
    } else if (head.major === 4 || head.major === 5) {
      children = head.argument * (head.major - 3);
      // Each child takes at least one byte, so a longer list cannot be there.
      if (children > bytes.byteLength - at) throw malformed(at, "a count runs past the end");
      if (open.length >= MAX_DEPTH) {
        throw new RangeError(
          `Cannot decode the document: it is nested deeper than ${MAX_DEPTH} at byte ${at}`,
        );
      }
    }
    if (children > 0) open.push(children);
    else closeFinished(open);
  } while (open.length > 0);
  if (at !== bytes.byteLength) throw malformed(at, `${bytes.byteLength - at} bytes follow the document`);
}

/** An item without children ended: it may end the items around it as well. */
function closeFinished(open: number[]): void {
  while (open.length > 0) {
    const left = (open[open.length - 1] ?? 0) - 1;
    open[open.length - 1] = left;
    if (left > 0) return;
    open.pop();
  }
}

function readHead(bytes: Uint8Array, at: number, floats: boolean): Head {
  const first = bytes[at];
  if (first === undefined) throw malformed(at, "the document is truncated");
  const major = first >> 5;
  const info = first & 31;
  if (major === 6) throw malformed(at, "tags are not allowed");
  if (info > 27) throw malformed(at, "indefinite lengths are not allowed");
  const width = info < 24 ? 0 : 1 << (info - 24);
  if (at + 1 + width > bytes.byteLength) throw malformed(at, "the document is truncated");
  if (major === 7) checkSimple(info, at, floats);
  let argument = info;
  if (width > 0) {
    argument = 0;
    for (let i = 1; i <= width; i++) argument = argument * 256 + (bytes[at + i] ?? 0);
  }
  return { major, argument, next: at + 1 + width };
}

/** Major type 7 holds false, true, null and, where allowed, the floats of 16, 32 and 64 bits. */
function checkSimple(info: number, at: number, floats: boolean): void {
  if (info >= 20 && info <= 22) return;
  if (info >= 25 && floats) return;
  throw malformed(
    at,
    info >= 25 ? "floats are not allowed" : "undefined and other simple values are not allowed",
  );
}

function malformed(at: number, what: string): SyntaxError {
  return new SyntaxError(`Cannot decode the document: ${what}, at byte ${at}`);
}
