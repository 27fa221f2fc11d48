/**
 * Random documents of the codec's profile, and ways to change a document that leave it one: what a reader meets when the
 * bytes are well-formed and what they say is not. It has no tests itself; the name keeps it out of the published package.
 *
 * Happy path: `randomValue(random, 5)` is a document with at most five arrays and maps in one another; `mutateDocument(value,
 * random)` is another document that differs in one place or a few.
 *
 * Unhappy paths: none. Names that every object inherits (`__proto__`, `constructor`) are names like others.
 *
 * @module
 */
import type { CborValue } from "./codec.ts";
import type { Random } from "./mutations_test.ts";

type CborMap = { [key: string]: CborValue };

const MAX_U64 = (1n << 64n) - 1n;

/** Integers around every boundary: of a head's width, of what is exact as a number, of 64 bits. */
const INTEGERS: readonly (number | bigint)[] = [
  0,
  23,
  24,
  0xff,
  0x100,
  0xffff,
  0x10000,
  0x7fffffff,
  0x80000000,
]
  .concat(0xffffffff, 0x100000000, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, -1, -24, -25, -256, -257)
  .concat(-65536, -65537, -0x100000000, -0x100000001, 0o777, 0o1000)
  .map((value): number | bigint => value)
  .concat(1n << 53n, -(1n << 53n), -(1n << 53n) - 1n, 1n << 63n, MAX_U64, MAX_U64 - 1n, -(1n << 64n));

const FLOATS = [
  0.5,
  1.5,
  -0.1,
  65504,
  65504.5,
  2 ** -14,
  2 ** -24,
  2 ** -25,
  3 * 2 ** -24,
  1 / 3,
  2 ** 53,
  2 ** 60,
]
  .concat(-(2 ** 64), Number.MAX_VALUE, Number.MIN_VALUE, 2 ** -126, 2 ** -149, 3.4028234663852886e38);

/** Lengths around every boundary: of a head's width, of a decoder's short cuts, and of our own formats. */
const LENGTHS = [0, 1, 2, 7, 15, 23, 24, 25, 31, 32, 33, 47, 48, 63, 64, 65, 128, 129, 255, 256, 257, 1000];

const LETTERS = [
  "a",
  "z",
  "0",
  ".",
  "/",
  " ",
  "\0",
  "\n",
  "\x7f",
  "\x80",
  "é",
  "ß",
  "\u07ff",
  "\u0800",
  "€",
  "\ufffd",
]
  .concat("\ufffe", "😀", "\u{10ffff}", "\u0301", "\u202e");

const KEYS = [
  "__proto__",
  "constructor",
  "toString",
  "valueOf",
  "hasOwnProperty",
  "isBuffer",
  "length",
  "then",
  "0",
]
  .concat(
    "1",
    "10",
    "-1",
    "",
    "a",
    "b",
    "aa",
    "é",
    "compatible",
    "name",
    "token",
    "version",
    "graphs",
    "cookie",
    "link",
    "zz",
  );

/**
 * A document of the profile.
 *
 * @param depth how many arrays and maps may be in one another
 * @param floats whether floating-point numbers may be in it
 */
export function randomValue(random: Random, depth: number, floats = false): CborValue {
  const kind = random.below(depth > 0 ? 12 : 8);
  switch (kind) {
    case 0:
      return random.pick([null, true, false]);
    case 1:
      return floats ? random.pick(FLOATS) : random.pick(INTEGERS);
    case 2:
      return random.pick(INTEGERS);
    case 3:
      return wide(random);
    case 4:
      return random.between(-70_000, 70_000);
    case 5:
      return random.bytes(lengthOf(random));
    case 6:
    case 7:
      return randomText(random);
    case 8:
    case 9:
      return Array.from({ length: count(random) }, () => randomValue(random, depth - 1, floats));
    default: {
      const map: CborMap = {};
      for (let left = count(random); left > 0; left--) {
        put(map, randomKey(random), randomValue(random, depth - 1, floats));
      }
      return map;
    }
  }
}

/** A well-formed text that does not begin with a byte order mark. */
export function randomText(random: Random): string {
  const length = lengthOf(random);
  const plain = random.chance(0.5);
  let text = "";
  while (text.length < length) text += plain ? random.pick(["a", "b", "/"]) : random.pick(LETTERS);
  return text;
}

