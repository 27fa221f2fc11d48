/**
 * The items of a CBOR document as they stand in its bytes, whether it can be decoded or not, how to write heads that no
 * encoder writes, and items, texts and lengths that a decoder may stumble over. Nothing here shares code with the codec that it is used to test. It has no tests itself; the name keeps it
 * out of the published package.
 *
 * Happy path: `itemsOf(bytes)` lists every item with its place.
 *
 * Unhappy path: the list ends at the first byte that makes no sense; what was open there ends with the input.
 *
 * @module
 */

/** One item of CBOR, and where it stands. */
export interface Item {
  /** 0 to 7. */
  major: number;
  /** Its first byte, the first one behind its head, and the first one behind the whole of it. */
  start: number;
  body: number;
  end: number;
}

/** Lengths that no input has, or that are hard to count with. */
export const BOMBS: readonly bigint[] = [
  0x7fn,
  0xffffn,
  0xffffffn,
  0x7fffffffn,
  0xffffffffn,
  (1n << 53n) - 1n,
  1n << 53n,
  1n << 63n,
]
  .concat((1n << 64n) - 1n);

/** Items that the profile does not have, and some that it does. */
export const ODD_ITEMS: readonly Uint8Array[] = [
  "f7",
  "f93c00",
  "f97e00",
  "fb7ff0000000000000",
  "c001",
  "c24101",
  "d9d9f700",
  "e0",
  "f800",
]
  .concat(
    "ff",
    "5fff",
    "9fff",
    "bfff",
    "1c",
    "1f",
    "3c",
    "61ff",
    "63efbbbf",
    "62c328",
    "1bffffffffffffffff",
    "80",
  )
  .concat(
    "3bffffffffffffffff",
    "a0",
    "f6",
    "f5",
    "00",
    "20",
    "40",
    "60",
    "1800",
    "190001",
    "3b0000000000000000",
  )
  .map((hex) => Uint8Array.fromHex(hex));

/** Pieces of text that are no UTF-8, or that a decoder may swallow or change. */
export const ODD_TEXTS: readonly Uint8Array[] = [
  "efbbbf",
  "ff",
  "c3",
  "c080",
  "e08080",
  "eda080",
  "f4908080",
  "f0808080",
  "00",
  "0a",
  "efbfbd",
]
  .map((hex) => Uint8Array.fromHex(hex));

/** Heads that begin something large, endless or forbidden. */
export const ODD_BYTES: readonly number[] = [
  0x00,
  0x17,
  0x18,
  0x1b,
  0x1f,
  0x3b,
  0x5b,
  0x5f,
  0x7b,
  0x7f,
  0x9b,
  0x9f,
  0xbb,
  0xbf,
  0xc0,
]
  .concat(0xdb, 0xf4, 0xf6, 0xf7, 0xf8, 0xf9, 0xfb, 0xff);

/** Finds the items of a document, those that hold others included; up to the first byte that makes no sense. */
export function itemsOf(bytes: Uint8Array): Item[] {
  const items: Item[] = [];
  const open: { item: Item; left: bigint }[] = [];
  for (let at = 0; at < bytes.length;) {
    const first = bytes[at] ?? 0;
    const width = (first & 31) < 24 ? 0 : 1 << ((first & 31) - 24);
    if (width > 8 || at + 1 + width > bytes.length) break;
    const body = at + 1 + width;
    const item = { major: first >> 5, start: at, body, end: body };
    const argument = argumentOf(bytes.subarray(at, body));
    if ((item.major === 2 || item.major === 3) && argument > bytes.length - body) break;
    items.push(item);
    if (item.major === 2 || item.major === 3) item.end = body + Number(argument);
    at = item.end;
    if ((item.major === 4 || item.major === 5) && argument > 0n) {
      open.push({ item, left: item.major === 4 ? argument : argument * 2n });
      continue;
    }
    for (let around = open.at(-1); around !== undefined && --around.left === 0n; around = open.at(-1)) {
      around.item.end = at;
      open.pop();
    }
    if (open.length === 0) break;
  }
  for (const { item } of open) item.end = bytes.length;
  return items;
}

/** The head of an item, in the shortest form or with so many bytes behind the first. */
export function head(major: number, argument: bigint, atLeast: 0 | 1 | 2 | 4 | 8 = 0): Uint8Array {
  const needed = argument < 24n
    ? 0
    : argument < 0x100n
    ? 1
    : argument < 0x10000n
    ? 2
    : argument < 1n << 32n
    ? 4
    : 8;
  const width = Math.max(atLeast, needed);
  if (width === 0) return new Uint8Array([(major << 5) | Number(argument)]);
  const bytes = new Uint8Array(9);
  new DataView(bytes.buffer).setBigUint64(1, argument);
  return concat([new Uint8Array([(major << 5) | (24 + Math.log2(width))]), bytes.subarray(9 - width)]);
}

/** Joins bytes. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Are two byte strings equal? On purpose not the codec's own. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) {
    if (a[at] !== b[at]) return false;
  }
  return true;
}

/** The argument of a head: a length, a count, or the number itself. */
export function argumentOf(head: Uint8Array): bigint {
  return head.length === 1 ? BigInt((head[0] ?? 0) & 31) : BigInt(`0x${head.subarray(1).toHex()}`);
}
