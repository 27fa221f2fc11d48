/**
 * Small inputs that want much: lengths and counts that no input has, nesting without end, and as many small items as fit. It
 * has no tests itself; the name keeps it out of the published package.
 *
 * @module
 */
import { BOMBS, concat, head, ODD_ITEMS } from "./cbor_items_test.ts";
import type { Random } from "./mutations_test.ts";

/** Sizes in bytes. What one-byte items take as objects is a hundred times as much, so that these are all but harmless. */
const SIZES = [1 << 10, 1 << 14, 1 << 16, 1 << 17];

const WRAPPERS = ["81", "a160", "a1616b", "c1", "d81b", "9f", "bf60", "8260", "9b0000000000000001"];

/** A bomb, and what it is. */
export function makeBomb(random: Random): { bytes: Uint8Array; how: string } {
  const size = random.pick(SIZES);
  switch (random.below(5)) {
    case 0: {
      const wrapper = random.pick(WRAPPERS);
      const bytes = Uint8Array.fromHex(wrapper.repeat(Math.floor((size * 2) / wrapper.length)) + "00");
      return { bytes, how: `${size} bytes of nested ${wrapper}` };
    }
    case 1: {
      const claim = random.pick([...BOMBS, BigInt(size) + 1n, BigInt(size), BigInt(size) - 1n]);
      const bytes = concat([head(random.between(2, 5), claim), new Uint8Array(random.pick([0, size]))]);
      return { bytes, how: `a claim of ${claim}` };
    }
    case 2: {
      const item = random.pick([...ODD_ITEMS, Uint8Array.of(0x41, 1), Uint8Array.of(0x61, 0x61)]);
      const count = Math.floor(size / item.length);
      return {
        bytes: concat([head(4, BigInt(count)), repeated(item, count)]),
        how: `${count} times ${item.toHex()}`,
      };
    }
    case 3: {
      const count = Math.floor(size / 6);
      return { bytes: concat([head(5, BigInt(count)), keys(count)]), how: `${count} keys` };
    }
    default: {
      const item = random.pick([0x61, 0xc3, 0xff]);
      return {
        bytes: concat([head(3, BigInt(size)), new Uint8Array(size).fill(item)]),
        how: `a text of ${size}`,
      };
    }
  }
}

/** Keys in ascending order, each with a number. */
function keys(count: number): Uint8Array {
  const bytes = new Uint8Array(count * 6);
  for (let index = 0; index < count; index++) {
    const at = index * 6;
    bytes[at] = 0x64;
    for (let digit = 0; digit < 4; digit++) {
      bytes[at + 4 - digit] = 0x61 + (Math.floor(index / 16 ** digit) % 16);
    }
  }
  return bytes;
}

function repeated(item: Uint8Array, count: number): Uint8Array {
  const bytes = new Uint8Array(item.length * count);
  for (let at = 0; at < bytes.length; at += item.length) bytes.set(item, at);
  return bytes;
}