/**
 * Changes a document: a member is replaced, left out, doubled, renamed, added, moved, or put into a list.
 *
 * @param value stays as it is
 */
export function mutateDocument(value: CborValue, random: Random): CborValue {
  let changed = value;
  for (let left = random.pick([1, 1, 1, 2, 4]); left > 0; left--) changed = changeOne(changed, random);
  return changed;
}

/** Gives a map a member of its own, whatever the name is. */
export function put(map: CborMap, key: string, value: CborValue): void {
  Object.defineProperty(map, key, { value, configurable: true, enumerable: true, writable: true });
}

function changeOne(value: CborValue, random: Random): CborValue {
  if (Array.isArray(value)) {
    return value.length > 0 && random.chance(0.8) ? changeMember(value, random) : changeList(value, random);
  }
  if (isMap(value)) {
    const keys = Object.keys(value);
    if (keys.length === 0 || random.chance(0.2)) return changeMap(value, random);
    const chosen = random.pick(keys);
    return remade(
      keys.map((key) => [key, key === chosen ? changeOne(at(value, key), random) : at(value, key)]),
    );
  }
  return changeLeaf(value, random);
}

function changeMember(list: readonly CborValue[], random: Random): CborValue {
  const chosen = random.below(list.length);
  return list.map((member, index) => index === chosen ? changeOne(member, random) : member);
}

function changeList(list: readonly CborValue[], random: Random): CborValue {
  const from = random.below(list.length + 1);
  const chosen = list.slice(from, from + random.between(1, 3));
  switch (random.below(5)) {
    case 0:
      return list.toSpliced(from, chosen.length);
    case 1:
      return list.toSpliced(from, 0, ...chosen);
    case 2:
      return list.toSpliced(from, 0, randomValue(random, 2));
    case 3:
      return list.toReversed();
    default:
      return randomValue(random, 2);
  }
}

function changeMap(map: CborMap, random: Random): CborValue {
  const entries: (readonly [string, CborValue])[] = Object.keys(map).map((key) => [key, at(map, key)]);
  const chosen = random.below(entries.length + 1);
  switch (random.below(4)) {
    case 0:
      return remade(entries.toSpliced(chosen, 1));
    case 1:
      return remade([...entries, [randomKey(random), randomValue(random, 2)]]);
    case 2:
      return remade(
        entries.map(([key, value], index) => [index === chosen ? randomKey(random) : key, value]),
      );
    default:
      return randomValue(random, 2);
  }
}

/** Mostly another value of the same type: one that a reader may take. */
function changeLeaf(value: CborValue, random: Random): CborValue {
  if (random.chance(0.3)) return randomValue(random, 2);
  if (typeof value === "number" || typeof value === "bigint") {
    return random.chance(0.5) ? random.pick(INTEGERS) : wide(random);
  }
  if (typeof value === "string") {
    if (random.chance(0.3)) return `${value}${randomText(random)}`;
    return random.chance(0.01) ? "n".repeat(1024 * 1024 + random.below(2)) : randomText(random);
  }
  return value instanceof Uint8Array ? random.bytes(lengthOf(random)) : random.pick([null, true, false]);
}

function isMap(value: CborValue): value is CborMap {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof Uint8Array);
}

function at(map: CborMap, key: string): CborValue {
  return map[key] as CborValue;
}

function remade(entries: readonly (readonly [string, CborValue])[]): CborMap {
  const map: CborMap = {};
  for (const [key, value] of entries) put(map, key, value);
  return map;
}

function randomKey(random: Random): string {
  return random.chance(0.7) ? random.pick(KEYS) : randomText(random);
}

/** An integer of up to 64 bits; a number where that is exact, as the decoder gives it. */
function wide(random: Random): number | bigint {
  const value = ((BigInt(random.next()) << 32n) | BigInt(random.next())) >> BigInt(random.below(64));
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

function lengthOf(random: Random): number {
  return random.chance(0.8) ? random.below(12) : random.pick(LENGTHS);
}

function count(random: Random): number {
  return random.chance(0.95) ? random.below(6) : random.pick([23, 24, 25, 60]);
}
