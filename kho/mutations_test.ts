/**
 * Random numbers that can be had again, and ways to damage bytes: some that know nothing of what the bytes are, and some
 * that know CBOR and break exactly one thing about it. It has no tests itself; the name keeps it out of the published
 * package.
 *
 * Happy path: `mutate(bytes, new Random(seed, index), other)` gives bytes that differ by one to three mutations; the same
 * seed and index give the same ones in every process.
 *
 * Unhappy path: bytes that are no CBOR, or hold nothing that a mutation needs, are damaged as plain bytes.
 *
 * @module
 */
import {
  argumentOf,
  BOMBS,
  concat,
  head,
  type Item,
  itemsOf,
  ODD_BYTES,
  ODD_ITEMS,
  ODD_TEXTS,
} from "./cbor_items_test.ts";

/** A generator of random numbers (sfc32) that depends on nothing but its seed and the number of its stream. */
export class Random {
  #a: number;
  #b: number;
  #c = 0x9e3779b9;
  #d = 1;

  /**
   * @param seed from 0 to 2^32 - 1
   * @param stream tells apart what one seed is used for
   */
  constructor(seed: number, stream = 0) {
    this.#a = seed | 0;
    this.#b = stream | 0;
    for (let round = 0; round < 15; round++) this.next();
  }

