/**
 * The codec against `cborg` alone: the same bytes for every document, the same document for every byte string, and refused is
 * exactly what the reference, the profile or the deterministic form refuses.
 *
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { decode, encode } from "npm:cborg@6.1.5";

import { equalBytes } from "./cbor_items_test.ts";
import { MAX_DEPTH } from "./cbor_scan.ts";
import { type CborOptions, type CborValue, decodeCbor, encodeCbor } from "./codec.ts";
import { put, randomValue } from "./documents_test.ts";
import { mutate, Random } from "./mutations_test.ts";

const SEED = 20_260_904;

const STRICT = {
  strict: true,
  rejectDuplicateMapKeys: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowNaN: false,
  allowInfinity: false,
};

/** Values of every kind that JavaScript has and the profile does not. */
// deno-fmt-ignore
const INTRUDERS: readonly unknown[] = [
  undefined, () => 1, Symbol("s"), new Map(), new Set(), new Date(0), /x/, NaN, Infinity, -Infinity, 1n << 64n,
  -(1n << 64n) - 1n, "\ud800", "a\udc00", "\ufeff", "\ufeffx", new Error("e"), new ArrayBuffer(1),
  new DataView(new ArrayBuffer(1)), new Uint16Array(1), new (class Own {})(), [,],
];

Deno.test("encodeCbor() writes what cborg writes, and decodeCbor() reads it back", () => {
  for (const floats of [false, true]) {
    for (let index = 0; index < 3000; index++) {
      const random = new Random(SEED, index);
      const value = randomValue(random, random.pick([1, 2, 3, 4, 4, MAX_DEPTH - 1]), floats);
      const bytes = encodeCbor(value, { floats });
      const expected = encode(value);
      assert(
        equalBytes(bytes, expected),
        `seed ${SEED}, ${index}: ${bytes.toHex()} is not ${expected.toHex()}`,
      );
      const found = decodeCbor(bytes, { floats });
      assert(isSame(found, value), `seed ${SEED}, ${index}: ${bytes.toHex()} is read as another document`);
      assertOwn(found, bytes, `seed ${SEED}, ${index}`);
    }
  }
});

Deno.test("decodeCbor() accepts every byte string of up to two bytes exactly when the reference does", () => {
  let accepted = 0;
  for (let first = 0; first < 256; first++) {
    accepted += Number(compare(new Uint8Array([first]), `byte ${first}`));
    for (let second = 0; second < 256; second++) {
      accepted += Number(compare(new Uint8Array([first, second]), `bytes ${first}, ${second}`));
    }
  }
  // 0 to 23, -1 to -24, and the empty and constant ones; in two bytes 2 * 232 integers, 256 + 128 strings, 55 lists.
  assertEquals(accepted, 24 + 24 + 7 + 2 * 232 + 256 + 128 + 55);
});

Deno.test("decodeCbor() accepts damaged documents exactly when the reference does", () => {
  const seen = { accepted: 0, refused: 0 };
  for (let index = 0; index < 12_000; index++) {
    const random = new Random(SEED, index);
    const floats = random.chance(0.3);
    const one = encode(randomValue(random, 4, floats));
    const { bytes } = mutate(one, random, encode(randomValue(random, 4, floats)));
    seen[compare(bytes, `seed ${SEED}, ${index}`, { floats }) ? "accepted" : "refused"]++;
  }
  assert(seen.accepted > 1000 && seen.refused > 5000, JSON.stringify(seen));
});

Deno.test("decodeCbor() accepts random byte strings exactly when the reference does", () => {
  const seen = { accepted: 0, refused: 0 };
  for (let index = 0; index < 30_000; index++) {
    const random = new Random(SEED + 1, index);
    const bytes = random.bytes(random.between(1, 24));
    // A list or a map in front, so that more than one item is looked at.
    if (random.chance(0.7)) bytes[0] = random.pick([0x80, 0xa0]) + random.between(1, 5);
    // Small heads, so that what follows is not eaten by one string.
    if (random.chance(0.7)) bytes.forEach((byte, at) => bytes[at] = (byte & 0xe3) | (at % 2));
    const floats = random.chance(0.2);
    seen[compare(bytes, `seed ${SEED + 1}, ${index}`, { floats }) ? "accepted" : "refused"]++;
  }
  assert(seen.accepted > 100 && seen.refused > 10_000, JSON.stringify(seen));
});

Deno.test("encodeCbor() and decodeCbor() agree on how deeply a document may be nested", () => {
  for (const [open, inner] of [["81", "00"], ["a160", "00"], ["81", ""], ["a16161", "80"]] as const) {
    for (let depth = 1; depth <= MAX_DEPTH + 2; depth++) {
      const bytes = Uint8Array.fromHex(open.repeat(depth - 1) + (inner === "" ? "80" : open + inner));
      const containers = depth + Number(inner === "80");
      if (containers <= MAX_DEPTH) {
        assertEquals(encodeCbor(decodeCbor(bytes)), bytes, `${containers} in one another`);
        continue;
      }
      assertThrows(() => decodeCbor(bytes), RangeError, "nested deeper");
      assertThrows(() => encodeCbor(decode(bytes) as CborValue), RangeError, "nested deeper");
    }
  }
});

Deno.test("encodeCbor() refuses what the profile does not have, wherever it stands", () => {
  for (let index = 0; index < 2000; index++) {
    const random = new Random(SEED + 2, index);
    const intruder = random.pick(INTRUDERS) as CborValue;
    const around = [randomValue(random, 3), intruder, randomValue(random, 3)];
    const value: CborValue = {};
    put(value, random.pick(["a", "__proto__", "constructor"]), around);
    const error = assertThrows(() => encodeCbor(random.chance(0.2) ? intruder : value, { floats: true }));
    assert(error instanceof TypeError || error instanceof RangeError, String(error));
    assert(error.message.startsWith("Cannot encode $"), error.message);
  }
});

Deno.test("encodeCbor() gives bytes of their own: a slice of them is a copy, and nothing else is behind them", () => {
  for (let length = 0; length < 700; length++) {
    for (const value of ["x".repeat(length), new Uint8Array(length), new Array(length).fill(0)]) {
      const bytes = encodeCbor([value, 1]);
      assert(bytes.constructor === Uint8Array, `${bytes.length} bytes are a ${bytes.constructor.name}`);
      assert(
        bytes.buffer.byteLength <= 2 * bytes.length + 256,
        `${bytes.buffer.byteLength} for ${bytes.length} bytes`,
      );
    }
  }
});

/**
 * Decodes bytes with the codec and with the reference, and asserts that both say the same.
 *
 * @returns whether they were accepted
 */
function compare(bytes: Uint8Array, which: string, options: CborOptions = {}): boolean {
  const expected = reference(bytes, options.floats ?? false);
  let found: CborValue;
  try {
    found = decodeCbor(bytes, options);
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof RangeError)) throw error;
    assert(error.message.startsWith("Cannot decode the document: "), error.message);
    assert(expected === undefined, `${which}: ${bytes.toHex()} is refused: ${error.message}`);
    return false;
  }
  assert(expected !== undefined, `${which}: ${bytes.toHex()} is accepted, the reference refuses it`);
  assert(isSame(found, expected), `${which}: ${bytes.toHex()} is read as another document`);
  assertOwn(found, bytes, which);
  return true;
}

/** What the bytes mean by `cborg`, the profile and the deterministic form; undefined where one of them refuses. */
function reference(bytes: Uint8Array, floats: boolean): CborValue | undefined {
  let value: CborValue;
  try {
    value = decode(bytes, STRICT) as CborValue;
  } catch {
    return undefined;
  }
  return isInProfile(value, MAX_DEPTH, floats) && equalBytes(encode(value), bytes) ? value : undefined;
}

function isInProfile(value: CborValue, depth: number, floats: boolean): boolean {
  if (typeof value === "number") return Number.isSafeInteger(value) || (floats && Number.isFinite(value));
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value !== undefined;
  return depth > 0 && Object.values(value).every((member) => isInProfile(member, depth - 1, floats));
}

/** Are two documents the same, numbers and big numbers told apart? */
function isSame(a: CborValue | undefined, b: CborValue | undefined): boolean {
  if (typeof a !== "object" || a === null || typeof b !== "object" || b === null) return Object.is(a, b);
  if (a instanceof Uint8Array || b instanceof Uint8Array) {
    return a instanceof Uint8Array && b instanceof Uint8Array && equalBytes(a, b);
  }
  const [left, right] = [a, b].map((value) => Object.keys(value).sort());
  return Array.isArray(a) === Array.isArray(b) && concatenated(left) === concatenated(right) &&
    (left ?? []).every((key) => isSame(member(a, key), member(b, key)));
}

/** Asserts that nothing in a document is part of the bytes it was read from, and that no name changed what an object is. */
function assertOwn(value: CborValue, source: Uint8Array, which: string): void {
  if (typeof value !== "object" || value === null) return;
  if (value instanceof Uint8Array) {
    assert(value.buffer !== source.buffer, `${which}: a byte string is a view of the input`);
    assert(
      Object.getPrototypeOf(value) === Uint8Array.prototype,
      `${which}: a byte string is of another class`,
    );
    return;
  }
  const prototype = Object.getPrototypeOf(value);
  assert(prototype === null || prototype === Object.prototype || prototype === Array.prototype, which);
  for (const key of Object.keys(value)) assertOwn(member(value, key) ?? null, source, which);
}

function member(value: CborValue[] | { [key: string]: CborValue }, key: string): CborValue | undefined {
  return (value as { [key: string]: CborValue })[key];
}

function concatenated(keys: readonly string[] | undefined): string {
  return JSON.stringify(keys);
}