  /** A whole number from 0 to 2^32 - 1. */
  next(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** A whole number from 0 up to, but not including, `end`, which is at most 2^32. */
  below(end: number): number {
    return Math.floor((this.next() / 0x100000000) * end);
  }

  /** A whole number, both ends included. */
  between(lowest: number, highest: number): number {
    return lowest + this.below(highest - lowest + 1);
  }

  /** True as often as the share says. */
  chance(share: number): boolean {
    return this.next() < share * 0x100000000;
  }

  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  /** Some bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length }, () => this.next() & 0xff);
  }
}

/** A way to damage bytes; it gives new ones. `other` is another valid input, to splice from. */
export type Mutator = (bytes: Uint8Array, random: Random, other: Uint8Array) => Uint8Array;

/** Damage that any bytes can take. */
export const BYTE_MUTATORS: Record<string, Mutator> = {
  flip: (bytes, random) => {
    const copy = new Uint8Array(bytes);
    if (copy.length === 0) return copy;
    for (let left = random.between(1, 8); left > 0; left--) {
      const at = random.below(copy.length);
      copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
    }
    return copy;
  },
  overwrite: (bytes, random) => {
    const [from, to] = range(bytes, random);
    return concat([bytes.subarray(0, from), random.bytes(to - from), bytes.subarray(to)]);
  },
  odd: (bytes, random) => {
    const at = random.below(bytes.length);
    return concat([bytes.subarray(0, at), new Uint8Array([random.pick(ODD_BYTES)]), bytes.subarray(at + 1)]);
  },
  zero: (bytes, random) => new Uint8Array(bytes).fill(random.pick([0, 0xff]), ...range(bytes, random)),
  truncate: (bytes, random) => new Uint8Array(bytes.subarray(0, random.below(bytes.length + 1))),
  behead: (bytes, random) => new Uint8Array(bytes.subarray(random.below(bytes.length + 1))),
  extend: (bytes, random, other) =>
    concat([
      bytes,
      random.pick([random.bytes(9), new Uint8Array(random.between(1, 4096)), other, bytes]),
    ]),
  remove: (bytes, random) => {
    const [from, to] = range(bytes, random);
    return concat([bytes.subarray(0, from), bytes.subarray(to)]);
  },
  insert: (bytes, random) => {
    const at = random.below(bytes.length + 1);
    return concat([bytes.subarray(0, at), random.bytes(random.between(1, 16)), bytes.subarray(at)]);
  },
  splice: (bytes, random, other) => {
    const [from, to] = range(bytes, random);
    return concat([
      bytes.subarray(0, from),
      (random.chance(0.5) ? other : bytes).subarray(...range(other, random)),
      bytes.subarray(to),
    ]);
  },
};

/** Damage to one item of a CBOR document. */
export const ITEM_MUTATORS: Record<string, Mutator> = {
  bomb: onItem((item, bytes, random) => {
    const left = BigInt(bytes.length - item.body);
    const claim = random.pick([...BOMBS, left, left + 1n, left === 0n ? 0n : left - 1n]);
    return concat([head(random.between(2, 5), claim), bytes.subarray(item.body, item.end)]);
  }),
  retype: onItem(({ start, end }, bytes, random) => {
    const copy = new Uint8Array(bytes.subarray(start, end));
    copy[0] = ((copy[0] ?? 0) & 0x1f) | (random.below(8) << 5);
    return copy;
  }),
  widen: onItem(({ major, start, body, end }, bytes, random) => {
    const argument = argumentOf(bytes.subarray(start, body));
    return concat([head(major, argument, random.pick([1, 2, 4, 8])), bytes.subarray(body, end)]);
  }),
  indefinite: onItem(({ major, body, end }, bytes) =>
    concat([
      new Uint8Array([(major << 5) | 31]),
      bytes.subarray(body, end),
      new Uint8Array([0xff]),
    ])
  ),
  deepen: onItem(({ start, end }, bytes, random) => {
    const wrapper = random.pick(["81", "a160", "a1616b", "c1", "9f"]);
    const around = random.pick([1, 2, 13, 14, 15, 16, 17, 500, 20_000]);
    return concat([Uint8Array.fromHex(wrapper.repeat(around)), bytes.subarray(start, end)]);
  }),
  dense: onItem((_item, _bytes, random) => {
    const member = random.pick(ODD_ITEMS);
    const count = random.pick([23, 24, 255, 256, 4096, 16_384]);
    const all = new Uint8Array(count * member.length);
    for (let at = 0; at < all.length; at += member.length) all.set(member, at);
    return concat([head(4, BigInt(count)), all]);
  }),
  retext: (bytes, random) => {
    const texts = itemsOf(bytes).filter(({ major }) => major === 3);
    if (texts.length === 0) return new Uint8Array(bytes);
    const { start, body, end } = random.pick(texts);
    const content = [random.pick(ODD_TEXTS), bytes.subarray(body, end)];
    const text = concat(random.chance(0.7) ? content : content.reverse());
    return concat([bytes.subarray(0, start), head(3, BigInt(text.length)), text, bytes.subarray(end)]);
  },
  drop: onItem(() => new Uint8Array()),
  twice: onItem(({ start, end }, bytes) => {
    const item = bytes.subarray(start, end);
    return concat([item, item]);
  }),
  replace: onItem((_item, _bytes, random) => random.pick(ODD_ITEMS)),
  transplant: onItem((_item, _bytes, random, other) => {
    const items = itemsOf(other);
    if (items.length === 0) return other;
    const { start, end } = random.pick(items);
    return other.subarray(start, end);
  }),
  swap: (bytes, random) => {
    const items = itemsOf(bytes);
    if (items.length < 2) return BYTE_MUTATORS.flip?.(bytes, random, bytes) ?? bytes;
    const [first, second] = [random.pick(items), random.pick(items)].sort((a, b) => a.start - b.start);
    if (first === undefined || second === undefined || second.start < first.end) return new Uint8Array(bytes);
    return concat([
      bytes.subarray(0, first.start),
      bytes.subarray(second.start, second.end),
      bytes.subarray(first.end, second.start),
      bytes.subarray(first.start, first.end),
      bytes.subarray(second.end),
    ]);
  },
};

const MUTATORS = Object.entries({ ...BYTE_MUTATORS, ...ITEM_MUTATORS });

/**
 * Damages bytes.
 *
 * @param bytes stay as they are
 * @param other another valid input
 * @param among what is done to them; everything if absent
 * @returns the damaged bytes, and what was done
 */
export function mutate(
  bytes: Uint8Array,
  random: Random,
  other: Uint8Array,
  among: readonly (readonly [string, Mutator])[] = MUTATORS,
): { bytes: Uint8Array; how: string } {
  const names: string[] = [];
  let damaged = bytes;
  for (let left = random.pick([1, 1, 1, 2, 3]); left > 0; left--) {
    const [name, mutator] = random.pick(among);
    names.push(name);
    damaged = mutator(damaged, random, other);
  }
  return { bytes: damaged, how: names.join(", ") };
}

function onItem(
  change: (item: Item, bytes: Uint8Array, random: Random, other: Uint8Array) => Uint8Array,
): Mutator {
  return (bytes, random, other) => {
    const items = itemsOf(bytes);
    if (items.length === 0) return BYTE_MUTATORS.insert?.(bytes, random, other) ?? bytes;
    const item = random.pick(items);
    return concat([
      bytes.subarray(0, item.start),
      change(item, bytes, random, other),
      bytes.subarray(item.end),
    ]);
  };
}

/** A piece of some bytes: mostly a short one. */
function range(bytes: Uint8Array, random: Random): [from: number, to: number] {
  const from = random.below(bytes.length + 1);
  const most = random.chance(0.7) ? 16 : bytes.length;
  return [from, Math.min(bytes.length, from + random.between(1, Math.max(1, most)))];
}
